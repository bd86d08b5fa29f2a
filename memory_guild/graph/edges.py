"""Edges between memories: storing them once, one or many, and taking them away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
from pydantic import ValidationError

from memory_guild.database.statements import Statement
from memory_guild.errors import InvalidInputError, SelfReferenceError, TransactionConflictError
from memory_guild.memories.arguments import MemoryArgument, check_several, column_value, current_tenant, memory_id_of
from memory_guild.models import MemoryRecord, MemoryRelationship
from memory_guild.rows import model_from
from memory_guild.serializers import MemoryRelationshipCreate, invalid_input
from memory_guild.tenancy import ATTEMPTS, retried
from memory_guild.types import RelationshipType

Edge: TypeAlias = MemoryRelationshipCreate | Mapping[str, Any]
"""An edge to store: the serializer, or a dict of its shape."""

OnExisting: TypeAlias = Literal["keep", "increase"]
"""What becomes of the confidence of an edge that is there already: it stays, or the higher of the two counts."""

_RELATE = Statement("graph/relate_memories")
_STORE = Statement("graph/store_edges")
_STORED = Statement("graph/stored_edges")
_RAISE = Statement("graph/raise_confidences")
_UNRELATE = Statement("graph/unrelate_memories")
_EDGES_AT_ONCE = 5_000

_Key: TypeAlias = tuple[UUID, UUID, str]


class Related(NamedTuple):
    """What :func:`relate` stored or found.

    Attributes:
        edge: The edge as it is stored now.
        created: False where it was there already.
    """

    edge: MemoryRelationship
    created: bool


class EdgeOutcome(NamedTuple):
    """What became of one edge of :func:`relate_many`.

    Attributes:
        relationship_id: The edge's id, whether it is new or was there.
        created: False where it was there already, or earlier in the same call.
    """

    relationship_id: UUID
    created: bool


async def relate(
    source: MemoryArgument,
    target: MemoryArgument,
    relationship_type: RelationshipType | str,
    *,
    confidence_score: float | None = None,
    on_existing: OnExisting = "keep",
) -> Related:
    """Store an edge from one memory to another, once for each type.

    Args:
        source: Where it starts.
        target: Where it ends.
        relationship_type: What the source says of the target.
        confidence_score: How sure it is, 0 to 1; None where nobody said.
        on_existing: Where the edge is there: ``keep`` its confidence, or ``increase`` it where this one is higher.

    Raises:
        SelfReferenceError: Source and target are the same.
        UnknownMemoryError: One of them does not exist in this tenant. The scope can only be undone from here on.
        CheckError: The type is unknown, or the confidence is not within 0 and 1.
    """
    key = _checked_key("target", source, target, relationship_type)
    confidence = column_value(MemoryRelationship, "confidence_score", confidence_score)
    increase = _increases(on_existing)
    current_tenant()
    for _ in range(ATTEMPTS):
        if (row := await _RELATE.fetch_row(*key, confidence, increase)) is not None:
            return Related(model_from(MemoryRelationship, row), row["created"])
    raise TransactionConflictError("the edge is stored and deleted by others all the time; run the scope again")


async def relate_many(edges: Iterable[Edge], *, on_existing: OnExisting = "keep") -> list[EdgeOutcome]:
    """Store many edges, all of them or none; those that are there already are not stored again.

    Calls may run at the same time, in any order; what deadlocks is undone and run again, a few times.

    Args:
        edges: Dicts of the shape of ``MemoryRelationshipCreate``, whose ends may be models too, or that serializer.
        on_existing: Where an edge is there: ``keep`` its confidence, or ``increase`` it where this one is higher. The
            same holds for an edge that occurs twice.

    Returns:
        One outcome for each edge, in the edges' order.

    Raises:
        InvalidInputError: An edge cannot be stored; its ``field`` begins with ``edges[number]``.
        SelfReferenceError: An edge ends where it starts.
        UnknownMemoryError: An edge names a memory that does not exist in this tenant.
        TransactionConflictError: Others were in the way each time; nothing was stored.
    """
    increase = _increases(on_existing)
    keys: list[_Key] = []
    confidences: dict[_Key, float | None] = {}
    for number, edge in enumerate(check_several("edges", edges)):
        key, confidence = _checked_edge(number, edge)
        keys.append(key)
        known = confidences.setdefault(key, confidence)
        if increase and confidence is not None and confidence > (-1 if known is None else known):
            confidences[key] = confidence
    tenant_id = current_tenant()
    if not keys:
        return []
    outcomes = await retried(tenant_id, lambda: _store_all(confidences, increase))
    ordered = []
    for key in keys:
        ordered.append(outcomes[key])
        outcomes[key] = EdgeOutcome(outcomes[key].relationship_id, created=False)
    return ordered


async def unrelate(
    source: MemoryArgument, target: MemoryArgument, relationship_type: RelationshipType | str | None = None
) -> int:
    """Take edges away, for good.

    Args:
        source: Where they start.
        target: Where they end.
        relationship_type: Of which type; by default of all types.

    Returns:
        How many edges there were.
    """
    kind = None if relationship_type is None else _checked_type(relationship_type)
    current_tenant()
    return len(await _UNRELATE.fetch(memory_id_of("source", source), memory_id_of("target", target), kind))


async def _store_all(confidences: dict[_Key, float | None], increase: bool) -> dict[_Key, EdgeOutcome]:
    outcomes: dict[_Key, EdgeOutcome] = {}
    ordered = sorted(confidences)
    for first in range(0, len(ordered), _EDGES_AT_ONCE):
        keys = ordered[first : first + _EDGES_AT_ONCE]
        for row in await _STORE.fetch(*_columns(keys), [confidences[key] for key in keys]):
            outcomes[_key_of(row)] = EdgeOutcome(row["relationship_id"], created=True)
        if there := [key for key in keys if key not in outcomes]:
            outcomes |= await _find_all(there)
            if increase:
                await _RAISE.fetch(
                    [outcomes[key].relationship_id for key in there], [confidences[key] for key in there]
                )
    return outcomes


async def _find_all(keys: list[_Key]) -> dict[_Key, EdgeOutcome]:
    rows = await _STORED.fetch(*_columns(keys))
    if len(rows) < len(keys):  # deleted since the statement that met them
        raise TransactionConflictError("edges of the call were deleted at the same time; run the scope again")
    return {_key_of(row): EdgeOutcome(row["relationship_id"], created=False) for row in rows}


def _columns(keys: list[_Key]) -> tuple[list[UUID], list[UUID], list[str]]:
    return [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]


def _key_of(row: asyncpg.Record) -> _Key:
    return row["source_memory_id"], row["target_memory_id"], row["relationship_type"]


def _checked_edge(number: int, edge: Edge) -> tuple[_Key, float | None]:
    field = f"edges[{number}]"
    if isinstance(edge, Mapping):  # its ends may be named by models, which the serializer does not take
        edge = {key: value.memory_id if isinstance(value, MemoryRecord) else value for key, value in edge.items()}
    try:
        valid = edge if isinstance(edge, MemoryRelationshipCreate) else MemoryRelationshipCreate.model_validate(edge)
    except ValidationError as error:
        first = invalid_input(error)
        raise InvalidInputError(f"{field}.{first.field}".rstrip("."), first.reason) from None
    key = _checked_key(
        f"{field}.target_memory_id", valid.source_memory_id, valid.target_memory_id, valid.relationship_type
    )
    return key, valid.confidence_score


def _checked_key(
    field: str, source: MemoryArgument, target: MemoryArgument, relationship_type: RelationshipType | str
) -> _Key:
    source_id, target_id = memory_id_of("source", source), memory_id_of("target", target)
    if source_id == target_id:
        raise SelfReferenceError(
            field,
            "is the source itself; an edge joins two memories",
            constraint="no_self_reference",
            table="memory_relationships",
        )
    return source_id, target_id, _checked_type(relationship_type)


def _checked_type(relationship_type: RelationshipType | str) -> str:
    kind: str = column_value(MemoryRelationship, "relationship_type", relationship_type)
    return kind


def _increases(on_existing: str) -> bool:
    if on_existing not in ("keep", "increase"):
        raise InvalidInputError("on_existing", "must be 'keep' or 'increase'")
    return on_existing == "increase"
