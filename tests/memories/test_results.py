"""Results: used as what one wants from them, and taken by every verb for the memories that they are about."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from uuid import UUID

import pytest

import memory_guild as guild
from memory_guild import MemoryEmbedding, MemoryRecord
from memory_guild.errors import InvalidInputError
from memory_guild.memories.results import MemoryResult
from memory_guild.serializers import MemoryRecordRead
from memory_guild.types import RELATIONS, SourceType

pytestmark = pytest.mark.usefixtures("shared_database")

Naming: TypeAlias = Callable[[Any], Awaitable[Any]]


async def as_neighbor(door: Any) -> Any:
    key = await guild.remember("The key is under the mat.", source_type="observation")
    await guild.relate(key, door, "references")
    return (await guild.neighbors(key))[0]


async def as_step(door: Any) -> Any:
    key = await guild.remember("The key is under the mat.", source_type="observation")
    await guild.relate(key, door, "references")
    return (await guild.traverse(key))[0]


async def as_outcome(door: Any) -> Any:
    return (await guild.remember_many([{"content_text": door.content_text, "source_type": "observation"}]))[0]


async def same(door: Any) -> Any:
    return door


async def model(door: Any) -> Any:
    return door.memory


async def as_id(door: Any) -> Any:
    return door.memory_id


async def as_text(door: Any) -> Any:
    return str(door.memory_id)


async def serialized(door: Any) -> Any:
    return MemoryRecordRead.model_validate(door)


NAMINGS = [same, model, as_id, as_text, as_neighbor, as_step, as_outcome, serialized]


def acme() -> guild.tenant_scope:
    return guild.tenant_scope("acme", agent_id="scribe")


async def remember(text: str = "The door is blue.") -> Any:
    return await guild.remember(text, source_type="observation", metadata={"page": 3})


# --- one memory -------------------------------------------------------------------------------------------------


async def test_what_was_remembered_is_used_as_the_memory() -> None:
    async with acme():
        door = await remember()

        assert (door.content_text, door.metadata, door.agent_id) == ("The door is blue.", {"page": 3}, "scribe")
        assert door.source_type is SourceType.OBSERVATION
        for column in MemoryRecord._meta.db_fields:
            assert getattr(door, column) == getattr(door.memory, column), column
        assert door.outcome == "created"
        memory, outcome = door
        assert (memory, outcome) == (door.memory, "created")


def test_a_result_declares_the_columns_and_relations_of_a_memory() -> None:
    assert set(MemoryResult.__annotations__) == {*MemoryRecord._meta.db_fields, *RELATIONS}


async def test_a_result_offers_the_memorys_names_and_no_others() -> None:
    async with acme():
        door = await remember()

    assert {"content_text", "embeddings", "memory", "outcome"} <= set(dir(door))
    assert not hasattr(door, "colour")
    assert not hasattr(door, "_repr_html_")


async def test_a_result_cannot_be_changed_by_mistake() -> None:
    async with acme():
        door = await remember()
        with pytest.raises(AttributeError, match=r"result\.memory\.content_text = "):
            door.content_text = "The door is red."
        door.memory.metadata = {"page": 4}
        await door.save()
        assert (await guild.get(door)).metadata == {"page": 4}


async def test_a_result_equals_its_memory() -> None:
    async with acme():
        door, wall = await remember(), await remember("The wall is white.")
        again = await remember()
        page = await guild.find()

    assert door == door.memory
    assert door.memory == door
    assert door != wall.memory
    assert wall.memory != door
    assert door != again, "another outcome"
    assert hash(door) == hash(door.memory)
    assert {door.memory, wall.memory} == {door, wall}
    assert page == [wall, door]
    assert page.index(door) == 1
    assert door.memory != MemoryEmbedding(embedding_id=door.memory_id, vector_id="1", embedding_model="small")
    assert door != "a text"


async def test_results_are_copied_and_pickled() -> None:
    async with acme():
        door, page = await remember(), await guild.find()

    for result in (door, page):
        for other in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
            assert (type(other), other) == (type(result), result)
    assert pickle.loads(pickle.dumps(page)).next_cursor == page.next_cursor


@pytest.mark.parametrize("naming", NAMINGS)
async def test_every_verb_takes_it(naming: Naming) -> None:
    async with acme():
        wall = await remember("The wall is white.")
        door = await naming(await remember())

        memory = await guild.get(door)
        assert memory.content_text == "The door is blue."
        assert await guild.get_many([door]) == [memory]
        assert (await guild.relate(door, wall, "supports")).created
        assert (await guild.relate(wall, door, "supports")).created
        assert len(await guild.relate_many([edge(door, wall), edge(wall, door)])) == 2
        assert wall in await guild.neighbors(door, direction="outgoing")
        assert [step.memory for step in await guild.traverse(door)] == [wall.memory]
        assert await guild.path(door, wall) == [memory, wall.memory]
        assert memory in await guild.subgraph(door, wall)
        assert await guild.contradictions(door) == []
        assert await guild.unrelate(door, wall) == 2
        assert (await guild.supersede(door, "The door is red.")).outcome == "created"
        assert (await guild.update(door, metadata={})).metadata == {}
        assert await guild.forget(door, wall) == 2
        assert await guild.restore(door) == 1


def edge(source: Any, target: Any) -> dict[str, Any]:
    return {"source_memory_id": source, "target_memory_id": target, "relationship_type": "follows"}


@pytest.mark.parametrize("naming", [same, model, as_neighbor, as_step])
async def test_forgetting_and_reading_relations_bring_it_up_to_date(naming: Naming) -> None:
    async with acme():
        door = await naming(await remember())

        await guild.forget(door)
        assert door.is_deleted
        assert door.deleted_at is not None
        await guild.restore(door)
        assert not door.is_deleted

        await MemoryEmbedding.create(memory=door, vector_id="door-1", embedding_model="small")
        await guild.fetch_relations([door])
        assert [embedding.vector_id for embedding in door.embeddings] == ["door-1"]


async def test_a_refused_item_is_no_memory() -> None:
    async with acme():
        report = await guild.remember_many([{"content_text": 5, "source_type": "document"}], on_error="report")
        with pytest.raises(InvalidInputError, match="memory"):
            await guild.get(report[0])


@pytest.mark.parametrize("naming", [as_id, as_text, as_outcome])
async def test_relations_are_read_into_models_only(naming: Naming) -> None:
    async with acme():
        named = await naming(await remember())
        with pytest.raises(InvalidInputError, match=r"memories\[0\]: must be a memory that was read"):
            await guild.fetch_relations([named])


async def test_one_memory_is_not_taken_for_several_or_several_for_one() -> None:
    async with acme():
        door = await remember()
        page = await guild.find()
        for one in (door, door.memory, str(door.memory_id)):
            with pytest.raises(InvalidInputError, match="memories: must be an iterable"):
                await guild.get_many(one)
        with pytest.raises(InvalidInputError, match=r"memories\[0\]: must be one memory, not a Page of them"):
            await guild.forget(page)  # type: ignore[arg-type]
        assert await guild.forget(*page) == 1


# --- several ----------------------------------------------------------------------------------------------------


async def test_a_page_is_the_list_of_its_memories() -> None:
    async with acme():
        stored = [(await remember(text)).memory for text in ("one", "two", "three")]
        page = await guild.find(limit=2)

        assert page == page.memories == stored[:0:-1]
        assert [memory.content_text for memory in page] == ["three", "two"]
        assert (len(page), bool(page), page[0], page[-1], page[:1]) == (2, True, stored[2], stored[1], [stored[2]])
        assert page.next_cursor is not None
        assert await guild.find(limit=2, cursor=page.next_cursor) == [stored[0]]


async def test_nothing_found_is_false_and_has_no_length() -> None:
    async with acme():
        for nothing in (await guild.find(), await guild.get_many([UUID(int=1)])):
            assert not nothing
            assert len(nothing) == 0
            assert list(nothing) == []


async def test_memories_that_were_found_and_those_that_are_missing() -> None:
    async with acme():
        door = await remember()
        found = await guild.get_many([UUID(int=1), door])

        assert found == found.memories == [door.memory]
        assert found.missing == [UUID(int=1)]


@pytest.mark.parametrize("naming", NAMINGS)
async def test_a_page_knows_which_memories_it_contains(naming: Naming) -> None:
    async with acme():
        door = await naming(await remember())
        page = await guild.find()
        other = await remember("The wall is white.")

        assert door in page
        for stranger in (other, other.memory_id, str(other.memory_id), UUID(int=1), "no id", 5, None):
            assert stranger not in page


async def test_a_result_shows_ids_and_no_text() -> None:
    async with acme():
        doors = [await remember(f"The door {number} is blue.") for number in range(4)]
        page = await guild.find()

    assert repr(doors[0]).startswith(f"Remembered(memory=<MemoryRecord: {doors[0].memory_id}>")
    assert repr(page).startswith(f"<Page of 4: [<MemoryRecord: {doors[3].memory_id}>, ")
    assert repr(page).endswith(", …], next_cursor=None>")
    assert "blue" not in repr(page) + repr(doors)


@pytest.mark.long
async def test_a_notebook_shows_the_beginning_of_the_texts() -> None:
    from IPython.lib import pretty as notebook

    pretty: Callable[[Any], str] = notebook.pretty

    async with acme():
        door = await remember()
        long = await remember("x" * 1000)
        await guild.relate(door, long, "supports", confidence_score=0.5)
        page, walk, around = await guild.find(), await guild.traverse(door), await guild.neighbors(door)

        shown = f"<MemoryRecord {door.memory_id}: observation of scribe, 'The door is blue.'>"
        shortened = f"<MemoryRecord {long.memory_id}: observation of scribe, '{'x' * 80}'…>"
        assert pretty(door.memory) == shown
        assert pretty(door) == f"Remembered({shown}, outcome='created')"
        assert pretty(page) == f"<Page of 2, next_cursor=None>\n  {shortened}\n  {shown}"
        path = f"({door.memory_id!r}, {long.memory_id!r})"
        assert pretty(walk) == (
            f"<Traversal of 1, is_cut=False>\n  Step({shortened}, depth=1, path={path}, confidence=0.5)"
        )
        assert pretty(around) == f"<Neighbors of 1>\n  Neighbor({shortened}, edge={around[0].edge!r})"
        await guild.remember_many({"content_text": str(n), "source_type": "document"} for n in range(30))
        assert pretty(await guild.find()).count("\n") == 21
        assert pretty(await MemoryRecord.filter(memory_id=door.memory_id).only("memory_id").get()).startswith("<Memory")
