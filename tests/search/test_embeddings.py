"""`guild.embeddings` and `embed_pending`: attach, find what lacks a vector, retire; resumed, raced, beside others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from uuid import UUID, uuid5

import pytest

import memory_guild as guild
from memory_guild.errors import EmbedderError, InvalidInputError, ScopeError, SearchNotInstalledError
from tests.search.models import WrittenDown
from tests.search.words import Connection

MODEL = "written:down"
VECTORS = {"door": [1.0, 0.0, 0.0], "gate": [0.8, 0.6, 0.0], "cat": [0.0, 1.0, 0.0]}


async def remember(text: str) -> guild.MemoryRecord:
    """Store a text."""
    return (await guild.remember(text, source_type="document")).memory


@pytest.fixture
async def house(search: str) -> dict[str, guild.MemoryRecord]:
    """Three memories, and beside them another tenant's, which have vectors."""
    async with guild.tenant_scope("umbrella", agent_id="scribe"):
        theirs = [await remember(f"The {word}.") for word in VECTORS]
        await guild.embeddings.attach(zip(theirs, VECTORS.values(), strict=True), model=MODEL)
    async with guild.tenant_scope("acme", agent_id="scribe"):
        return {word: await remember(f"The {word}.") for word in VECTORS}


async def strangers(connection: Connection) -> list[object]:
    """Another tenant's vectors and embeddings."""
    vectors = await connection.fetch("SELECT * FROM memory_vectors WHERE tenant_id = 'umbrella' ORDER BY memory_id")
    named = await connection.fetch(
        "SELECT memory_embeddings.* FROM memory_embeddings JOIN memory_records USING (memory_id)"
        " WHERE tenant_id = 'umbrella' ORDER BY memory_id"
    )
    assert (len(vectors), len(named)) == (3, 3)
    return [*vectors, *named]


async def test_attaching_gives_each_memory_a_row_and_a_vector(
    house: dict[str, guild.MemoryRecord], past_scopes: Connection
) -> None:
    before = await strangers(past_scopes)
    async with guild.tenant_scope("acme"):
        assert await guild.embeddings.attach({house["door"].memory_id: [3, 4, 0]}, model=MODEL) == 1
        assert await guild.embeddings.attach([(str(house["cat"].memory_id), (0, 0, 2))], model=MODEL) == 1
        (row,) = await guild.MemoryEmbedding.filter(memory_id=house["door"].memory_id)
        assert row.embedding_model == MODEL
        assert row.vector_id == str(uuid5(house["door"].memory_id, MODEL))
        assert await guild.embeddings.attach([], model=MODEL) == 0
    stored = await past_scopes.fetch(
        "SELECT memory_id, embedding::text, content_hash, is_current FROM memory_vectors WHERE tenant_id = 'acme'"
    )
    assert {tuple(row) for row in stored} == {
        (house["door"].memory_id, "[0.60009766,0.7998047,0]", house["door"].content_hash, True),
        (house["cat"].memory_id, "[0,0,1]", house["cat"].content_hash, True),
    }
    assert await strangers(past_scopes) == before


async def test_attaching_again_replaces_the_vector_and_keeps_the_row(
    house: dict[str, guild.MemoryRecord], past_scopes: Connection
) -> None:
    async with guild.tenant_scope("acme"):
        await guild.embeddings.attach([(house["door"], [1, 0])], model=MODEL)
        (before,) = await guild.MemoryEmbedding.filter(memory_id=house["door"].memory_id)
        assert await guild.embeddings.attach([(house["door"], [1, 0]), (house["door"], [0, 1])], model=MODEL) == 1
        (after,) = await guild.MemoryEmbedding.filter(memory_id=house["door"].memory_id)
        assert vars(after) == vars(before)
    assert await past_scopes.fetchval("SELECT embedding::text FROM memory_vectors WHERE tenant_id = 'acme'") == "[0,1]"


async def test_a_vector_of_a_text_that_changed_is_left_out(house: dict[str, guild.MemoryRecord]) -> None:
    async with guild.tenant_scope("acme"):
        seen = await guild.get(house["door"])
        await guild.update(house["door"].memory_id, content_text="The window.")
        await guild.forget(house["cat"].memory_id)
        pairs = [(seen, [1, 0, 0]), (house["gate"], [0, 1, 0]), (house["cat"], [0, 0, 1])]
        assert await guild.embeddings.attach(pairs, model=MODEL) == 1
        assert await guild.embeddings.attach([(seen.memory_id, [1, 0, 0])], model=MODEL) == 1


