"""`sync_vectors`: an index outside PostgreSQL is made equal to it, whatever changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

import memory_guild as guild
from memory_guild import SyncReport
from memory_guild.database.scope import current_scope
from memory_guild.errors import (
    IndexNotRegisteredError,
    InvalidInputError,
    RoleMissingError,
    ScopeError,
    VectorIndexError,
)
from memory_guild.moments import DistantMoment
from tests.search.indexes import Crash, DictIndex, FaultyIndex
from tests.search.mirrored import OUTBOX, assert_equal, outbox, remember_and_attach
from tests.search.words import Connection
from tests.tenancy.logins import AGENT, MAINTAINER, connected, login, owner, user_of

pytestmark = pytest.mark.long

MODEL = "written:down"


@pytest.fixture
async def index(search_url: str) -> AsyncIterator[DictIndex]:
    """An index that is registered and empty, and the package connected."""
    index = DictIndex()
    async with guild.connect(search_url, vector_index=index):
        assert await guild.sync_vectors() == SyncReport()
        yield index


async def test_without_an_index_nothing_is_noted(search: str, past_scopes: Connection) -> None:
    await remember_and_attach("acme", "The door is red.")
    assert await outbox(past_scopes) == []
    with pytest.raises(InvalidInputError) as refused:
        await guild.sync_vectors()
    assert refused.value.field == "index"


async def test_what_is_there_before_is_stored_by_the_first_sync(search: str, past_scopes: Connection) -> None:
    for tenant_id in ("acme", "umbrella"):
        for number in range(5):
            await remember_and_attach(tenant_id, f"note {number}", model=f"model:{number % 2}")
    index = DictIndex()
    assert await guild.sync_vectors(index) == SyncReport(stored=10)
    assert set(index.kept) == {(tenant, f"model:{n}") for tenant in ("acme", "umbrella") for n in (0, 1)}
    await assert_equal(past_scopes, index)


async def test_an_index_keeps_what_filters_need(index: DictIndex, past_scopes: Connection) -> None:
    created_at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    memory = await remember_and_attach("acme", "The door is red.", vector=[3, 4], created_at=created_at)
    assert await guild.sync_vectors() == SyncReport(stored=1)
    (kept,) = index.kept["acme", MODEL].values()
    assert (kept.memory_id, kept.agent_id, kept.source_type) == (memory.memory_id, "scribe", "document")
    assert kept.created_at == created_at
    assert kept.vector == pytest.approx([0.6, 0.8], abs=1e-3)


async def change_agent(memory: guild.MemoryRecord) -> None:
    await guild.MemoryRecord.filter(memory_id=memory.memory_id).update(agent_id="another")


async def change_time(memory: guild.MemoryRecord) -> None:
    await guild.MemoryRecord.filter(memory_id=memory.memory_id).update(created_at=datetime(2020, 1, 1, tzinfo=UTC))


CHANGES: dict[str, tuple[Callable[[guild.MemoryRecord], Awaitable[Any]], SyncReport]] = {
    "forget": (guild.forget, SyncReport(deleted=1)),
    "update of the text": (lambda memory: guild.update(memory, content_text="new"), SyncReport(deleted=1)),
    "update of the source type": (lambda memory: guild.update(memory, source_type="external"), SyncReport(stored=1)),
    "update of the agent": (change_agent, SyncReport(stored=1)),
    "update of the time": (change_time, SyncReport(stored=1)),
    "another vector": (
        lambda memory: guild.embeddings.attach([(memory, [0, 1])], model=MODEL),
        SyncReport(stored=1),
    ),
    "a vector by another model": (
        lambda memory: guild.embeddings.attach([(memory, [0, 1])], model="other"),
        SyncReport(stored=1),
    ),
    "retiring the model": (lambda memory: guild.embeddings.retire(MODEL), SyncReport(deleted=2)),
    "deleting the memory": (lambda memory: memory.delete(), SyncReport(deleted=1)),
    "the same vector": (lambda memory: guild.embeddings.attach([(memory, [1, 0])], model=MODEL), SyncReport()),
    "update of the metadata": (lambda memory: guild.update(memory, metadata={"page": 1}), SyncReport()),
    "the same source type": (lambda memory: guild.update(memory, source_type="document"), SyncReport()),
    "relating": (lambda memory: remember_and_relate(memory), SyncReport()),
}


async def remember_and_relate(memory: guild.MemoryRecord) -> None:
    other = await guild.remember("A bill.", source_type="document")
    await guild.relate(other, memory, "references")


@pytest.mark.parametrize("change", CHANGES)
async def test_every_change_reaches_the_index_and_nothing_else_is_noted(
    index: DictIndex, past_scopes: Connection, change: str
) -> None:
    await remember_and_attach("umbrella", "The door is red.", vector=[1, 0])
    memory = await remember_and_attach("acme", "The door is red.", vector=[1, 0])
    await remember_and_attach("acme", "The gate squeaks.", vector=[0.8, 0.6])
    assert await guild.sync_vectors() == SyncReport(stored=3)
    work, expected = CHANGES[change]
    async with guild.tenant_scope("acme", agent_id="scribe"):
        await work(memory)
    assert len(await outbox(past_scopes)) == sum(expected)
    assert await guild.sync_vectors() == expected
    await assert_equal(past_scopes, index)


async def test_forgetting_and_restoring_before_a_sync_is_one_key(index: DictIndex, past_scopes: Connection) -> None:
    memory = await remember_and_attach("acme", "The door is red.")
    for work in (guild.forget, guild.restore, guild.forget, guild.restore):
        async with guild.tenant_scope("acme", agent_id="scribe"):
            await work(memory)
    ((_, _, _, version),) = await outbox(past_scopes)
    assert version == 5
    assert await guild.sync_vectors() == SyncReport(stored=1)
    await assert_equal(past_scopes, index)


async def test_what_a_scope_rolls_back_is_not_noted(index: DictIndex, past_scopes: Connection) -> None:
    with pytest.raises(KeyError):
        async with guild.tenant_scope("acme", agent_id="scribe"):
            memory = (await guild.remember("The door is red.", source_type="document")).memory
            await guild.embeddings.attach([(memory, [1, 0])], model=MODEL)
            raise KeyError
    assert await outbox(past_scopes) == []


async def test_a_moment_that_python_cannot_hold_is_left_out(index: DictIndex, past_scopes: Connection) -> None:
    memory = await remember_and_attach("acme", "The door is red.")
    await past_scopes.execute("UPDATE memory_records SET created_at = 'infinity'")
    await guild.sync_vectors()
    (kept,) = index.kept["acme", MODEL].values()
    assert (kept.memory_id, kept.created_at) == (memory.memory_id, None)
    assert not isinstance(kept.created_at, DistantMoment)
    await assert_equal(past_scopes, index)


# --- everything at once -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM memory_records WHERE tenant_id = 'acme'",
        "DELETE FROM memory_vectors WHERE tenant_id = 'acme'",
        "TRUNCATE memory_vectors",
        "TRUNCATE memory_records CASCADE",
        "UPDATE memory_vectors SET embedding_model = 'renamed'",
    ],
)
async def test_plain_sql_reaches_the_index_too(index: DictIndex, past_scopes: Connection, statement: str) -> None:
    for tenant_id in ("acme", "umbrella"):
        for number in range(3):
            await remember_and_attach(tenant_id, f"note {number}")
    assert await guild.sync_vectors() == SyncReport(stored=6)
    await past_scopes.execute(statement)
    await guild.sync_vectors()
    await assert_equal(past_scopes, index)


async def test_erasing_a_tenant_empties_the_index(index: DictIndex, past_scopes: Connection) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        report = await guild.remember_many({"content_text": f"note {n}", "source_type": "document"} for n in range(450))
        await guild.embeddings.attach([(one, [1, 0]) for one in report], model=MODEL)
    await remember_and_attach("umbrella", "The door is red.")
    assert await guild.sync_vectors() == SyncReport(stored=451)
    async with guild.admin_scope("erasing acme"):
        await guild.MemoryRecord.filter(tenant_id="acme").delete()
    assert await guild.sync_vectors() == SyncReport(deleted=450)
    assert [len(kept) for kept in index.kept.values()] == [0, 1]
    await assert_equal(past_scopes, index)


async def test_a_maintenance_scope_can_delete_where_the_owner_is_no_superuser(
    index: DictIndex, search_url: str, past_scopes: Connection
) -> None:
    await remember_and_attach("acme", "The door is red.")
    await guild.sync_vectors()
    async with owner(search_url) as url:
        for table in ("memory_words", "memory_word_counts", "memory_vectors", "memory_vector_outbox"):
            await past_scopes.execute(f"ALTER TABLE {table} OWNER TO {user_of(url)}")
        await past_scopes.execute(f"ALTER TABLE memory_vector_indexes OWNER TO {user_of(url)}")
        await past_scopes.execute(f"GRANT memory_guild_admin TO {user_of(url)}")
        async with login(search_url, MAINTAINER) as maintainer, connected(maintainer) as connection:
            await connection.execute("SET ROLE memory_guild_admin; DELETE FROM memory_records")
        assert len(await outbox(past_scopes)) == 1
        async with connected(url) as connection:
            with pytest.raises(Exception, match="TRUNCATE would leave vectors behind"):
                await connection.execute("TRUNCATE memory_vectors")
            assert await connection.fetchval("SELECT count(*) FROM memory_vector_outbox") == 0  # it sees no tenant
        everything = (
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        )
        for row in await past_scopes.fetch(everything):
            await past_scopes.execute(f"ALTER TABLE {row['relname']} OWNER TO CURRENT_USER")
    assert await guild.sync_vectors() == SyncReport(deleted=1)


# --- rights -----------------------------------------------------------------------------------------------------


async def test_an_agents_login_syncs_its_own_tenant(index: DictIndex, search_url: str, past_scopes: Connection) -> None:
    for tenant_id in ("acme", "umbrella"):
        await remember_and_attach(tenant_id, "The door is red.")
    async with login(search_url, AGENT) as url, guild.connect(url, vector_index=index):
        with pytest.raises(RoleMissingError):
            await guild.sync_vectors()
        assert await guild.sync_vectors(tenant_id="acme") == SyncReport(stored=1)
        assert set(index.kept) == {("acme", MODEL)}
        assert await guild.sweep_vectors(tenant_id="acme") == guild.SweepReport(listed=1)
        with pytest.raises(IndexNotRegisteredError) as refused:
            await guild.sync_vectors(DictIndex("dict:new"), tenant_id="acme")
        assert refused.value.index == "dict:new"
        with pytest.raises(IndexNotRegisteredError):
            await guild.sweep_vectors(DictIndex("dict:new"), tenant_id="acme")
    assert [row[0] for row in await outbox(past_scopes)] == ["umbrella"]


async def test_it_is_called_outside_scopes_with_an_index(index: DictIndex) -> None:
    async with guild.tenant_scope("acme"):
        for verb in (guild.sync_vectors, guild.sweep_vectors):
            with pytest.raises(ScopeError):
                await verb(tenant_id="acme")
    for verb in (guild.sync_vectors, guild.sweep_vectors):
        with pytest.raises(InvalidInputError) as refused:
            await verb(object())  # type: ignore[arg-type]
        assert refused.value.field == "index"
        with pytest.raises(InvalidInputError) as refused:
            await verb(DictIndex(""))
        assert refused.value.field == "index.name"


# --- failures ---------------------------------------------------------------------------------------------------


async def now(past_scopes: Connection) -> datetime:
    moment: datetime = await past_scopes.fetchval("SELECT clock_timestamp()")
    return moment


async def due_after(past_scopes: Connection, moment: datetime) -> list[float]:
    """How many seconds after a moment each key is due."""
    rows = await past_scopes.fetch("SELECT due_at FROM memory_vector_outbox")
    return [(row["due_at"] - moment).total_seconds() for row in rows]


async def make_due(past_scopes: Connection) -> None:
    await past_scopes.execute("UPDATE memory_vector_outbox SET due_at = now()")


async def test_a_store_that_is_down_holds_up_nobody(index: DictIndex, past_scopes: Connection) -> None:
    index.is_down = True
    door = await remember_and_attach("acme", "The door is red.")
    gate = await remember_and_attach("acme", "The gate squeaks.")
    async with guild.tenant_scope("acme", agent_id="scribe"):
        await guild.forget(gate)
    found = await guild.recall("portal", vector=[1, 0, 0], model=MODEL, tenant_id="acme")
    assert [one.memory for one in found] == [door]
    for attempt in range(11):
        before = await now(past_scopes)
        assert await guild.sync_vectors() == SyncReport(failed=2)
        longest = min(300, 2**attempt)
        assert min(await due_after(past_scopes, before)) >= longest / 2
        assert max(await due_after(past_scopes, await now(past_scopes))) <= longest
        await make_due(past_scopes)
    index.is_down = False
    assert await guild.sync_vectors() == SyncReport(stored=1, deleted=1)
    await assert_equal(past_scopes, index)


async def test_a_call_in_doubt_is_left_alone_until_it_can_no_longer_be_carried_out(
    index: DictIndex, past_scopes: Connection
) -> None:
    memory = await remember_and_attach("acme", "The door is red.")
    faulty = FaultyIndex(index, share=1, faults=["late application"], late_seconds=0.2)
    assert await guild.sync_vectors(faulty) == SyncReport(in_doubt=1)
    async with guild.tenant_scope("acme", agent_id="scribe"):
        await guild.forget(memory)
    assert await guild.sync_vectors() == SyncReport()
    await faulty.settled()
    assert len(index.kept["acme", MODEL]) == 1
    await make_due(past_scopes)
    assert await guild.sync_vectors() == SyncReport(deleted=1)
    await assert_equal(past_scopes, index)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls may take a fifth of a second."""
    monkeypatch.setenv("MEMORY_GUILD_VECTOR_TIMEOUT_SECONDS", "0.2")
    monkeypatch.setenv("MEMORY_GUILD_VECTOR_FENCE_SECONDS", "1.5")


