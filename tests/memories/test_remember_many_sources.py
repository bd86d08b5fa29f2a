"""What items may come from: anything that can be iterated, that may use the scope, fail, or have a scope of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from types import MappingProxyType
from typing import Any

import pytest
from tortoise.transactions import in_transaction

from memory_guild import count, find, get, remember, tenant_scope
from memory_guild.errors import InvalidInputError, TransactionConflictError
from memory_guild.memories.drafts import Item
from memory_guild.models import MemoryRecord, hash_content
from memory_guild.serializers import MemoryRecordCreate
from tests.memories.storing import Connection, RememberMany, item, texts

pytestmark = pytest.mark.usefixtures("shared_database")

TEXTS = [f"text {number:02}" for number in range(30)]


def generator() -> Iterator[Item]:
    for text in TEXTS:
        yield item(text)


async def asynchronous_generator() -> AsyncIterator[Item]:
    for text in TEXTS:
        await asyncio.sleep(0)
        yield item(text)


class Items:
    """Iterable, but neither a sequence nor an iterator."""

    def __iter__(self) -> Iterator[Item]:
        return generator()


class AsynchronousItems:
    """The same, asynchronously; the iterator is no generator."""

    def __init__(self) -> None:
        self._texts = iter(TEXTS)

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        for text in self._texts:
            return item(text)
        raise StopAsyncIteration


SOURCES: dict[str, Callable[[], Iterable[Item] | AsyncIterable[Item]]] = {
    "list": lambda: [item(text) for text in TEXTS],
    "tuple": lambda: tuple(item(text) for text in TEXTS),
    "dict's values": lambda: {text: item(text) for text in TEXTS}.values(),
    "map": lambda: map(item, TEXTS),
    "iterable": Items,
    "generator": generator,
    "asynchronous generator": asynchronous_generator,
    "asynchronous iterable": AsynchronousItems,
    "mappings that are no dicts": lambda: [MappingProxyType(item(text)) for text in TEXTS],
    "dicts and serializers": lambda: [
        item(text, content_hash=hash_content(text))
        if number % 2
        else MemoryRecordCreate(**item(text, tenant_id="acme", content_hash=hash_content(text)))
        for number, text in enumerate(TEXTS)
    ],
    "serializers": lambda: [MemoryRecordCreate(**item(text, tenant_id="acme")) for text in TEXTS],
}


@pytest.mark.parametrize("source", SOURCES)
async def test_items_may_come_from(source: str, superuser: Connection, remember_many: RememberMany) -> None:
    async with tenant_scope("acme"):
        report = await remember_many(SOURCES[source]())
    assert (report.created, len(report)) == (30, 30)
    assert await texts(superuser) == TEXTS


async def test_a_source_may_use_the_verbs_of_the_scope_while_it_yields(
    superuser: Connection, remember_many: RememberMany
) -> None:
    async def items() -> AsyncIterator[Item]:
        for number, text in enumerate(TEXTS):
            memory, _ = await remember(f"note {number}", source_type="document", metadata={"of": text})
            assert (await get(memory)).metadata == {"of": text}
            async with tenant_scope("acme"):  # a scope of its own, which ends before the item comes
                await find(limit=3)
            yield item(text, metadata={"note": str(memory.memory_id), "before": await count() > number})

    async with tenant_scope("acme", "scribe"):
        report = await remember_many(items())
        assert report.created == 30
        assert await count() == await count(metadata={"before": True}) * 2 == 60
    assert sorted(await texts(superuser)) == sorted([*TEXTS, *(f"note {number}" for number in range(30))])


async def test_other_tasks_of_the_scope_may_go_on_meanwhile(remember_many: RememberMany) -> None:
    async with tenant_scope("acme", "scribe"):
        reports = await asyncio.gather(
            remember_many(asynchronous_generator()), remember_many(map(item, TEXTS)), remember_many(generator())
        )
        assert sum(report.created for report in reports) == 30
        assert sum(report.existing for report in reports) == 60


@pytest.mark.parametrize("at", [0, 5, 29])
@pytest.mark.parametrize("is_asynchronous", [False, True])
async def test_a_source_that_fails_in_the_middle(
    superuser: Connection, at: int, is_asynchronous: bool, remember_many: RememberMany
) -> None:
    def failing() -> Iterator[Item]:
        for number, text in enumerate(TEXTS):
            if number == at:
                raise ZeroDivisionError
            yield item(text)

    async def failing_asynchronously() -> AsyncIterator[Item]:
        for one in failing():
            yield one

    for on_error in ("raise", "report"):
        async with tenant_scope("acme", "scribe"):
            with pytest.raises(ZeroDivisionError):
                await remember_many(failing_asynchronously() if is_asynchronous else failing(), on_error=on_error)
            await remember("after", source_type="document")
    assert await texts(superuser) == ["after"]


async def test_a_conflict_of_the_source_itself_is_not_tried_again(
    superuser: Connection, remember_many: RememberMany
) -> None:
    """What it had yielded last is lost, and a generator that has failed only seems to be empty."""

    async def items() -> AsyncIterator[Item]:
        for one in generator():
            yield one
        raise TransactionConflictError("of the source")

    async with tenant_scope("acme"):
        with pytest.raises(TransactionConflictError, match="of the source"):
            await remember_many(items())
    assert await texts(superuser) == []


@pytest.mark.parametrize("context", ["scope", "transaction"])
@pytest.mark.parametrize("first", [1, 2, 20])
async def test_a_source_that_keeps_a_scope_open_is_refused(
    superuser: Connection, context: str, first: int, remember_many: RememberMany
) -> None:
    """It would have to end before its items can be stored."""
    is_closed = False

    async def items() -> AsyncIterator[Item]:
        nonlocal is_closed
        for text in TEXTS[: first - 1]:
            yield item(text)
        opened: Any = tenant_scope("acme") if context == "scope" else in_transaction()
        try:
            async with opened:
                for text in TEXTS:
                    yield item(text)
        finally:
            is_closed = True

    async with asyncio.timeout(20), tenant_scope("acme"):
        with pytest.raises(InvalidInputError, match="come from a scope that is still open") as caught:
            await remember_many(items())
        assert is_closed
        await remember("after", source_type="document", agent_id="scribe")
    assert caught.value.field == "items"
    assert await texts(superuser) == ["after"]


class Leaking:
    """An iterator that opens a scope and does not end it; nobody can end it in its place."""

    def __init__(self, first: int) -> None:
        self._number, self._first = 0, first

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        self._number += 1
        if self._number == self._first:
            self._scope = tenant_scope("acme")
            await self._scope.__aenter__()
            await remember("lost", source_type="document", agent_id="scribe")
        return item(f"text {self._number}")

    async def end(self) -> None:
        """End the scope, too late."""
        await self._scope.__aexit__(None, None, None)


@pytest.mark.parametrize("first", [1, 2, 20])
async def test_a_scope_that_nobody_ends_is_ended(
    superuser: Connection, first: int, remember_many: RememberMany
) -> None:
    source = Leaking(first)
    async with asyncio.timeout(20), tenant_scope("acme"):
        with pytest.raises(InvalidInputError, match="come from a scope that is still open"):
            await remember_many(source)
        await remember("after", source_type="document", agent_id="scribe")
    async with tenant_scope("acme"):
        async with tenant_scope("acme"):
            await remember("in a scope of its own", source_type="document", agent_id="scribe")
            await source.end()
            assert await count() == await MemoryRecord.all().count() == 2
        assert await count() == 2
    assert await texts(superuser) == ["after", "in a scope of its own"]


async def test_a_source_may_use_one_dict_for_all_items(superuser: Connection, remember_many: RememberMany) -> None:
    one = item("", metadata={})

    def synchronous() -> Iterator[Item]:
        for text in TEXTS:
            one["content_text"], one["metadata"]["text"] = text, text
            yield one

    async def asynchronous() -> AsyncIterator[Item]:
        for text in TEXTS:
            one["content_text"], one["agent_id"] = text, "another"
            yield one

    async with tenant_scope("acme"):
        assert (await remember_many(synchronous())).created == 30
        assert (await remember_many(asynchronous())).created == 30
        found = (await find(agent_id="scribe", limit=100)).memories
    assert sorted(await texts(superuser)) == sorted(TEXTS + TEXTS)
    assert [memory.metadata for memory in found] == [{"text": memory.content_text} for memory in found]


async def test_a_source_may_have_begun_before_the_scope(remember_many: RememberMany) -> None:
    items = asynchronous_generator()
    first = await anext(items)
    async with tenant_scope("acme"):
        report = await remember_many(items)
        assert (report.created, await count()) == (29, 29)
        assert (await remember_many([first])).created == 1