async def test_pending_and_stale(house: dict[str, guild.MemoryRecord]) -> None:
    async with guild.tenant_scope("acme"):
        assert list(await guild.embeddings.pending(MODEL)) == [house["cat"], house["gate"], house["door"]]
        assert list(await guild.embeddings.pending(MODEL, limit=1)) == [house["cat"]]
        await guild.embeddings.attach([(house["door"], [1, 0]), (house["gate"], [1, 0])], model=MODEL)
        assert list(await guild.embeddings.pending(MODEL)) == [house["cat"]]
        assert len(await guild.embeddings.pending("another")) == 3
        assert await guild.embeddings.stale(MODEL) == []
        await guild.update(house["door"], content_text="The window.")
        await guild.update(house["gate"], metadata={"page": 1})
        assert list(await guild.embeddings.stale(MODEL)) == [house["door"]]
        assert list(await guild.embeddings.pending(MODEL)) == [house["cat"]]
        await guild.forget(house["door"], house["cat"])
        assert await guild.embeddings.stale(MODEL) == []
        assert await guild.embeddings.pending(MODEL) == []


async def test_retiring_a_model_leaves_others_alone(
    house: dict[str, guild.MemoryRecord], past_scopes: Connection
) -> None:
    before = await strangers(past_scopes)
    async with guild.tenant_scope("acme"):
        pairs = [(memory, [1, 0]) for memory in house.values()]
        await guild.embeddings.attach(pairs, model=MODEL)
        await guild.embeddings.attach(pairs[:1], model="another")
        await guild.MemoryEmbedding.create(memory_id=house["cat"].memory_id, vector_id="elsewhere", embedding_model="x")
        assert await guild.embeddings.retire(MODEL) == 3
        assert await guild.embeddings.retire(MODEL) == 0
        assert await guild.embeddings.retire("x") == 1
        assert {row.embedding_model for row in await guild.MemoryEmbedding.all()} == {"another"}
        # Another number of dimensions, now that the old ones are gone.
        assert await guild.embeddings.attach([(house["door"], [1, 0, 0])], model=MODEL) == 1
    assert await strangers(past_scopes) == before


async def test_one_bad_vector_and_nothing_is_stored(house: dict[str, guild.MemoryRecord]) -> None:
    async with guild.tenant_scope("acme"):
        with pytest.raises(InvalidInputError) as refused:
            await guild.embeddings.attach([(house["door"], [1, 0]), (house["gate"], [1, 0, 0])], model=MODEL)
        assert refused.value.field == "vectors[1]"
        assert len(await guild.embeddings.pending(MODEL)) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: guild.embeddings.attach("door", model=MODEL), "vectors[0]: must be a pair of a memory and its vector"),  # type: ignore[arg-type]
        (lambda: guild.embeddings.attach(5, model=MODEL), "vectors: must be an iterable, not int"),  # type: ignore[arg-type]
        (lambda: guild.embeddings.attach([("no id", [1])], model=MODEL), "vectors[0]: is not a UUID"),
        (lambda: guild.embeddings.attach([], model=""), "embedding_model: must not be empty"),
        (lambda: guild.embeddings.pending("x" * 101), "embedding_model: has 101 characters; at most 100 fit"),
        (lambda: guild.embeddings.stale(MODEL, limit=0), "limit: must be a whole number from 1 to 10,000"),
        (lambda: guild.embeddings.retire(None), "embedding_model: is required and cannot be None"),  # type: ignore[arg-type]
    ],
)
async def test_bad_arguments_are_refused(search: str, call: Callable[[], Awaitable[object]], message: str) -> None:
    async with guild.tenant_scope("acme"):
        with pytest.raises(InvalidInputError) as refused:
            await call()
        assert str(refused.value).startswith(message)
        assert await guild.count() == 0


async def test_without_the_search_tables_the_error_says_what_to_do(database: str) -> None:
    with pytest.raises(SearchNotInstalledError):
        async with guild.tenant_scope("acme"):
            await guild.embeddings.pending(MODEL)
    with pytest.raises(SearchNotInstalledError):
        await guild.embed_pending("acme", embedder=WrittenDown({}))


# --- embed_pending ----------------------------------------------------------------------------------------------


async def test_embedding_what_is_pending(house: dict[str, guild.MemoryRecord], past_scopes: Connection) -> None:
    before = await strangers(past_scopes)
    told: list[int] = []
    embedder = WrittenDown(VECTORS)
    assert await guild.embed_pending("acme", embedder=embedder, batch_size=2, progress=told.append) == 3
    assert told == [2, 3]
    assert len(embedder.asked) == 3
    assert await guild.embed_pending("acme", embedder=embedder, progress=told.append) == 0
    assert told == [2, 3]
    async with guild.tenant_scope("acme"):
        results = await guild.recall("portal", vector=[1, 0, 0], model=MODEL)
        await guild.update(house["door"], content_text="The window and the door.")
        assert len(await guild.embeddings.stale(MODEL)) == 1
    assert [result.memory for result in results] == [house["door"], house["gate"], house["cat"]]
    assert await guild.embed_pending("acme", embedder=embedder) == 1
    assert "The window and the door." in embedder.asked[-1]
    assert await strangers(past_scopes) == before


