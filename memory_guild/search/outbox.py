"""The outbox: which vectors changed since an index outside PostgreSQL was made equal to them.

Triggers fill it, see the migration. A row says which key changed, never what to do: whoever claims it reads the present
state. So it does not matter in which order changes were made, and how often a key is handled.

A claim is a lease. Until it ends nobody else touches the keys in the index. A key whose last call may still be carried
out is not due before it no longer may: that is the fence, and it is part of every lease, since a worker may crash.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg

from memory_guild.database.conflicts import repeated
from memory_guild.database.sqlstate import SEARCH_NOT_INSTALLED
from memory_guild.database.statements import Statement
from memory_guild.errors import LockNotAvailableError
from memory_guild.moments import DistantMoment
from memory_guild.protocols import IndexedVector
from memory_guild.tenancy import ATTEMPTS, Reach

_CLAIM = Statement("search/claim_vectors", planned_for_values=True, explanations=SEARCH_NOT_INSTALLED)
_READ = Statement("search/vectors_to_index")
_SETTLE = Statement("search/settle_vectors")
_RELEASE = Statement("search/release_vectors")
_REGISTERED = Statement("search/registered_index", explanations=SEARCH_NOT_INSTALLED)
_REGISTER = Statement("search/register_index")
_FILL = Statement("search/fill_index")
_UNREGISTER = Statement("search/unregister_index", explanations=SEARCH_NOT_INSTALLED)
_CLEAR = Statement("search/clear_outbox")

_ROWS_AT_ONCE = 10_000
_ATTEMPTS_TO_END = 3
_SECONDS_BETWEEN_ATTEMPTS = 0.05


class Key(NamedTuple):
    """What an index keeps a vector under.

    Attributes:
        tenant_id: The tenant.
        model: The model that made the vector.
        memory_id: The memory.
    """

    tenant_id: str
    model: str
    memory_id: UUID


class Changed(NamedTuple):
    """A key that changed.

    Attributes:
        key: The key.
        version: What tells whether it has changed again.
        attempts: How often the index failed since it last succeeded.
        vector: What the index should have; None for nothing.
    """

    key: Key
    version: int
    attempts: int
    vector: IndexedVector | None


class Release(NamedTuple):
    """How a key stays in the outbox.

    Attributes:
        key: The key.
        seconds: In how many seconds it is due.
        attempts: How often the index has failed.
        unless_version: The version in which it is not to be released; None for none.
    """

    key: Key
    seconds: float
    attempts: int
    unless_version: int | None = None


class Claim(NamedTuple):
    """Keys that a worker has to itself.

    Attributes:
        claim_id: What tells it from the claim of another worker.
        index_name: The index.
        reach: Whose rows the worker sees.
        changed: The keys.
    """

    claim_id: UUID
    index_name: str
    reach: Reach
    changed: list[Changed]


async def claim(index_name: str, reach: Reach, *, limit: int, seconds: float) -> Claim:
    """Claim what is due, and read what the index should have.

    Args:
        index_name: The index.
        reach: Whose rows to see.
        limit: The most keys.
        seconds: For how long, the fence included.
    """
    claim_id = uuid4()

    async def in_scope() -> list[Changed]:
        async with reach.scope():
            rows = await _CLAIM.fetch(index_name, reach.tenant_id, limit, seconds, claim_id)
            # A statement of its own: that one may return rows that were written after it began.
            vectors = await _vectors([_key(row) for row in rows]) if rows else {}
        return [Changed(_key(row), row["version"], row["attempts"], vectors.get(_key(row))) for row in rows]

    return Claim(claim_id, index_name, reach, await repeated(in_scope, ATTEMPTS))


async def end(claim: Claim, done: Sequence[Changed], left: Sequence[Release]) -> None:
    """End a claim: take out what is done and has not changed meanwhile, and leave the rest.

    It waits for no other transaction, so it takes part in no deadlock: what an agent is changing is tried again a
    little later. What is still held after that ends with the lease.
    """
    by_key = {one.key: one for one in done}
    releases = {release.key: release for release in left}
    held = {*by_key, *releases}
    for attempt in range(_ATTEMPTS_TO_END):
        await asyncio.sleep(attempt * _SECONDS_BETWEEN_ATTEMPTS)
        held -= await repeated(partial(_end, claim, by_key, releases, frozenset(held)), ATTEMPTS)
        if not held:
            break


async def register(index_name: str, reach: Reach, fill: Callable[[], Awaitable[object]]) -> None:
    """Have writers tell the outbox about an index, once; then let it be compared with what is there already.

    Args:
        index_name: The index.
        reach: All tenants, of a group where there are several.
        fill: Compares it. If it fails, it is called again the next time.

    Raises:
        LockNotAvailableError: Scopes that write vectors did not end.
        RoleMissingError: The login may not open maintenance scopes.
    """
    is_filled = await is_registered(index_name, reach)
    if is_filled:
        return
    if is_filled is None:
        for attempt in range(ATTEMPTS):
            try:
                async with reach.scope():
                    await _REGISTER.fetch(index_name)
                break
            except LockNotAvailableError:
                if attempt == ATTEMPTS - 1:
                    raise
                await asyncio.sleep(1)
    await fill()
    async with reach.scope():
        await _FILL.fetch(index_name)


async def is_registered(index_name: str, reach: Reach) -> bool | None:
    """Whether an index is registered and has been compared with all vectors; None where it is not registered.

    Args:
        index_name: The index.
        reach: In whose scope to ask.
    """
    async with reach.scope():
        row = await _REGISTERED.fetch_row(index_name)
    return None if row is None else bool(row["is_filled"])


async def unregister(index_name: str, reach: Reach) -> bool:
    """Have writers tell the outbox no more about an index, and clear what it says; whether it was registered."""
    async with reach.scope():
        was_registered = await _UNREGISTER.fetch_row(index_name) is not None
    deleted = _ROWS_AT_ONCE
    while deleted == _ROWS_AT_ONCE:
        deleted = await repeated(partial(_clear, index_name, reach), ATTEMPTS)
    return was_registered


async def _clear(index_name: str, reach: Reach) -> int:
    async with reach.scope():
        row = await _CLEAR.fetch_only_row(index_name, _ROWS_AT_ONCE)
    return int(row["deleted"])


async def _vectors(keys: Sequence[Key]) -> dict[Key, IndexedVector]:
    rows = await _READ.fetch(*_columns(keys))
    return {_key(row): _indexed(row) for row in rows}


def _indexed(row: asyncpg.Record) -> IndexedVector:
    created_at: datetime | None = row["created_at"]
    return IndexedVector(
        row["memory_id"],
        json.loads(row["numbers"]),
        row["fingerprint"],
        row["agent_id"],
        row["source_type"],
        None if isinstance(created_at, DistantMoment) else created_at,
    )


async def _end(
    claim: Claim, done: Mapping[Key, Changed], left: Mapping[Key, Release], held: frozenset[Key]
) -> set[Key]:
    """End the claim of the keys that are held, as far as nobody is changing them; those that it ended."""
    async with claim.reach.scope():
        settled = await _settle(claim, [one for key, one in done.items() if key in held])
        # What is settled no more because it changed is due; what is only held by somebody is settled the next time.
        changed = [Release(key, 0, 0, one.version) for key, one in done.items() if key in held - settled]
        released = await _release(claim, [*changed, *(one for key, one in left.items() if key in held)])
    return settled | released


async def _settle(claim: Claim, done: Sequence[Changed]) -> set[Key]:
    if not done:
        return set()
    versions = [one.version for one in done]
    rows = await _SETTLE.fetch(claim.index_name, *_columns([one.key for one in done]), versions, claim.claim_id)
    return {_key(row) for row in rows}


async def _release(claim: Claim, left: Sequence[Release]) -> set[Key]:
    if not left:
        return set()
    seconds, attempts = [one.seconds for one in left], [one.attempts for one in left]
    keys = _columns([one.key for one in left])
    versions = [one.unless_version for one in left]
    rows = await _RELEASE.fetch(claim.index_name, *keys, claim.claim_id, seconds, attempts, versions)
    return {_key(row) for row in rows}


def _columns(keys: Sequence[Key]) -> list[list[Any]]:
    return [list(column) for column in zip(*keys, strict=True)]


def _key(row: asyncpg.Record) -> Key:
    return Key(row["tenant_id"], row["embedding_model"], row["memory_id"])
