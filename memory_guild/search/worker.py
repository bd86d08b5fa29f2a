"""The worker: makes an index outside PostgreSQL equal to PostgreSQL, one batch of changed keys after the other.

It claims keys and reads what the index should have in a short scope, calls the index with no transaction open, and ends
the claim in another short scope. See :mod:`memory_guild.search.outbox` for what happens when it does not get so far.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Literal, NamedTuple

from memory_guild.database.engine import client
from memory_guild.database.scope import is_in_scope
from memory_guild.errors import IndexNotRegisteredError, ScopeError, VectorIndexError
from memory_guild.memories.arguments import check_whole_number
from memory_guild.protocols import VectorIndex
from memory_guild.search.external import chosen_index
from memory_guild.search.outbox import Changed, Release, claim, end, is_registered, register, unregister
from memory_guild.search.sweep import sweep
from memory_guild.tenancy import Reach, reaches
from memory_guild.values.checks import check_name

Outcome = Literal["done", "failed", "in doubt"]

_CALLS_IN_A_LEASE = 6
"""A lease is as long as so many calls that time out. Its worker starts no call after it."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 300.0
"""How long a key waits after a failure; twice as long after each further one."""

_log = logging.getLogger("memory_guild.search.worker")


class SyncReport(NamedTuple):
    """What was done to a vector index outside PostgreSQL.

    Attributes:
        stored: How many vectors were stored in it.
        deleted: How many were deleted from it, or were not there any more.
        failed: How many it certainly did not store or delete. They are tried again after a pause.
        in_doubt: How many it may have stored or deleted, or may still, as after a time-out. They are left alone for
            ``MEMORY_GUILD_VECTOR_FENCE_SECONDS``, and then done again.
    """

    stored: int = 0
    deleted: int = 0
    failed: int = 0
    in_doubt: int = 0

    def plus(self, other: SyncReport) -> SyncReport:
        """This one and another."""
        return SyncReport(*(one + more for one, more in zip(self, other, strict=True)))


class _Call(NamedTuple):
    """One call of the index: keys of one tenant and model, all of them to be stored or all to be deleted."""

    changed: Sequence[Changed]

    async def on(self, index: VectorIndex) -> None:
        key = self.changed[0].key
        if vectors := [one.vector for one in self.changed if one.vector is not None]:
            await index.upsert(key.tenant_id, key.model, vectors)
        else:
            await index.delete(key.tenant_id, key.model, [one.key.memory_id for one in self.changed])

    def report(self, outcome: Outcome) -> SyncReport:
        number = len(self.changed)
        if outcome == "done":
            return SyncReport(deleted=number) if self.changed[0].vector is None else SyncReport(stored=number)
        return SyncReport(failed=number) if outcome == "failed" else SyncReport(in_doubt=number)


async def sync_vectors(
    index: VectorIndex | None = None,
    *,
    tenant_id: str | None = None,
    batch_size: int = 200,
    stop: asyncio.Event | None = None,
    progress: Callable[[SyncReport], None] | None = None,
) -> SyncReport:
    """Make a vector index outside PostgreSQL equal to PostgreSQL: do what is due, and return.

    Call it outside scopes, again and again, as ``memory-guild sync`` does; any number of processes may do so at once.
    It ends when nothing is due, or when the index failed with all of a batch. What failed is due again later.

    The first call for an index, by a login that may become ``memory_guild_admin``, registers it: from then on writers
    note which vectors change. That call also compares the index with the vectors that are there already.

    Args:
        index: The index; by default that of the database, see :func:`connect`.
        tenant_id: The tenant, so that an agent's login can do it for its own. Without it, all tenants are done, and
            the login must be one that may become ``memory_guild_admin``.
        batch_size: The most vectors to send in one call, 1 to 10,000.
        stop: Set it to have the call end after the batch that it is at.
        progress: Called after each batch with what this call has done so far.

    Returns:
        What was done.

    Raises:
        InvalidInputError: An argument is invalid, or there is no index.
        ScopeError: A scope is open around the call.
        IndexNotRegisteredError: A tenant is named, and the index was never synced without one.
        VectorIndexError: The index could not be compared when it was registered; the next call tries again.
        RoleMissingError: The login may not become ``memory_guild_admin``, and no tenant is named.
        SearchNotInstalledError: The database has no search tables.
    """
    tenant = None if tenant_id is None else check_name("tenant_id", tenant_id)
    check_whole_number("batch_size", batch_size)
    chosen = chosen_index(index)
    if is_in_scope():
        raise ScopeError("sync_vectors calls a vector index, and a scope is open meanwhile; call it outside the scope")
    report = SyncReport()
    for reach in await reaches(tenant):
        if tenant is None:
            await register(chosen.name, reach, partial(sweep, chosen, reach))
        elif await is_registered(chosen.name, reach) is None:
            raise IndexNotRegisteredError(chosen.name)
        while stop is None or not stop.is_set():
            done = await _sync_batch(chosen, reach, batch_size)
            if done is None:
                break
            report = report.plus(done)
            if progress is not None:
                progress(report)
            if not done.stored and not done.deleted:
                return report  # the index is down: what is still due would fail, too
    return report