async def test_no_transaction_is_open_while_a_model_works(
    house: dict[str, guild.MemoryRecord], past_scopes: Connection
) -> None:
    seen: list[int] = []

    async def look() -> None:
        seen.append(
            await past_scopes.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL"
                " AND pid <> pg_backend_pid()"
            )
        )

    await guild.embed_pending("acme", embedder=WrittenDown(VECTORS, meanwhile=look))
    assert seen == [0]


async def test_a_text_that_changes_while_it_is_embedded_is_embedded_again(
    house: dict[str, guild.MemoryRecord],
) -> None:
    embedder = WrittenDown(VECTORS)

    async def change() -> None:
        if len(embedder.asked) == 3:
            async with guild.tenant_scope("acme"):
                await guild.update(house["door"].memory_id, content_text="The gate instead.")
                await guild.forget(house["cat"].memory_id)

    embedder.meanwhile = change
    assert await guild.embed_pending("acme", embedder=embedder) == 2
    assert len(embedder.asked) == 4
    async with guild.tenant_scope("acme"):
        results = await guild.recall("portal", vector=[0.8, 0.6, 0], model=MODEL)
        assert {result.content_text for result in results} == {"The gate instead.", "The gate."}
        await guild.restore(house["cat"].memory_id)
        assert list(await guild.embeddings.pending(MODEL)) == [house["cat"]]


async def test_a_memory_that_is_purged_while_it_is_embedded_is_left_out(house: dict[str, guild.MemoryRecord]) -> None:
    async def delete() -> None:
        async with guild.tenant_scope("acme"):
            await guild.MemoryRecord.filter(memory_id=house["cat"].memory_id).delete()

    assert await guild.embed_pending("acme", embedder=WrittenDown(VECTORS, meanwhile=delete)) == 2


@pytest.mark.parametrize("ending", [EmbedderError("written:down", "is tired"), asyncio.CancelledError()])
async def test_what_was_stored_stays_and_the_next_call_goes_on(
    house: dict[str, guild.MemoryRecord], ending: BaseException
) -> None:
    embedder = WrittenDown(VECTORS)

    async def end() -> None:
        if len(embedder.asked) == 2:
            raise ending

    embedder.meanwhile = end
    with pytest.raises(type(ending)):
        await guild.embed_pending("acme", embedder=embedder, batch_size=1)
    async with guild.tenant_scope("acme"):
        assert len(await guild.embeddings.pending(MODEL)) == 2
    assert await guild.embed_pending("acme", embedder=WrittenDown(VECTORS)) == 2


async def test_several_processes_may_embed_at_once(house: dict[str, guild.MemoryRecord]) -> None:
    calls = [guild.embed_pending("acme", embedder=WrittenDown(VECTORS), batch_size=1) for _ in range(4)]
    assert sum(await asyncio.gather(*calls)) >= 3
    async with guild.tenant_scope("acme"):
        assert await guild.embeddings.pending(MODEL) == []
        assert await guild.MemoryEmbedding.all().count() == 3


async def test_a_model_is_switched_without_downtime(house: dict[str, guild.MemoryRecord], search_url: str) -> None:
    old, new = WrittenDown(VECTORS), WrittenDown(VECTORS, model="written:anew")
    await guild.embed_pending("acme", embedder=old)

    async def still_found() -> None:
        async with guild.tenant_scope("acme"):
            assert (await guild.recall("portal", vector=[1, 0, 0], model=old.model))[0].memory == house["door"]

    new.meanwhile = still_found
    assert await guild.embed_pending("acme", embedder=new, batch_size=1) == 3
    async with guild.tenant_scope("acme"):
        assert await guild.embeddings.retire(old.model) == 3
    async with guild.connect(search_url, embedder=new):
        (first, *_) = await guild.recall("The red door", tenant_id="acme")
    assert first.memory == house["door"]
    assert first.vector == 0.3


