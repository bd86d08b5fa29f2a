"""`recall` that asks an index outside PostgreSQL: what is found is what PostgreSQL says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

import memory_guild as guild
from memory_guild.errors import InvalidInputError, SettingsError
from memory_guild.protocols import IndexFilters, VectorHit
from memory_guild.search import external
from tests.search.indexes import DictIndex
from tests.search.mirrored import MODEL, remember_and_attach
from tests.search.models import WrittenDown
from tests.search.words import Connection

pytestmark = pytest.mark.long

VECTORS = {"door": [1.0, 0.0, 0.0], "gate": [0.8, 0.6, 0.0], "cat": [0.0, 1.0, 0.0]}
QUESTION = [1.0, 0.1, 0.0]

House = dict[str, guild.MemoryRecord]


@pytest.fixture
async def index(search_url: str) -> AsyncIterator[DictIndex]:
    """An index that is registered and empty, and the package connected."""
    index = DictIndex()
    async with guild.connect(search_url, vector_index=index):
        await guild.sync_vectors()
        yield index


@pytest.fixture
async def house(index: DictIndex) -> House:
    """Three memories in the index, and beside them another tenant's with the same vectors."""
    memories: House = {}
    for tenant_id in ("umbrella", "acme"):
        for word, vector in VECTORS.items():
            memories[word] = await remember_and_attach(tenant_id, f"A {word}.", vector=vector)
    await guild.sync_vectors()
    return memories


async def recalled(**others: Any) -> list[guild.MemoryRecord]:
    results = await guild.recall("portal", vector=QUESTION, model=MODEL, tenant_id="acme", **others)
    return [result.memory for result in results]


async def test_it_finds_what_postgresql_finds_with_the_same_scores(index: DictIndex, house: House) -> None:
    outside = await guild.recall("a cat", vector=QUESTION, model=MODEL, tenant_id="acme")
    assert index.calls["search"] == 1
    async with guild.tenant_scope("acme"):
        inside = await guild.recall("a cat", vector=QUESTION, model=MODEL)
    assert index.calls["search"] == 1
    assert [one.memory for one in outside] == [one.memory for one in inside]
    assert [one[1:] for one in outside] == [one[1:] for one in inside]
    assert len(outside) == 3


async def test_the_databases_embedder_asks_it_too(search_url: str) -> None:
    index = DictIndex()
    async with guild.connect(search_url, vector_index=index, embedder=WrittenDown({"portal": [1, 0, 0]})):
        await guild.sync_vectors()
        door = await remember_and_attach("acme", "A door.")
        await guild.sync_vectors()
        (found,) = await guild.recall("portal", tenant_id="acme")
        assert found.memory == door
        assert index.calls["search"] == 1


async def test_what_is_not_synced_yet_is_found_all_the_same(index: DictIndex, house: House) -> None:
    portal = await remember_and_attach("acme", "Another.", vector=QUESTION)
    assert await recalled(limit=1) == [portal]
    assert index.calls["search"] == 1


async def test_an_index_that_is_far_behind_or_was_never_filled_is_not_asked(
    index: DictIndex, house: House, monkeypatch: pytest.MonkeyPatch, past_scopes: Connection
) -> None:
    monkeypatch.setattr(external, "_MOST_UNSYNCED", 2)
    for number in range(2):
        await remember_and_attach("acme", f"Another {number}.", vector=QUESTION)
    assert len(await recalled()) == 5
    await guild.sync_vectors()
    await past_scopes.execute("UPDATE memory_vector_indexes SET is_filled = false")
    assert len(await recalled()) == 5
    assert index.calls["search"] == 0


async def test_what_is_forgotten_changed_or_deleted_never_comes_back(index: DictIndex, house: House) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        await guild.forget(house["door"])
        await guild.update(house["gate"], content_text="A window.")
    assert len(index.kept["acme", MODEL]) == 3
    assert await recalled() == [house["cat"]]
    async with guild.tenant_scope("acme", agent_id="scribe"):
        await house["cat"].delete()
    assert await recalled() == []
    assert index.calls["search"] == 2


