"""Edges between memories: storing them, one or many, and deleting them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from pydantic import ValidationError

from memory_guild.database.statements import Statement, Step
from memory_guild.errors import InvalidInputError, SelfReferenceError, TransactionConflictError
from memory_guild.graph.bulk import EdgeKey, EdgeOutcome, store_edges
from memory_guild.memories.arguments import (
    MemoryArgument,
    check_choice,
    check_several,
    column_value,
    current_tenant,
    memory_id_of,
)
from memory_guild.memories.permitting import require_by_id
from memory_guild.models import MemoryRelationship
from memory_guild.rows import model_from
from memory_guild.serializers import MemoryRelationshipCreate, MemoryRelationshipTool, invalid_input
from memory_guild.tenancy import ATTEMPTS, retried
from memory_guild.types import PolicyAction, RelationshipType

Edge: TypeAlias = MemoryRelationshipCreate | MemoryRelationshipTool | Mapping[str, Any]
"""An edge to store: one of the serializers, or a dict of its columns."""

OnExisting: TypeAlias = Literal["keep", "increase"]
"""What to do with the confidence of an edge that exists: keep it, or increase it if the new one is higher."""

_RELATE = Statement(
    "graph/relate_memories",
    on_citus=(
        Step("graph/citus/insert_edge", (1, 2, 3, 4)),
        Step("graph/citus/edge_to_keep"),
        Step("graph/citus/raise_edge"),
    ),
)
_UNRELATE = Statement("graph/unrelate_memories")


class Related(NamedTuple):
    """What :func:`relate` stored or found. Use it as the edge, or unpack it: ``edge, created = …``.

    Attributes:
        edge: The edge as it is stored now.
        created: False if it existed.
    """

    edge: MemoryRelationship
    created: bool

    def __getattr__(self, name: str) -> Any:
        """An attribute of the edge."""
        if name.startswith("_"):
            raise AttributeError(f"'Related' object has no attribute {name!r}")
        return getattr(self.edge, name)


async def relate(
    source: MemoryArgument,
    target: MemoryArgument,
    relationship_type: RelationshipType | str,
    *,
    confidence_score: float | None = None,
    on_existing: OnExisting = "keep",
) -> Related:
    """Store an edge from one memory to another. There is one edge for each pair of memories and type.

    Args:
        source: Where it starts.
        target: Where it ends.
        relationship_type: What the source says of the target.
        confidence_score: How sure it is, 0 to 1; None if unspecified.
        on_existing: What to do if the edge exists: ``keep`` its confidence, or ``increase`` it if this one is higher.

    Raises:
        SelfReferenceError: Source and target are the same.
        UnknownMemoryError: One of them does not exist in this tenant. The scope can only be rolled back.
        AccessDeniedError: The access policies do not allow it for one of them; nothing was written.
        CheckError: The type is unknown, or the confidence is not from 0 to 1.
        TransactionConflictError: Other transactions kept storing and deleting the edge; run the scope again.
    """
    key = _checked_key("target", source, target, relationship_type)
    confidence = column_value(MemoryRelationship, "confidence_score", confidence_score)
    increase = check_choice("on_existing", on_existing, get_args(OnExisting)) == "increase"
    current_tenant()
    await require_by_id(PolicyAction.RELATE, key[:2])
    for _ in range(ATTEMPTS):
        if (row := await _RELATE.fetch_row(*key, confidence, increase)) is not None:
            return Related(model_from(MemoryRelationship, row), row["created"])
    raise TransactionConflictError("other transactions keep storing and deleting this edge; run the scope again")


async def relate_many(edges: Iterable[Edge], *, on_existing: OnExisting = "keep") -> list[EdgeOutcome]:
    """Store many edges, all or none. Edges that exist are not stored again.

    Calls may run at the same time, in any order. After a deadlock, the call is rolled back and run again, a few times.

    Args:
        edges: Dicts of the shape of ``MemoryRelationshipCreate``, whose ends may be models or results, or that
            serializer.
        on_existing: What to do if an edge exists: ``keep`` its confidence, or ``increase`` it if the new one is higher.
            The same holds for an edge that is given twice.

    Returns:
        One outcome for each edge, in the same order.

    Raises:
        InvalidInputError: An edge cannot be stored; its ``field`` begins with ``edges[number]``.
        SelfReferenceError: An edge starts and ends at the same memory.
        UnknownMemoryError: An edge names a memory that does not exist in this tenant.
        AccessDeniedError: The access policies do not allow it for a memory of an edge; nothing was stored.
        TransactionConflictError: Every attempt met a conflict with other transactions; nothing was stored.
    """
    increase = check_choice("on_existing", on_existing, get_args(OnExisting)) == "increase"
    keys: list[EdgeKey] = []
    confidences: dict[EdgeKey, float | None] = {}
    for number, edge in enumerate(check_several("edges", edges)):
        key, confidence = _checked_edge(number, edge)
        keys.append(key)
        known = confidences.setdefault(key, confidence)
        if increase and confidence is not None and (known is None or confidence > known):
            confidences[key] = confidence
    tenant_id = current_tenant()
    if not keys:
        return []
    await require_by_id(PolicyAction.RELATE, [memory_id for key in keys for memory_id in key[:2]])
    outcomes = await retried(tenant_id, lambda: store_edges(confidences, increase=increase))
    ordered = []
    for key in keys:
        ordered.append(outcomes[key])
        outcomes[key] = EdgeOutcome(outcomes[key].relationship_id, created=False)
    return ordered


async def unrelate(
    source: MemoryArgument, target: MemoryArgument, relationship_type: RelationshipType | str | None = None
) -> int:
    """Delete edges. They cannot be restored.

    Args:
        source: Where they start.
        target: Where they end.
        relationship_type: Their type; by default all types.

    Returns:
        How many edges were deleted.

    Raises:
        AccessDeniedError: The access policies do not allow it for one of the memories; nothing was deleted.
    """
    kind = None if relationship_type is None else _checked_type(relationship_type)
    ends = memory_id_of("source", source), memory_id_of("target", target)
    current_tenant()
    await require_by_id(PolicyAction.UNRELATE, ends)
    return len(await _UNRELATE.fetch(*ends, kind))


def _checked_edge(number: int, edge: Edge) -> tuple[EdgeKey, float | None]:
    field = f"edges[{number}]"
    if isinstance(edge, Mapping):  # its ends may be models or results, which the serializer does not accept
        edge = {key: getattr(value, "memory_id", value) for key, value in edge.items()}
    try:
        valid = (
            edge
            if isinstance(edge, (MemoryRelationshipCreate, MemoryRelationshipTool))
            else MemoryRelationshipCreate.model_validate(edge)
        )
    except ValidationError as error:
        first = invalid_input(error)
        raise InvalidInputError(f"{field}.{first.field}".rstrip("."), first.reason) from None
    key = _checked_key(
        f"{field}.target_memory_id", valid.source_memory_id, valid.target_memory_id, valid.relationship_type
    )
    return key, valid.confidence_score


def _checked_key(
    field: str, source: MemoryArgument, target: MemoryArgument, relationship_type: RelationshipType | str
) -> EdgeKey:
    source_id, target_id = memory_id_of("source", source), memory_id_of("target", target)
    if source_id == target_id:
        raise SelfReferenceError(field)
    return source_id, target_id, _checked_type(relationship_type)


def _checked_type(relationship_type: RelationshipType | str) -> str:
    kind: str = column_value(MemoryRelationship, "relationship_type", relationship_type)
    return kind