async def test_a_call_that_takes_too_long_is_in_doubt(
    impatient: None, index: DictIndex, past_scopes: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remember_and_attach("acme", "The door is red.")

    async def hang(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(index, "upsert", hang)
    before = await now(past_scopes)
    assert await guild.sync_vectors() == SyncReport(in_doubt=1)
    assert min(await due_after(past_scopes, before)) >= 0.2 + 1.5


async def test_what_a_client_raises_is_in_doubt_and_its_text_is_not_logged(
    index: DictIndex, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await remember_and_attach("acme", "The door is red.")

    async def fail(*_: object) -> None:
        raise RuntimeError("The door is red.")

    monkeypatch.setattr(index, "upsert", fail)
    assert await guild.sync_vectors() == SyncReport(in_doubt=1)
    assert "dict:here: RuntimeError" in caplog.text
    assert "door" not in caplog.text


async def test_after_a_crash_the_keys_wait_for_the_lease_and_the_fence(
    impatient: None, index: DictIndex, past_scopes: Connection
) -> None:
    await remember_and_attach("acme", "The door is red.")
    before = await now(past_scopes)
    with pytest.raises(Crash):
        await guild.sync_vectors(FaultyIndex(index, share=1, faults=["crash before the call"]))
    assert await guild.sync_vectors() == SyncReport()
    (seconds,) = await due_after(past_scopes, before)
    assert seconds >= 6 * 0.2 + 1.5
    await asyncio.sleep(seconds)
    assert await guild.sync_vectors() == SyncReport(stored=1)
    await assert_equal(past_scopes, index)


async def test_what_changes_during_a_call_stays_due(
    index: DictIndex, past_scopes: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = await remember_and_attach("acme", "The door is red.")
    upsert = index.upsert

    async def forget_meanwhile(*arguments: Any) -> None:
        monkeypatch.undo()
        await upsert(*arguments)
        async with guild.tenant_scope("acme", agent_id="scribe"):
            await guild.forget(memory)

    monkeypatch.setattr(index, "upsert", forget_meanwhile)
    assert await guild.sync_vectors() == SyncReport(stored=1, deleted=1)
    await assert_equal(past_scopes, index)


async def test_a_worker_that_was_too_slow_settles_nothing_of_the_next_one(
    index: DictIndex, past_scopes: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = await remember_and_attach("acme", "The door is red.")
    upsert = index.upsert

    async def be_overtaken(*arguments: Any) -> None:
        monkeypatch.undo()
        await upsert(*arguments)
        await make_due(past_scopes)
        assert await guild.sync_vectors() == SyncReport(stored=1)  # the next one has it, and is done
        async with guild.tenant_scope("acme", agent_id="scribe"):
            await guild.forget(memory)  # version 1 again

    monkeypatch.setattr(index, "upsert", be_overtaken)
    assert await guild.sync_vectors() == SyncReport(stored=1, deleted=1)
    await assert_equal(past_scopes, index)


async def test_one_vector_that_the_store_refuses_does_not_keep_others_out(
    index: DictIndex, past_scopes: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = await remember_and_attach("acme", "poison")
    for number in range(7):
        await remember_and_attach("acme", f"note {number}")
    upsert = index.upsert

    async def refuse(tenant_id: str, model: str, vectors: Any) -> None:
        if any(vector.memory_id == poison.memory_id for vector in vectors):
            raise VectorIndexError(index.name, "refuses it", is_in_doubt=False)
        await upsert(tenant_id, model, vectors)

    monkeypatch.setattr(index, "upsert", refuse)
    for _ in range(5):
        await guild.sync_vectors(batch_size=8)
        await make_due(past_scopes)
    assert [row[2] for row in await outbox(past_scopes)] == [poison.memory_id]


async def test_what_an_agent_is_changing_is_not_waited_for(index: DictIndex, past_scopes: Connection) -> None:
    memory = await remember_and_attach("acme", "The door is red.")
    await remember_and_attach("acme", "The gate squeaks.")
    may_begin = asyncio.Event()
    syncing = asyncio.create_task(sync_after(may_begin))
    async with guild.tenant_scope("acme", agent_id="scribe"):
        await guild.forget(memory)
        may_begin.set()
        assert await syncing == SyncReport(stored=1)
    assert await guild.sync_vectors() == SyncReport(deleted=1)
    await assert_equal(past_scopes, index)


async def sync_after(may_begin: asyncio.Event) -> SyncReport:
    await may_begin.wait()
    return await guild.sync_vectors()


async def test_two_workers_at_once_share_the_work(index: DictIndex, past_scopes: Connection) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        report = await guild.remember_many({"content_text": f"note {n}", "source_type": "document"} for n in range(300))
        await guild.embeddings.attach([(one, [1, 0]) for one in report], model=MODEL)
    reports = await asyncio.gather(*(guild.sync_vectors(batch_size=20) for _ in range(3)))
    assert sum(report.stored for report in reports) == 300
    assert index.calls["upsert"] == 15
    assert all(report.stored for report in reports)
    await assert_equal(past_scopes, index)


async def test_when_the_server_ends_the_workers_connection_the_keys_are_done_again(
    index: DictIndex, past_scopes: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remember_and_attach("acme", "The door is red.")
    upsert = index.upsert

    async def lose_the_server(*arguments: Any) -> None:
        monkeypatch.undo()
        await upsert(*arguments)
        await past_scopes.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await past_scopes.execute("ALTER TABLE memory_vector_outbox RENAME TO away")

    monkeypatch.setattr(index, "upsert", lose_the_server)
    with pytest.raises(guild.MemoryGuildError):
        await guild.sync_vectors()
    await past_scopes.execute("ALTER TABLE away RENAME TO memory_vector_outbox")
    assert len(await outbox(past_scopes)) == 1
    await make_due(past_scopes)
    assert await guild.sync_vectors() == SyncReport(stored=1)
    await assert_equal(past_scopes, index)


async def test_stop_ends_it_after_the_batch(index: DictIndex) -> None:
    stop = asyncio.Event()
    for number in range(4):
        await remember_and_attach("acme", f"note {number}")
    report = await guild.sync_vectors(batch_size=2, stop=stop, progress=lambda _: stop.set())
    assert report == SyncReport(stored=2)


async def test_an_index_that_is_unregistered_gets_nothing_more(index: DictIndex, past_scopes: Connection) -> None:
    await remember_and_attach("acme", "The door is red.")
    assert await guild.unregister_vector_index()
    assert not await guild.unregister_vector_index()
    assert await outbox(past_scopes) == []
    await remember_and_attach("acme", "The gate squeaks.")
    assert await outbox(past_scopes) == []
    assert await guild.sync_vectors() == SyncReport(stored=2)
    await assert_equal(past_scopes, index)


async def test_registering_waits_for_scopes_that_are_writing(
    search_url: str, past_scopes: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = DictIndex()
    async with guild.connect(search_url):
        async with guild.tenant_scope("acme", agent_id="scribe"):
            memory = (await guild.remember("The door is red.", source_type="document")).memory
            await guild.embeddings.attach([(memory, [1, 0])], model=MODEL)
            syncing = asyncio.create_task(elsewhere(search_url, index))
            await asyncio.sleep(1.5)
            assert not syncing.done()
        assert await syncing == SyncReport(stored=1)
    await assert_equal(past_scopes, index)


async def elsewhere(url: str, index: DictIndex) -> SyncReport:
    async with guild.connect(url):
        return await guild.sync_vectors(index)


# --- the sweep --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
async def test_a_sweep_finds_what_somebody_did_to_the_store(
    index: DictIndex, past_scopes: Connection, batch_size: int
) -> None:
    memories = [await remember_and_attach("acme", f"note {number}") for number in range(6)]
    await remember_and_attach("umbrella", "The door is red.")
    await guild.sync_vectors()
    kept = index.kept["acme", MODEL]
    for memory in memories[:2]:
        del kept[memory.memory_id]
    kept[memories[3].memory_id] = kept[memories[3].memory_id]._replace(fingerprint="old")
    for stranger in (UUID(int=5), UUID(int=2**128 - 1), next(iter(index.kept["umbrella", MODEL]))):
        kept[stranger] = kept[memories[4].memory_id]._replace(memory_id=stranger)
    expected = guild.SweepReport(listed=8, orphans=3, missing=2, stale=1)
    assert await guild.sweep_vectors(batch_size=batch_size) == expected
    assert await guild.sweep_vectors() == guild.SweepReport(listed=8)  # all of it is in the outbox
    assert await guild.sync_vectors() == SyncReport(stored=3, deleted=3)
    assert await guild.sweep_vectors() == guild.SweepReport(listed=7)
    await assert_equal(past_scopes, index)


async def test_a_sweep_leaves_alone_what_waits_already(index: DictIndex, past_scopes: Connection) -> None:
    index.is_down = True
    await remember_and_attach("acme", "The door is red.")
    await guild.sync_vectors()
    before = await past_scopes.fetch(OUTBOX)
    index.is_down = False
    assert await guild.sweep_vectors() == guild.SweepReport()
    assert await past_scopes.fetch(OUTBOX) == before


async def test_a_sweep_of_a_store_that_is_down_says_so(
    impatient: None, index: DictIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remember_and_attach("acme", "The door is red.")
    index.is_down = True
    with pytest.raises(VectorIndexError):
        await guild.sweep_vectors()

    async def hang(*_: object) -> AsyncIterator[None]:
        await asyncio.sleep(60)
        yield

    monkeypatch.setattr(index, "list", hang)
    with pytest.raises(VectorIndexError, match=r"dict:here: did not go on with its list for 0.2 s"):
        await guild.sweep_vectors()


async def test_a_sweep_finds_what_is_left_of_a_tenant_that_is_gone(index: DictIndex, past_scopes: Connection) -> None:
    await remember_and_attach("acme", "The door is red.")
    await guild.sync_vectors()
    await past_scopes.execute(
        "SET session_replication_role = replica; DELETE FROM memory_records; DELETE FROM memory_embeddings;"
        " DELETE FROM memory_vectors; RESET ALL"
    )
    assert await guild.sweep_vectors() == guild.SweepReport()
    assert await guild.sweep_vectors(tenant_id="acme", model=MODEL) == guild.SweepReport(listed=1, orphans=1)
    assert await guild.sync_vectors() == SyncReport(deleted=1)
    await assert_equal(past_scopes, index)


# --- plans ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tenant_id", [None, "acme"])
async def test_claiming_does_not_read_a_long_outbox(
    index: DictIndex, past_scopes: Connection, tenant_id: str | None
) -> None:
    await past_scopes.execute(
        "INSERT INTO memory_vector_outbox (tenant_id, index_name, embedding_model, memory_id, due_at)"
        " SELECT 'tenant ' || n % 10, 'dict:here', 'm', gen_random_uuid(), now() + interval '1 hour'"
        " FROM generate_series(1, 5000) AS n; ANALYZE memory_vector_outbox"
    )
    await remember_and_attach("acme", "The door is red.")
    reads = "SELECT seq_scan, seq_tup_read FROM pg_stat_user_tables WHERE relname = 'memory_vector_outbox'"
    await past_scopes.execute("SELECT pg_stat_force_next_flush()")
    before = await past_scopes.fetch(reads)
    assert await guild.sync_vectors(tenant_id=tenant_id) == SyncReport(stored=1)
    await asyncio.sleep(0)
    await past_scopes.execute("SELECT pg_stat_force_next_flush()")
    assert await past_scopes.fetch(reads) == before


# --- other tenants ----------------------------------------------------------------------------------------------


SECRETS = [
    "SELECT * FROM memory_vector_outbox WHERE tenant_id <> 'acme'",
    "UPDATE memory_vector_outbox SET due_at = now() WHERE tenant_id = 'umbrella' RETURNING 1",
    "DELETE FROM memory_vector_outbox WHERE tenant_id = 'umbrella' RETURNING 1",
]
REFUSED = [
    "INSERT INTO memory_vector_outbox VALUES ('umbrella', 'dict:here', 'm', gen_random_uuid())",
    "UPDATE memory_vector_outbox SET tenant_id = 'umbrella'",
    "INSERT INTO memory_vector_indexes VALUES ('mine')",
    "UPDATE memory_vector_indexes SET is_filled = false",
    "DELETE FROM memory_vector_indexes",
    "SELECT memory_guild_register_index('mine')",
    "SELECT memory_guild_queue_vectors('{umbrella}', '{m}', ARRAY[gen_random_uuid()])",
    "TRUNCATE memory_vector_outbox",
]


async def test_plain_sql_sees_and_changes_nothing_of_another_tenants_outbox(
    index: DictIndex, past_scopes: Connection
) -> None:
    for tenant_id in ("acme", "umbrella"):
        await remember_and_attach(tenant_id, "The door is red.")
    before = await past_scopes.fetch(OUTBOX)
    for statement in SECRETS:
        async with guild.tenant_scope("acme"):
            assert await current_scope().transaction.execute_query_dict(statement) == []
    for statement in REFUSED:
        with pytest.raises(guild.MemoryGuildError):
            async with guild.tenant_scope("acme"):
                await current_scope().transaction.execute_query_dict(statement)
    assert await past_scopes.fetch(OUTBOX) == before
    (registered,) = await past_scopes.fetch("SELECT name, is_filled FROM memory_vector_indexes")
    assert tuple(registered) == ("dict:here", True)


@pytest.mark.parametrize("sealed_first", [True, False])
async def test_in_a_sealed_database_syncing_works_and_no_statement_sees_strangers(
    database_url: str, has_vectors: bool, monkeypatch: pytest.MonkeyPatch, *, sealed_first: bool
) -> None:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    if not sealed_first:
        await guild.upgrade(database_url, search=True)
    monkeypatch.setenv("MEMORY_GUILD_SEAL_KEY", await guild.schema.seal(database_url))
    await guild.upgrade(database_url, search=True)
    index = DictIndex()
    async with guild.connect(database_url, vector_index=index):
        for tenant_id in ("acme", "umbrella"):
            await remember_and_attach(tenant_id, "The door is red.")
        assert await guild.sync_vectors() == SyncReport(stored=2)
        for tenant_id in ("acme", "umbrella"):
            await remember_and_attach(tenant_id, "The gate squeaks.")
        async with guild.tenant_scope("acme"):
            run = current_scope().transaction.execute_query_dict
            await run("SELECT set_config('memory_guild.tenant_id', 'umbrella', true)")
            assert await run("SELECT * FROM memory_vector_outbox WHERE tenant_id = 'umbrella'") == []
        assert await guild.sync_vectors(tenant_id="acme") == SyncReport(stored=1)
        async with guild.admin_scope("erasing"):
            await guild.MemoryRecord.filter(tenant_id="acme").delete()
        assert await guild.sync_vectors() == SyncReport(stored=1, deleted=2)
    assert (await guild.schema.validate(database_url)).differences == ()
    await guild.schema.unseal(database_url)
    monkeypatch.delenv("MEMORY_GUILD_SEAL_KEY")
    assert (await guild.schema.validate(database_url)).differences == ()
