"""Recording in the audit what a scope does, and how that outlives a rollback.

An entry about what was done is written in the transaction that did it: without the one there is not the other. What
must be known also when the scope is rolled back waits in the trail. It is written just before the commit, or after the
rollback in a transaction of its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from memory_guild.database.sqlstate import translated_errors
from memory_guild.database.statements import statement
from memory_guild.database.trail import Entry, Trail
from memory_guild.errors import MemoryGuildError, ServerUnreachableError

if TYPE_CHECKING:
    import asyncpg

    from memory_guild.database.transaction import ScopeTransaction, ScopeTransactionContext

_log = logging.getLogger("memory_guild.audit")

_ATTEMPTS = 3
_SECONDS_BETWEEN_ATTEMPTS = 0.2
_SECONDS_TO_WRITE = 30.0

_writing: set[asyncio.Task[None]] = set()
"""The event loop itself keeps no task alive."""


def trail_of(transaction: ScopeTransaction) -> Trail:
    """The trail of the outermost scope around."""
    session = transaction.session
    if session.trail is None:
        session.trail = Trail()
    return session.trail


async def write(transaction: ScopeTransaction, entries: Iterable[Entry]) -> None:
    """Write entries in a transaction, in one statement."""
    if given := list(entries):
        with translated_errors():
            async with transaction.driver() as driver:
                await add(driver, given, is_distributed=transaction.is_distributed)


async def add(driver: asyncpg.Connection[asyncpg.Record], entries: Iterable[Entry], *, is_distributed: bool) -> None:
    """Add entries to the audit of the schema that a connection works in."""
    rows = [_row(entry) for entry in entries]
    if is_distributed:
        await driver.executemany(statement("database/citus/record_entry"), rows)
    else:
        await driver.execute(statement("database/record_entries"), *map(list, zip(*rows, strict=True)))


async def outlive(ended: ScopeTransactionContext, entries: Iterable[Entry]) -> None:
    """Write entries after their scope was rolled back. It raises nothing: what cannot be written is logged.

    The caller may have been cancelled, and may be again while this goes on: then it goes on without the caller.

    Args:
        ended: The scope's transaction, which has ended.
        entries: The entries.
    """
    if remaining := tuple(entries):
        task = asyncio.create_task(_write_anew(ended, remaining))
        _writing.add(task)
        task.add_done_callback(_writing.discard)
        await asyncio.shield(task)


async def _write_anew(ended: ScopeTransactionContext, entries: tuple[Entry, ...]) -> None:
    try:
        if not ended.is_possible:
            raise ServerUnreachableError("the pool is closed")
        async with asyncio.timeout(_SECONDS_TO_WRITE):
            for attempt in range(_ATTEMPTS):
                try:
                    async with ended.again() as transaction:
                        await write(transaction, entries)
                    break
                except MemoryGuildError as error:
                    if not error.retryable or attempt == _ATTEMPTS - 1:
                        raise
                await asyncio.sleep(_SECONDS_BETWEEN_ATTEMPTS)
    except BaseException as error:
        for entry in entries:
            log(entry, f" (NOT in the audit table: {type(error).__name__})", logging.ERROR)
        if not isinstance(error, Exception):
            raise
    else:
        for entry in entries:
            log(entry)


def log(entry: Entry, remark: str = "", level: int | None = None) -> None:
    """Say what is in the audit as a line of the log, with the entry's fields as attributes of the record."""
    fields = {
        "audit_id": str(entry.audit_id),
        "event": entry.event,
        "outcome": entry.outcome,
        "tenant_id": entry.tenant_id,
        "agent_id": entry.agent_id,
        "subject": entry.subject,
        "reason": entry.reason,
        "details": dict(entry.details),
    }
    said = " ".join(
        f"{name}={json.dumps(value, default=str)}" for name, value in fields.items() if value not in (None, {})
    )
    usual = logging.WARNING if entry.outcome == "denied" else logging.INFO
    _log.log(level or usual, "audit: %s%s", said, remark, extra=fields)


def _row(entry: Entry) -> tuple[Any, ...]:
    # A reason may come from a policy, and a subject from a caller: what no text can hold must not keep it from being
    # recorded. JSON escapes such characters, and jsonb refuses the escapes.
    details = json.dumps(entry.details, default=str, ensure_ascii=False).replace("\\u0000", "\\ufffd")
    return (
        entry.audit_id,
        _storable(entry.tenant_id),
        _storable(entry.agent_id),
        _storable(entry.event),
        _storable(entry.subject),
        _storable(entry.outcome),
        _storable(entry.reason),
        _storable(details),
    )


def _storable(text: str | None) -> str | None:
    if text is None:
        return None
    return str.__str__(text).replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
