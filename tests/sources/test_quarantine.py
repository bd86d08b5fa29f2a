"""Memories that are held in quarantine: no verb finds or changes them, and only a release brings them back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

import memory_guild as guild
from memory_guild.errors import (
    ForgottenMemoryError,
    HeldMemoryError,
    InvalidInputError,
    MemoryNotFoundError,
    ScopeAbortedError,
)
from memory_guild.memories.storing import Remembered
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import tenant_scope


@pytest.fixture
async def held(two_sources: str) -> AsyncIterator[Remembered]:
    """A held memory beside one that is not, and the scope of their tenant, open."""
    async with tenant_scope("acme", agent_id="scribe"):
        held = await guild.remember("the door is open", source_type="external", source="feed")
        await guild.remember("the door is blue", source_type="external", source="crm")
        yield held


async def visible(held: Remembered) -> UUID:
    """The memory that is not held."""
    (memory,) = await guild.find(source="crm")
    return memory.memory_id


SEES: dict[str, Callable[[Remembered], Awaitable[object]]] = {
    "find": lambda held: guild.find(),
    "find by source": lambda held: guild.find(source="feed"),
    "find by text type": lambda held: guild.find(source_type="external"),
    "count": lambda held: guild.count(source="feed"),
    "get_many": lambda held: guild.get_many([held]),
    "neighbors": lambda held: guild.neighbors(held),
}


@pytest.mark.parametrize("see", SEES.values(), ids=SEES)
async def test_no_verb_sees_a_held_memory(held: Remembered, see: Callable[[Remembered], Awaitable[Any]]) -> None:
    try:
        seen = await see(held)
    except MemoryNotFoundError:
        return
    assert seen == 0 or held.memory.memory_id not in [memory.memory_id for memory in seen]


CHANGES: dict[str, Callable[[Remembered], Awaitable[object]]] = {
    "get": lambda held: guild.get(held),
    "update": lambda held: guild.update(held, content_text="changed"),
    "supersede": lambda held: guild.supersede(held, "changed", source_type="external"),
    "restore": lambda held: guild.restore(held),
    "relate": lambda held: guild.relate(held, held, "supports"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_no_verb_changes_a_held_memory(held: Remembered, change: Callable[[Remembered], Awaitable[Any]]) -> None:
    with pytest.raises((MemoryNotFoundError, HeldMemoryError, InvalidInputError, TypeError)):
        await change(held)
    assert await guild.find(held=True) == [held.memory]
    assert await guild.forget(held) == 0
    assert await guild.forget_where(source="feed") == 0
    assert await guild.purge(older_than=timedelta(0)) == 0
    assert await guild.find(held=True) == [held.memory]


async def test_restore_names_what_is_held_and_restores_nothing(held: Remembered) -> None:
    gone = await visible(held)
    await guild.forget(gone)
    with pytest.raises(HeldMemoryError) as refused:
        await guild.restore(gone, held)
    assert refused.value.memory_ids == (held.memory.memory_id,)
    assert await guild.count() == 0


async def test_a_queryset_cannot_restore_a_held_memory(two_sources: str) -> None:
    with pytest.raises(ScopeAbortedError):
        async with tenant_scope("acme", agent_id="scribe"):
            held = await guild.remember("text", source_type="external", source="feed")
            with pytest.raises(HeldMemoryError) as refused:
                await MemoryRecord.filter(memory_id=held.memory.memory_id).update(is_deleted=False)
            assert refused.value.memory_ids == (held.memory.memory_id,)


async def test_what_is_held_is_listed_and_released_by_its_source(held: Remembered) -> None:
    report = await guild.remember_many(
        ({"content_text": f"text {number}", "source_type": "external"} for number in range(20)), source="feed"
    )
    assert (report.held, report.created) == (20, 0)
    assert await guild.count(held=True) == 21
    assert await guild.count(source="feed", include_forgotten=True) == 21
    assert await guild.sources.release("crm") == 0
    assert await guild.sources.release("feed", memories=[held, await visible(held)]) == 1
    assert await guild.sources.release(memories=[held]) == 0
    assert (await guild.get(held)).content_text == "the door is open"
    assert await guild.sources.release("feed") == 20
    assert await guild.count(source="feed") == 21
    assert await guild.forget_where(source="feed") == 21
    assert await guild.restore(held) == 1  # it is a memory as any other


async def test_a_search_for_held_memories_is_refused_by_that_name(held: Remembered) -> None:
    with pytest.raises(InvalidInputError, match="held: is not for recall"):
        await guild.recall("door", held=True)
    with pytest.raises(InvalidInputError, match="text: is not for include_forgotten or held"):
        await guild.find(text="door", held=True)


async def test_a_release_without_a_source_or_memories_is_refused(held: Remembered) -> None:
    with pytest.raises(InvalidInputError, match="source"):
        await guild.sources.release()
    assert await guild.count(held=True) == 1


@pytest.mark.parametrize("source", [None, "crm"])
@pytest.mark.parametrize("metadata", [None, {"page": 1}])
async def test_a_held_text_that_arrives_in_good_order_is_released(
    held: Remembered, source: str | None, metadata: dict[str, int] | None
) -> None:
    arguments: Any = {"source_type": "external", "source": source, "on_existing": "merge", "metadata": metadata}
    with pytest.raises(ForgottenMemoryError):
        await guild.remember("the door is open", **arguments, on_forgotten="raise")
    kept = await guild.remember("the door is open", **arguments, on_forgotten="keep")
    assert kept.memory.is_deleted
    released = await guild.remember("the door is open", **arguments)
    assert (released.outcome, released.memory.is_deleted) == ("restored", False)
    assert await guild.count(held=True) == 0
    assert await guild.count(source=source or "feed") == (2 if source else 1)


@pytest.mark.parametrize("source", [None, "crm"])
async def test_held_texts_that_arrive_in_a_batch_are_released(held: Remembered, source: str | None) -> None:
    report = await guild.remember_many(
        [{"content_text": "the door is open", "source_type": "external"}] * 2, source=source
    )
    assert (report.restored, report.existing) == (1, 1)
    assert await guild.count(held=True) == 0
    assert await guild.count() == 2


async def test_a_held_memory_that_arrives_again_stays_held(held: Remembered) -> None:
    again = await guild.remember("the door is open", source_type="external", source="feed")
    assert (again.outcome, again.memory.is_deleted) == ("existing", True)
    assert await guild.find(held=True) == [held.memory]


async def test_the_end_of_a_quarantine_releases_nothing_by_itself(two_sources: str) -> None:
    async with tenant_scope("acme", agent_id="scribe"):
        await guild.remember("before", source_type="external", source="feed")
    async with guild.admin_scope("test"):
        await guild.sources.update("feed", metadata={"quarantine": False})
    async with tenant_scope("acme", agent_id="scribe"):
        assert (await guild.remember("after", source_type="external", source="feed")).outcome == "created"
        assert [memory.content_text for memory in await guild.find()] == ["after"]
        assert await guild.sources.release("feed") == 1


async def test_a_held_memory_is_in_no_version_of_the_past(held: Remembered) -> None:
    said: dict[str, Any] = {"source_type": "external", "created_at": datetime(2020, 1, 1, tzinfo=UTC)}
    assert (await guild.remember("said long ago", **said, source="feed")).outcome == "held"
    assert (await guild.remember_many([{"content_text": "this, too", **said}], source="feed")).held == 1
    assert held.created_at is not None
    for moment in (datetime(2021, 1, 1, tzinfo=UTC), held.created_at):
        assert await guild.as_of(moment) == []
    past = await guild.as_of(datetime.now(UTC) + timedelta(hours=1))
    assert [memory.content_text for memory in past] == ["the door is blue"]