async def unregister_vector_index(index: VectorIndex | None = None) -> bool:
    """Stop mirroring vectors into an index outside PostgreSQL: writers note no more what changes for it.

    What the store has stays there. A later ``sync_vectors`` registers the index anew. The login must be one that may
    become ``memory_guild_admin``.

    Args:
        index: The index; by default that of the database, see :func:`connect`.

    Returns:
        Whether it was registered.

    Raises:
        InvalidInputError: It is no index, or there is none.
        RoleMissingError: The login may not become ``memory_guild_admin``.
        SearchNotInstalledError: The database has no search tables.
    """
    name = chosen_index(index).name
    return any([await unregister(name, reach) for reach in await reaches(None)])


async def _sync_batch(index: VectorIndex, reach: Reach, batch_size: int) -> SyncReport | None:
    """Claim a batch, call the index, and end the claim; None where nothing is due."""
    settings = client().pool.settings
    lease_seconds = _CALLS_IN_A_LEASE * settings.vector_timeout_seconds
    ends_at = time.monotonic() + lease_seconds  # before the claim, whose own clock starts later
    batch = await claim(index.name, reach, limit=batch_size, seconds=lease_seconds + settings.vector_fence_seconds)
    if not batch.changed:
        return None
    report = SyncReport()
    done: list[Changed] = []
    left: list[Release] = []
    for call in _calls(batch.changed, batch_size):
        seconds = min(settings.vector_timeout_seconds, ends_at - time.monotonic())
        if seconds <= 0:
            left += [Release(one.key, 0, one.attempts) for one in call.changed]
            continue
        outcome = await _attempt(index, call, seconds)
        report = report.plus(call.report(outcome))
        if outcome == "done":
            done += call.changed
        else:
            fence = settings.vector_fence_seconds if outcome == "in doubt" else 0.0
            left += [Release(one.key, max(fence, _pause(one.attempts)), one.attempts + 1) for one in call.changed]
    await end(batch, done, left)
    return report


def _calls(changed: Sequence[Changed], batch_size: int) -> Iterator[_Call]:
    """What to call the index with. Keys that it failed with are sent in smaller calls each time.

    So a vector that a store refuses, or a batch that is too large for its time-out, does not keep others from getting
    through.
    """

    def together(one: Changed) -> tuple[str, str, bool, int]:
        return one.key.tenant_id, one.key.model, one.vector is None, one.attempts

    for (*_, attempts), group in groupby(sorted(changed, key=together), key=together):
        keys, size = list(group), max(1, batch_size >> attempts)
        for first in range(0, len(keys), size):
            yield _Call(keys[first : first + size])


async def _attempt(index: VectorIndex, call: _Call, seconds: float) -> Outcome:
    try:
        async with asyncio.timeout(seconds):
            await call.on(index)
    except VectorIndexError as error:
        _log.warning("%s; it is tried again", error)
        return "in doubt" if error.is_in_doubt else "failed"
    except Exception as error:  # whatever a client raises: nobody knows what the store has done
        _log.warning("%s: %s; it is tried again", index.name, type(error).__name__)
        return "in doubt"
    return "done"


def _pause(attempts: int) -> float:
    """How long a key waits after so many failures before."""
    seconds = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(attempts, 30))
    # Random, so that not all are due at once when the store is back; nothing secret depends on it.
    return seconds * random.uniform(0.5, 1)  # noqa: S311