async def test_the_database_has_a_default_embedder(search_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with guild.connect(search_url):
        with pytest.raises(InvalidInputError) as refused:
            await guild.embed_pending("acme")
        assert str(refused.value) == (
            "embedder: is none: name one here, in connect(embedder=…) or in MEMORY_GUILD_EMBEDDER"
        )
    async with guild.connect(search_url, embedder=WrittenDown(VECTORS)):
        async with guild.tenant_scope("acme", agent_id="scribe"):
            await remember("The door.")
        assert await guild.embed_pending("acme") == 1
    monkeypatch.setenv("MEMORY_GUILD_EMBEDDER", "nonsense")
    with pytest.raises(guild.MemoryGuildError, match="MEMORY_GUILD_EMBEDDER: must be none, static"):
        async with guild.connect(search_url):
            pass
    monkeypatch.setenv("MEMORY_GUILD_EMBEDDER", "static")
    async with guild.connect(search_url, embedder="none"):
        (result,) = await guild.recall("doors", tenant_id="acme")
        assert result.vector == 0
    with pytest.raises(InvalidInputError) as refused:
        async with guild.connect(search_url, embedder=object()):  # type: ignore[arg-type]
            pass
    assert str(refused.value) == "embedder: must be an embedder or its name, not object"


async def test_embedding_inside_a_scope_is_refused(house: dict[str, guild.MemoryRecord]) -> None:
    async with guild.tenant_scope("acme"):
        with pytest.raises(ScopeError) as refused:
            await guild.embed_pending("acme", embedder=WrittenDown(VECTORS))
        assert str(refused.value) == (
            "embed_pending calls a model, and a scope is open meanwhile; call it outside the scope"
        )


@pytest.mark.parametrize("vectors", [{"The": [0, 0, 0]}, {"The": []}, {"The": [float("nan")] * 3}])
async def test_vectors_of_no_use_are_the_embedders_error(
    house: dict[str, guild.MemoryRecord], vectors: dict[str, list[float]]
) -> None:
    with pytest.raises(EmbedderError, match="written:down: made a vector that cannot be used: it must have"):
        await guild.embed_pending("acme", embedder=WrittenDown(vectors))


# --- races ------------------------------------------------------------------------------------------------------

WAITS = """
SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def until_somebody_waits(connection: Connection) -> None:
    """Until a session waits for a lock."""
    while not await connection.fetchval(WAITS):
        await asyncio.sleep(0.01)
        await connection.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees what it saw first


@pytest.mark.parametrize("change", ["content_text = 'new', content_hash = md5('new')", "is_deleted = true"])
async def test_a_vector_waits_for_who_changes_its_memory(
    house: dict[str, guild.MemoryRecord], past_scopes: Connection, search_url: str, change: str
) -> None:
    async def attach() -> int:
        async with guild.tenant_scope("acme"):
            return await guild.embeddings.attach([(house["door"], [1, 0, 0])], model=MODEL)

    async with past_scopes.transaction():
        await past_scopes.execute(f"UPDATE memory_records SET {change} WHERE memory_id = $1", house["door"].memory_id)
        attaching = asyncio.create_task(attach())
        async with guild.tenant_scope("acme"):  # one that reads goes on
            assert await guild.count() == 3
        await until_somebody_waits(past_scopes)
    assert await attaching == 0


async def test_who_changes_a_memory_waits_for_its_vector(
    house: dict[str, guild.MemoryRecord], past_scopes: Connection
) -> None:
    async def update() -> None:
        async with guild.tenant_scope("acme"):
            await guild.update(house["door"].memory_id, content_text="new")

    async with guild.tenant_scope("acme"):
        await guild.embeddings.attach([(house["door"], [1, 0, 0])], model=MODEL)
        updating = asyncio.create_task(update(), context=Context())
        await until_somebody_waits(past_scopes)
    await updating
    assert await past_scopes.fetchval("SELECT is_current FROM memory_vectors WHERE tenant_id = 'acme'") is False


@pytest.mark.long
async def test_a_vector_is_current_exactly_where_it_is_of_the_present_text(
    house: dict[str, guild.MemoryRecord], past_scopes: Connection
) -> None:
    ids: list[UUID] = [memory.memory_id for memory in house.values()]

    async def write(number: int) -> None:
        for turn in range(30):
            memory_id = ids[(number + turn) % 3]
            async with guild.tenant_scope("acme"):
                if turn % 3 == 0:
                    await guild.update(memory_id, content_text=f"text {turn % 2} of {memory_id}")
                elif turn % 7 == 0:
                    await guild.forget(memory_id)
                    await guild.restore(memory_id)
                else:
                    memory = await guild.get(memory_id)
                    await guild.embeddings.attach([(memory, [1, number, turn])], model=MODEL)

    await asyncio.gather(*(write(number) for number in range(4)))
    wrong = await past_scopes.fetch(
        "SELECT memory_id FROM memory_vectors AS vector JOIN memory_records AS memory USING (memory_id)"
        " WHERE vector.is_current <> (memory.is_deleted IS NOT TRUE AND memory.content_hash = vector.content_hash)"
    )
    assert wrong == []
