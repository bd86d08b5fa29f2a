"""Enforcing: what every verb asks before it acts, where access policies are on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import repeat
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg

from memory_guild import audit
from memory_guild.database.engine import client
from memory_guild.database.scope import Scope, current_scope, surrounding_scope
from memory_guild.database.statements import Statement
from memory_guild.errors import AccessDeniedError
from memory_guild.models import MemoryRecord
from memory_guild.policies.deciding import current_decider
from memory_guild.policies.decisions import Decision
from memory_guild.settings import OFF
from memory_guild.types import AuditEvent, PolicyAction

_SOURCES = Statement("policies/sources_of_memories")

_PLAIN_FIELDS = frozenset({"agent_id", "is_deleted", "memory_id", "source_type"})
"""The fields of a memory whose values are equal only if policies cannot tell them apart."""

_MOST_RECORDED = 100
"""How many ids of memories one entry of the audit has at most; it has their number in any case."""


class MemoryFacts(NamedTuple):
    """What policies learn of a memory that is not stored as it is asked about."""

    agent_id: str
    source_type: str
    metadata: dict[str, Any] | None = None
    memory_id: UUID | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    is_deleted: bool | None = False
    source: str | None = None

    @classmethod
    def of(cls, memory: MemoryRecord) -> MemoryFacts:
        """Those of a memory that is stored; where it comes from is known by its id."""
        return cls(**{name: getattr(memory, name) for name in cls._fields if name != "source"})


Subject: TypeAlias = MemoryRecord | MemoryFacts | asyncpg.Record
"""A memory that a decision is about, as it is stored or would be, or a row of one."""


def are_enforced() -> bool:
    """Whether the access policies decide what the current scope may do."""
    scope = surrounding_scope()
    return scope is not None and scope.tenant_id is not None and client().pool.settings.policies != OFF


async def permitted(action: PolicyAction, subjects: Sequence[Subject]) -> list[bool]:
    """Whether something may be done to each of some memories."""
    return [error is None for error in await denials(action, subjects)]


async def require(action: PolicyAction, subjects: Sequence[Subject]) -> None:
    """Check that something may be done to memories, all of them.

    Raises:
        AccessDeniedError: It may not be done to one of them.
    """
    for error in await denials(action, subjects):
        if error is not None:
            raise error


async def require_in_tenant(action: PolicyAction) -> None:
    """Check that something may be done that is about no memory in particular.

    Raises:
        AccessDeniedError: It may not be done.
    """
    if are_enforced():
        (decision,) = await _decide(current_scope(), action, [None])
        if not decision.allowed:
            _record(action, [(None, decision)])
            raise AccessDeniedError(action, decision.reason)


async def denials(action: PolicyAction, subjects: Iterable[Subject]) -> list[AccessDeniedError | None]:
    """Why something may not be done to each of some memories; None where it may."""
    asked = list(subjects)
    if not asked:
        return []
    decisions = await _decide(current_scope(), action, asked)
    if denied := [(subject, one) for subject, one in zip(asked, decisions, strict=True) if not one.allowed]:
        _record(action, denied)
    return [None if decision.allowed else AccessDeniedError(action, decision.reason) for decision in decisions]


def _record(action: PolicyAction, denied: Sequence[tuple[Subject | None, Decision]]) -> None:
    """Have the audit say what was denied, however the scope ends: one entry for each policy and reason."""
    memories: dict[tuple[str | None, str], list[str | None]] = {}
    for subject, decision in denied:
        memory_id = _id_of(subject)
        shown = None if memory_id is None else str(memory_id)
        memories.setdefault((decision.policy, decision.reason), []).append(shown)
    decider = current_decider()
    for (policy, reason), memory_ids in memories.items():
        known = [memory_id for memory_id in memory_ids if memory_id is not None]
        audit.record_surviving(
            AuditEvent.DENIED,
            outcome="denied",
            subject=policy,
            reason=reason,
            details={
                "action": str(action),
                "count": len(memory_ids),
                "memory_ids": known[:_MOST_RECORDED],
                "policy_version": _moment(decider.version_of(policy)),
            },
        )


async def _decide(scope: Scope, action: PolicyAction, subjects: Sequence[Subject | None]) -> list[Decision]:
    decider = current_decider()
    await decider.refresh()
    if decider.sees("source"):
        sources = await _sources_of(scope, subjects)
        return await decider.decide(_inputs(scope, action, subjects, sources))
    fields = decider.fields_of_memory
    if fields is None or not fields <= _PLAIN_FIELDS:
        return await decider.decide(_inputs(scope, action, subjects, repeat(None)))
    # Most memories look alike to most policies: no more inputs are made than there are kinds of them.
    asking = (action, scope.agent_id, scope.tenant_id)
    kinds = [(asking, subject and tuple([_value(subject, field) for field in fields])) for subject in subjects]
    known = decider.known_kinds
    found = {kind: decision for kind in kinds if (decision := known.get(kind)) is not None}
    if unknown := {kind: subject for kind, subject in zip(kinds, subjects, strict=True) if kind not in found}:
        decisions = await decider.decide(_inputs(scope, action, unknown.values(), repeat(None)))
        decided = dict(zip(unknown, decisions, strict=True))
        decider.keep_kinds(known, decided)  # which may drop those that were found
        found |= decided
    return [found[kind] for kind in kinds]


def _inputs(
    scope: Scope, action: PolicyAction, subjects: Iterable[Subject | None], sources: Iterable[dict[str, Any] | None]
) -> list[dict[str, Any]]:
    asking = {"agent_id": scope.agent_id, "tenant_id": scope.tenant_id, "action": str(action)}
    return [
        {**asking, "memory": _memory_of(subject), "source": source}
        for subject, source in zip(subjects, sources, strict=False)
    ]


async def _sources_of(scope: Scope, subjects: Sequence[Subject | None]) -> list[dict[str, Any] | None]:
    """The sources that memories came from, or would come from."""
    names = {subject.source for subject in subjects if isinstance(subject, MemoryFacts) and subject.source is not None}
    memory_ids = {memory_id for subject in subjects if (memory_id := _id_of(subject)) is not None}
    rows = await _SOURCES.fetch(scope.tenant_id, list(memory_ids), list(names))
    found: dict[UUID | str, dict[str, Any]] = {}
    for row in rows:
        source = {
            "name": row["source_name"],
            "source_type": row["source_type"],
            "trust": row["trust"],
            "is_active": row["is_active"],
        }
        found[row["source_name"]] = source
        if row["memory_id"] is not None:
            found[row["memory_id"]] = source
    return [_source_of(subject, found) for subject in subjects]


def _source_of(subject: Subject | None, found: Mapping[UUID | str, dict[str, Any]]) -> dict[str, Any] | None:
    if isinstance(subject, MemoryFacts) and subject.source is not None:
        return found.get(subject.source)
    memory_id = _id_of(subject)
    return None if memory_id is None else found.get(memory_id)


def _id_of(subject: Subject | None) -> UUID | None:
    memory_id: UUID | None = None if subject is None else _value(subject, "memory_id")
    return memory_id


def _memory_of(subject: Subject | None) -> dict[str, Any] | None:
    if subject is None:
        return None
    memory_id, metadata = _value(subject, "memory_id"), _value(subject, "metadata")
    return {
        "memory_id": None if memory_id is None else str(memory_id),
        "agent_id": _value(subject, "agent_id"),
        "source_type": str(_value(subject, "source_type")),
        "metadata": (json.loads(metadata) if isinstance(metadata, str) else metadata) or {},
        "created_at": _moment(_value(subject, "created_at")),
        "updated_at": _moment(_value(subject, "updated_at")),
        "is_deleted": bool(_value(subject, "is_deleted")),
    }


def _value(subject: Subject, field: str) -> Any:
    return subject[field] if isinstance(subject, asyncpg.Record) else getattr(subject, field)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
