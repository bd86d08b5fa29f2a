"""Storing many edges with few statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias
from uuid import UUID

import asyncpg

from memory_guild.database.statements import Statement, Step
from memory_guild.errors import TransactionConflictError

EdgeKey: TypeAlias = tuple[UUID, UUID, str]
"""The unique key of an edge: its source, its target and its type."""

_STORE = Statement("graph/store_edges", on_citus=(Step("graph/citus/store_edges"),))
_STORED = Statement("graph/stored_edges")
_RAISE = Statement("graph/raise_confidences")


class EdgeOutcome(NamedTuple):
    """What happened to one edge of ``relate_many``.

    Attributes:
        relationship_id: The id of the edge, new or not.
        created: False if the edge existed, or was given before in the same call.
    """

    relationship_id: UUID
    created: bool


async def store_edges(
    confidences: Mapping[EdgeKey, float | None], *, increase: bool, edges_at_once: int = 5_000
) -> dict[EdgeKey, EdgeOutcome]:
    """Store those of the edges that do not exist.

    They are stored in the order of their keys. So calls that overlap wait for each other instead of deadlocking.

    Args:
        confidences: The confidence of each edge; None if unspecified.
        increase: Whether to raise the confidence of an edge that exists.
        edges_at_once: The most edges in one statement.

    Raises:
        TransactionConflictError: An edge that existed was deleted meanwhile.
    """
    outcomes: dict[EdgeKey, EdgeOutcome] = {}
    ordered = sorted(confidences)
    for first in range(0, len(ordered), edges_at_once):
        keys = ordered[first : first + edges_at_once]
        for row in await _STORE.fetch(*_columns(keys), [confidences[key] for key in keys]):
            outcomes[_key_of(row)] = EdgeOutcome(row["relationship_id"], created=True)
        if existing := [key for key in keys if key not in outcomes]:
            outcomes |= await _find(existing)
            if increase:
                ids = [outcomes[key].relationship_id for key in existing]
                await _RAISE.fetch(ids, [confidences[key] for key in existing])
    return outcomes


async def _find(keys: Sequence[EdgeKey]) -> dict[EdgeKey, EdgeOutcome]:
    rows = await _STORED.fetch(*_columns(keys))
    if len(rows) < len(keys):
        raise TransactionConflictError("another transaction deleted edges that were to be stored; run the scope again")
    return {_key_of(row): EdgeOutcome(row["relationship_id"], created=False) for row in rows}


def _columns(keys: Sequence[EdgeKey]) -> tuple[list[UUID], list[UUID], list[str]]:
    return [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]


def _key_of(row: asyncpg.Record) -> EdgeKey:
    return row["source_memory_id"], row["target_memory_id"], row["relationship_type"]
