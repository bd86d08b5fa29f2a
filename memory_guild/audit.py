"""The audit: who worked across all tenants, what was erased, purged or denied, which sources and policies were changed.

Entries can be added and never changed, and say nothing of what a memory contains. Each is also a line of the log, of
the logger ``memory_guild.audit``, with the entry's fields as attributes of the record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from memory_guild.database.recording import trail_of, write
from memory_guild.database.scope import current_scope
from memory_guild.database.statements import Statement
from memory_guild.database.trail import Entry
from memory_guild.errors import InvalidInputError, ScopeError
from memory_guild.types import AuditEvent
from memory_guild.values.checks import check_aware, check_name

MAX_LIMIT = 10_000
"""The most entries that one call returns; ``until`` leads on to earlier ones."""

_ENTRIES = Statement("database/audit_entries", planned_for_values=True)


class AuditEntry(BaseModel):
    """An entry of the audit.

    Attributes:
        audit_id: Its id.
        occurred_at: When it was written, by the server's clock.
        tenant_id: The tenant that it is about; None for all of them.
        agent_id: The agent, as the scope names it; None where it names none.
        login: The role that had logged in to the server.
        event: What happened, see :class:`memory_guild.types.AuditEvent`.
        subject: A name: of a policy, of a source; None where there is none.
        outcome: ``done``, ``denied``, or for a scope ``committed`` or ``rolled back``.
        reason: Why, in words, or None.
        details: Numbers, ids and hashes.
    """

    model_config = ConfigDict(frozen=True)

    audit_id: UUID
    occurred_at: datetime
    tenant_id: str | None
    agent_id: str | None
    login: str
    event: str
    subject: str | None
    outcome: str
    reason: str | None
    details: dict[str, Any]


async def entries(
    *,
    tenant_id: str | None = None,
    event: AuditEvent | str | None = None,
    agent_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
) -> list[AuditEntry]:
    """The entries of the audit that match, the newest first. Call it in an ``admin_scope``.

    Args:
        tenant_id: Only those about this tenant.
        event: Only those about this event.
        agent_id: Only those of this agent.
        since: Only those from this moment on; an aware datetime.
        until: Only those before this moment; an aware datetime.
        limit: At most so many, 1 to 10,000.

    Raises:
        InvalidInputError: An argument is invalid, or there is no such event.
        ScopeError: The scope is a tenant's, which may not read the audit.
    """
    if current_scope().tenant_id is not None:
        raise ScopeError("a tenant may not read the audit; read it inside `async with guild.admin_scope(reason):`")
    if event is not None and event not in list(AuditEvent):
        raise InvalidInputError("event", f"is none of: {', '.join(AuditEvent)}")
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        raise InvalidInputError("limit", f"must be a whole number from 1 to {MAX_LIMIT:,}")
    rows = await _ENTRIES.fetch(
        None if tenant_id is None else check_name("tenant_id", tenant_id),
        None if event is None else AuditEvent(event).value,
        None if agent_id is None else check_name("agent_id", agent_id),
        None if since is None else check_aware("since", since),
        None if until is None else check_aware("until", until),
        limit,
    )
    return [AuditEntry(**{**row, "details": json.loads(row["details"])}) for row in rows]


async def record(
    event: AuditEvent,
    *,
    outcome: str = "done",
    subject: str | None = None,
    reason: str | None = None,
    details: Mapping[str, Any] | None = None,
    tenant_id: str | None = None,
) -> UUID:
    """Record what the scope does, in its own transaction: if that is rolled back, there is no entry either.

    Args:
        event: What happens.
        outcome: How it ended.
        subject: A name, such as that of a policy.
        reason: Why, in words.
        details: Numbers, ids and hashes; nothing that a memory contains.
        tenant_id: The tenant that it is about; by default that of the scope.

    Returns:
        The entry's id.
    """
    transaction = current_scope().transaction
    entry = _entry(event, outcome, subject, reason, details, tenant_id)
    await write(transaction, [entry])
    trail_of(transaction).written.append(entry)
    return entry.audit_id


def record_surviving(
    event: AuditEvent,
    *,
    outcome: str,
    subject: str | None = None,
    reason: str | None = None,
    details: Mapping[str, Any] | None = None,
    tenant_id: str | None = None,
) -> UUID:
    """Record what must be known however the scope ends; nothing is sent now.

    It is written with the others of its kind, in one statement, when the outermost scope ends: before its commit, or
    after its rollback in a transaction of its own. What cannot be written then is logged as an error. The arguments are
    those of :func:`record`.

    Returns:
        The entry's id.
    """
    entry = _entry(event, outcome, subject, reason, details, tenant_id)
    trail_of(current_scope().transaction).surviving.append(entry)
    return entry.audit_id


def _entry(
    event: AuditEvent,
    outcome: str,
    subject: str | None,
    reason: str | None,
    details: Mapping[str, Any] | None,
    tenant_id: str | None,
) -> Entry:
    scope = current_scope()
    return Entry(
        event=event,
        outcome=outcome,
        tenant_id=tenant_id or scope.tenant_id,
        agent_id=scope.agent_id,
        subject=subject,
        reason=reason,
        details=details or {},
    )
