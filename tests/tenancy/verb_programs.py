"""What a scope of the random steps does with the verbs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID

import memory_guild as guild
from memory_guild.errors import MemoryNotFoundError, UnknownMemoryError
from memory_guild.tenancy import tenant_scope

if TYPE_CHECKING:
    from tests.tenancy.programs import Run

_numbers = count(1)
_AFTER_ALL = datetime(2999, 1, 1, tzinfo=UTC)


def _new_text(run: Run) -> str:
    return f"text {next(_numbers)} of {run.program.tenant_id}, by a verb"


def _remembered(run: Run, memory_id: UUID | None, text: str) -> None:
    assert memory_id is not None
    run.rows.texts[memory_id] = text
    run.own.append(memory_id)


async def _remember(run: Run) -> None:
    text = _new_text(run)
    memory, outcome = await guild.remember(text, source_type="document")
    assert outcome == "created"
    assert (await guild.remember(text, source_type="document")).memory == memory
    _remembered(run, memory.memory_id, text)


async def _remember_many(run: Run) -> None:
    texts = [_new_text(run) for _ in range(3)]
    report = await guild.remember_many({"content_text": text, "source_type": "document"} for text in [*texts, texts[0]])
    assert (report.created, report.existing) == (3, 1)
    for text, outcome in zip(texts, report, strict=False):
        _remembered(run, outcome.memory_id, text)


async def _update(run: Run) -> None:
    text = _new_text(run)
    before = await guild.get(run.own[0])
    assert before.content_text == run.rows.texts[run.own[0]]
    await guild.update(before, content_text=text, expected_updated_at=before.updated_at)
    run.rows.texts[run.own[0]] = text


async def _forget(run: Run) -> None:
    """For good, and back, and for good: the rows are compared with those that were forgotten."""
    if len(run.own) > 1:
        assert (await guild.forget(run.own[0]), await guild.restore(run.own[0])) == (1, 1)
        assert await guild.forget(run.own[0]) == 1
        assert await guild.purge(older_than=_AFTER_ALL) == 1
        run.rows.forget(run.own.pop(0))


async def _relate(run: Run) -> None:
    edge = (run.own[0], run.own[-1])
    if edge[0] != edge[1]:
        assert (await guild.relate(*edge, "supports")).created == (edge not in run.rows.edges)
        run.rows.edges.add(edge)
        assert edge[1] in {step.memory.memory_id for step in (await guild.traverse(edge[0])).steps}


async def _read(run: Run) -> None:
    page = await guild.find(limit=10_000, relations=("embeddings", "outgoing_edges"))
    found = [*page.memories, *[memory async for memory in guild.find_all(include_forgotten=True)]]
    found += [memory for contradiction in await guild.contradictions() for memory in contradiction[:2]]
    found += (await guild.subgraph(run.own[0], max_hops=9)).memories
    assert {memory.tenant_id for memory in found} == {run.program.tenant_id}
    assert all(run.program.tenant_id in memory.content_text for memory in found)
    assert set(run.own) <= {memory.memory_id for memory in page.memories}


async def _attack(run: Run) -> None:
    stranger = run.a_stranger()
    refused: list[Callable[[], Awaitable[Any]]] = [
        lambda: guild.get(stranger, include_forgotten=True),
        lambda: guild.update(stranger, content_text="changed by a stranger"),
        lambda: guild.supersede(stranger, "changed by a stranger"),
        lambda: guild.forget(run.own[0], stranger),
        lambda: guild.restore(stranger),
        lambda: guild.traverse(stranger),
    ]
    for verb in refused:
        try:
            await verb()
        except MemoryNotFoundError:
            continue
        raise AssertionError("a verb found a stranger's memory")
    assert (await guild.get_many([stranger, run.own[0]], include_forgotten=True)).missing == [stranger]
    assert await guild.neighbors(stranger) == []
    assert await guild.path(run.own[0], stranger, direction="both") is None
    assert await guild.unrelate(stranger, run.own[0]) == 0
    try:
        async with tenant_scope(run.program.tenant_id):
            await guild.relate(run.own[0], stranger, "related")
    except UnknownMemoryError:
        return
    raise AssertionError("an edge leads to a stranger's memory")


VERB_STEPS: dict[str, Callable[[Run], Awaitable[None]]] = {
    "remember by verb": _remember,
    "remember many": _remember_many,
    "update by verb": _update,
    "forget by verb": _forget,
    "relate by verb": _relate,
    "read by verbs": _read,
    "verbs at a stranger's": _attack,
}