async def test_a_store_that_lies_shows_no_stranger_and_no_score(
    index: DictIndex, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers = list(index.kept["umbrella", MODEL])

    async def lie(*_: object, **__: object) -> list[VectorHit]:
        hits = [VectorHit(stranger, 5.0) for stranger in strangers]
        return [*hits, VectorHit(house["cat"].memory_id, 7.0), VectorHit(house["door"].memory_id, 0.1)]

    monkeypatch.setattr(index, "search", lie)
    results = await guild.recall("portal", vector=QUESTION, model=MODEL, tenant_id="acme")
    assert [one.memory for one in results] == [house["door"], house["cat"]]
    assert [one.vector for one in results] == [0.3, 0]


async def fail(*_: object, **__: object) -> list[VectorHit]:
    raise RuntimeError("A door.")


async def hang(*_: object, **__: object) -> list[VectorHit]:
    await asyncio.sleep(60)
    return []


async def talk_nonsense(*_: object, **__: object) -> Any:
    return [None]


@pytest.mark.parametrize("search", [None, fail, hang, talk_nonsense])
async def test_where_the_index_fails_postgresqls_own_vectors_answer(
    search_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, search: Any
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_VECTOR_TIMEOUT_SECONDS", "0.3")
    index = DictIndex()
    async with guild.connect(search_url, vector_index=index):
        await guild.sync_vectors()
        door = await remember_and_attach("acme", "A door.")
        if search is None:
            index.is_down = True
        else:
            monkeypatch.setattr(index, "search", search)
        assert await recalled() == [door]
    assert "dict:here" in caplog.text
    assert "PostgreSQL's own vectors are searched instead" in caplog.text
    assert "door" not in caplog.text


@pytest.mark.parametrize(
    ("conditions", "filters"),
    [
        ({}, IndexFilters()),
        ({"agent_id": "scribe"}, IndexFilters(agent_id="scribe")),
        ({"source_type": ["document"]}, IndexFilters(source_type="document")),
        (
            {"created_from": datetime(2020, 1, 1, tzinfo=UTC), "created_before": datetime(2999, 1, 1, tzinfo=UTC)},
            IndexFilters(None, None, datetime(2020, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)),
        ),
        ({"agent_id": ["scribe", "another"]}, None),
        ({"source_type": ["document", "external"]}, None),
        ({"agent_id": []}, None),
        ({"metadata": {"page": {"$exists": False}}}, None),
    ],
)
async def test_conditions_that_the_index_does_not_know_are_postgresqls(
    index: DictIndex,
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    conditions: dict[str, Any],
    filters: IndexFilters | None,
) -> None:
    asked: list[IndexFilters] = []
    search = index.search

    async def listen(*arguments: Any, filters: IndexFilters, limit: int) -> list[VectorHit]:
        asked.append(filters)
        assert limit == 200
        return await search(*arguments, filters=filters, limit=limit)

    monkeypatch.setattr(index, "search", listen)
    assert len(await recalled(**conditions)) == (0 if conditions == {"agent_id": []} else 3)
    assert asked == ([] if filters is None else [filters])


async def test_the_setting_names_the_index_which_is_closed_at_the_end(
    search_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[DictIndex] = []

    def index_of(name: str) -> DictIndex:
        made.append(DictIndex(name))
        return made[-1]

    monkeypatch.setattr(external, "index_of", index_of)
    async with guild.connect(search_url, vector_index="qdrant:http://localhost:6333"):
        await guild.sync_vectors()
        await guild.sync_vectors()
    (index,) = made
    assert (index.name, index.calls["close"]) == ("qdrant:http://localhost:6333", 1)


async def test_an_index_of_ones_own_stays_open(search_url: str) -> None:
    index = DictIndex()
    async with guild.connect(search_url, vector_index=index):
        await guild.sync_vectors()
    assert index.calls["close"] == 0


@pytest.mark.parametrize(
    "name",
    [
        "",
        "qdrant",
        "pgvector:x",
        "oracle:x",
        "milvus:vectors",
        "weaviate:localhost",
        "pinecone:My_Index",
        "qdrant:http://me:secret@host",
    ],
)
async def test_a_name_that_is_none_is_refused(search_url: str, name: str) -> None:
    with pytest.raises(SettingsError) as refused:
        async with guild.connect(search_url, vector_index=name):
            pass
    assert "secret" not in str(refused.value)


async def test_an_object_that_is_no_index_is_refused(search_url: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        async with guild.connect(search_url, vector_index=object()):  # type: ignore[arg-type]
            pass
    assert str(refused.value) == "vector_index: must be a vector index or its name, not object"
