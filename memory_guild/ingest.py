"""Storing many memories and edges at once: fixed, set-based statements that store each memory once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from memory_guild.checks import encode_json
from memory_guild.errors import ConstraintError, HashCollisionError, InvalidInputError, SelfReferenceError
from memory_guild.models import hash_content
from memory_guild.scope import current_scope
from memory_guild.serializers import MemoryRecordCreate, MemoryRelationshipCreate
from memory_guild.sql import statement
from memory_guild.tenancy import tenant_scope

Item: TypeAlias = MemoryRecordCreate | Mapping[str, Any]
"""A memory to store: the serializer, or a dict of its shape."""

Edge: TypeAlias = MemoryRelationshipCreate | Mapping[str, Any]
"""An edge to store: the serializer, or a dict of its shape."""

_Key: TypeAlias = tuple[str, str, str]  # tenant_id, agent_id, content_hash
_Records: TypeAlias = dict[_Key, MemoryRecordCreate]
_Model = TypeVar("_Model", bound=BaseModel)

_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of one memory of a batch.

    Attributes:
        memory_id: The memory's id, whether it is new or was there.
        created: False where the text was there already: stored before, forgotten, or earlier in the same batch.
    """

    memory_id: UUID
    created: bool


async def store_memories(items: Sequence[Item]) -> list[Stored]:
    """Store the memories that are not there yet.

    A memory that is there already is left as it is, even a forgotten one. Calls may run at the same time, in any order:
    each memory is stored once. The items of one tenant are one scope, nested where that tenant's is open
    already; the tenants follow one another.

    Returns:
        One outcome for each item, in the items' order.

    Raises:
        InvalidInputError: An item cannot be stored; its ``field`` begins with ``items[number]``. Nothing was stored.
        HashCollisionError: Two different texts have one hash; nothing of that tenant was stored.
    """
    records = validated(MemoryRecordCreate, items, "items")
    keys = [_key(record) for record in records]
    distinct = _distinct(keys, records)
    outcomes: dict[_Key, Stored] = {}
    for tenant_id, batch in groupby(sorted(distinct), key=lambda key: key[0]):
        async with tenant_scope(tenant_id):
            outcomes |= await _store_or_find({key: distinct[key] for key in batch})
    return _in_order(keys, outcomes)


async def store_edges(edges: Sequence[Edge]) -> int:
    """Store the edges that are not there yet; one that is there keeps its confidence. In a scope, all or nothing.

    Returns:
        How many are new.

    Raises:
        InvalidInputError: An edge cannot be stored; its ``field`` begins with ``edges[number]``.
        SelfReferenceError: An edge ends where it starts.
        UnknownMemoryError: An edge names a memory that does not exist, or another tenant's.
        TenantNotSetError: No scope is open.
    """
    distinct: dict[tuple[UUID, UUID, str], MemoryRelationshipCreate] = {}
    for number, edge in enumerate(validated(MemoryRelationshipCreate, edges, "edges")):
        if edge.source_memory_id == edge.target_memory_id:
            raise SelfReferenceError(
                f"edges[{number}].target_memory_id",
                "is the source itself; an edge joins two memories",
                constraint="no_self_reference",
                table="memory_relationships",
            )
        distinct.setdefault((edge.source_memory_id, edge.target_memory_id, edge.relationship_type), edge)
    columns = (
        [source for source, _, _ in distinct],
        [target for _, target, _ in distinct],
        [relationship_type for _, _, relationship_type in distinct],
        [edge.confidence_score for edge in distinct.values()],
    )
    rows = await current_scope().transaction.execute_query_dict(statement("store_edges"), list(columns))
    return len(rows)


def validated(model: type[_Model], items: Iterable[_Model | Mapping[str, Any]], argument: str) -> list[_Model]:
    """The items as Pydantic models; the error for a bad one says which it is."""
    models = []
    for number, item in enumerate(items):
        try:
            models.append(item if isinstance(item, model) else model.model_validate(item))
        except ValidationError as error:
            first = invalid_input(error)
            raise InvalidInputError(f"{argument}[{number}].{first.field}".rstrip("."), first.reason) from None
    return models


def invalid_input(error: ValidationError) -> InvalidInputError:
    """The first thing that Pydantic found wrong, as the package's error, without the input."""
    first = error.errors(include_url=False, include_input=False)[0]
    ours = first.get("ctx", {}).get("error")
    if isinstance(ours, InvalidInputError):
        return ours
    return InvalidInputError(".".join(str(part) for part in first["loc"]), first["msg"])


def _key(record: MemoryRecordCreate) -> _Key:
    return record.tenant_id, record.agent_id, record.content_hash or hash_content(record.content_text)


def _distinct(keys: list[_Key], records: list[MemoryRecordCreate]) -> _Records:
    distinct: _Records = {}
    for key, record in zip(keys, records, strict=True):
        if distinct.setdefault(key, record).content_text != record.content_text:
            raise HashCollisionError(agent_id=key[1], content_hash=key[2])
    return distinct


def _in_order(keys: list[_Key], outcomes: dict[_Key, Stored]) -> list[Stored]:
    """An outcome for each key; where a key repeats, only its first occurrence can have created the memory."""
    ordered = []
    for key in keys:
        ordered.append(outcomes[key])
        outcomes[key] = Stored(outcomes[key].memory_id, created=False)
    return ordered


async def _store_or_find(records: _Records) -> dict[_Key, Stored]:
    # Two statements: the snapshot of the first does not show what a concurrent transaction stored while it waited.
    # A memory that is purged between the two is in neither result, and is stored by the next round.
    outcomes: dict[_Key, Stored] = {}
    for _ in range(_ROUNDS):
        outcomes |= await _store_new(_without(records, outcomes))
        outcomes |= await _find_stored(_without(records, outcomes))
        if len(outcomes) == len(records):
            return outcomes
    raise ConstraintError(
        f"{len(records) - len(outcomes)} memories of the batch can neither be stored nor be seen; look for a trigger"
        " or a policy that hides them",
        table="memory_records",
    )


def _without(records: _Records, outcomes: dict[_Key, Stored]) -> _Records:
    return {key: record for key, record in records.items() if key not in outcomes}


async def _store_new(records: _Records) -> dict[_Key, Stored]:
    columns = (
        [agent_id for _, agent_id, _ in records],
        [tenant_id for tenant_id, _, _ in records],
        [str(record.source_type) for record in records.values()],
        [record.content_text for record in records.values()],
        [content_hash for _, _, content_hash in records],
        [None if record.metadata is None else encode_json(record.metadata) for record in records.values()],
    )
    rows = await current_scope().transaction.execute_query_dict(statement("store_memories"), list(columns))
    return {_key_of_row(row): Stored(row["memory_id"], created=True) for row in rows}


async def _find_stored(records: _Records) -> dict[_Key, Stored]:
    if not records:
        return {}
    columns = (
        [agent_id for _, agent_id, _ in records],
        [tenant_id for tenant_id, _, _ in records],
        [record.content_text for record in records.values()],
        [content_hash for _, _, content_hash in records],
    )
    rows = await current_scope().transaction.execute_query_dict(statement("stored_memories"), list(columns))
    for row in rows:
        if not row["same_text"]:
            raise HashCollisionError(row["agent_id"], row["content_hash"])
    return {_key_of_row(row): Stored(row["memory_id"], created=False) for row in rows}


def _key_of_row(row: dict[str, Any]) -> _Key:
    return row["tenant_id"], row["agent_id"], row["content_hash"]
