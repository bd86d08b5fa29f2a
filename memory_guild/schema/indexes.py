"""Optional indexes: each speeds up a list for which the specification has no index, or recall for a large tenant.

They are built with CREATE INDEX CONCURRENTLY, so agents keep reading and writing. Each makes every write a little
slower, which is why nothing creates them by itself. Their comment begins with ``deliberate:``; by that ``validate``
knows that they are no mistake.

There is no index on ``metadata``. Under row-level security, PostgreSQL uses an index for an operator only if the
operator is leakproof: any other could see other tenants' rows before the policy hides them. No jsonb operator is
leakproof. EXPLAIN on PostgreSQL 15 to 18: ``metadata @> …`` in a tenant's scope ignores a GIN index of either class,
even with ``enable_seqscan = off``; a superuser's same query uses it. It would slow every write and help no agent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import asyncpg

from memory_guild.database.connecting import connect_for_maintenance, settings_for
from memory_guild.database.engine import client
from memory_guild.database.migrations import check_migrations
from memory_guild.database.sqlstate import (
    INSUFFICIENT_PRIVILEGE,
    QUERY_CANCELED,
    READ_ONLY,
    Explanations,
    translated_errors,
)
from memory_guild.database.statements import statement
from memory_guild.errors import (
    InvalidInputError,
    PermissionDeniedError,
    SchemaError,
    SettingsError,
    StatementCanceledError,
)

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

_SECONDS_BETWEEN_ATTEMPTS = 0.5

MIN_VECTORS = 50_000
"""From so many vectors by one model on, an index for them finds a tenant's most alike many times as fast."""

State: TypeAlias = Literal["missing", "invalid", "unmarked", "valid", "different", "leftover"]
Outcome: TypeAlias = Literal["created", "repaired", "marked", "kept", "dropped", "absent"]


@dataclass(frozen=True, slots=True)
class OptionalIndex:
    """An optional index, its state, and the statements that complete it.

    Attributes:
        name: Its name in the catalog.
        purpose: The reads that it speeds up.
        state: ``missing``; ``invalid``: its build or drop was interrupted, or it is being built now; ``unmarked``:
            valid, but without the comment that tells ``validate`` that it is wanted; ``valid``; ``different``:
            something else has its name; ``leftover``: the vectors that it was for are gone.
        statements: What :func:`create` would run, in order, each outside a transaction; empty if there is nothing to
            do.
        drop_statement: What :func:`drop` would run.
    """

    name: str
    purpose: str
    state: State
    statements: tuple[str, ...]
    drop_statement: str


class IndexChange(NamedTuple):
    """What was done about one index.

    Attributes:
        name: The index.
        outcome: ``created``; ``repaired``: dropped and built again because it was invalid; ``marked`` with the comment
            that it lacked; ``kept``: there was nothing to do; ``dropped``; ``absent``: there was nothing to drop.
    """

    name: str
    outcome: Outcome


_CREATED: dict[State, Outcome] = {
    "missing": "created",
    "invalid": "repaired",
    "unmarked": "marked",
    "valid": "kept",
    "leftover": "kept",
}


def _no_progress(change: IndexChange) -> None:
    """The caller waits for the result."""


@dataclass(frozen=True, slots=True)
class VectorIndex(OptionalIndex):
    """The index of one tenant's vectors by one model.

    Attributes:
        content: The tenant and the model; None where the vectors are gone.
        vectors: How many vectors there are; None where they are gone.
    """

    content: str | None
    vectors: int | None


async def recommend(
    database_url: str | None = None,
    *,
    schema: str | None = None,
    names: Collection[str] = (),
    min_vectors: int = MIN_VECTORS,
) -> list[OptionalIndex]:
    """List the optional indexes with their state and their statements; nothing is changed.

    Those of vectors are listed only if the login may open ``admin_scope()``: another cannot count them.

    Args:
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that holds the tables; by default ``MEMORY_GUILD_SCHEMA``.
        names: Which indexes; all of them if it is empty.
        min_vectors: From how many vectors by one model on, at least 1, a tenant should have an index for them.

    Raises:
        InvalidInputError: There is no index of one of the names, or ``min_vectors`` is no such number.
        MigrationsPendingError: The tables are missing, or older than this code.
        ConnectionFailedError: The server cannot be used.
    """
    async with _session(database_url, schema) as connection:
        return await _look(connection, names, min_vectors)


async def create(
    database_url: str | None = None,
    *,
    schema: str | None = None,
    names: Collection[str] = (),
    min_vectors: int = MIN_VECTORS,
    progress: Callable[[IndexChange], None] = _no_progress,
) -> list[IndexChange]:
    """Build the missing indexes one after the other, while agents keep reading and writing.

    An index that an interrupted build left invalid is dropped and built again. Several processes may call this at once:
    one builds, the others wait and find nothing to do. A build waits for the transactions that are open when it starts.

    Args:
        database_url: The server itself, not a pooler; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the
            embedded one. The login must own the tables.
        schema: The schema that holds the tables; by default ``MEMORY_GUILD_SCHEMA``.
        names: Which indexes; all of them if it is empty.
        min_vectors: From how many vectors by one model on, at least 1, a tenant gets an index for them.
        progress: Called after each index, because a build may take long and the next one may fail.

    Returns:
        What was done, index by index.

    Raises:
        InvalidInputError: There is no index of one of the names, or ``min_vectors`` is no such number; nothing was
            built.
        SchemaError: Something else has one of the names, or the server is read-only; nothing was built.
        PermissionDeniedError: The login does not own the tables.
        StatementCanceledError: Somebody canceled a build; call this again to repair it.
        SettingsError: ``MEMORY_GUILD_POOLER`` is set.
        MigrationsPendingError: The tables are missing, or older than this code.
        ConnectionFailedError: The server cannot be used.
    """
    async with _alone(database_url, schema) as connection:
        changes = []
        for index in await _ours(connection, names, min_vectors):
            for text in index.statements:
                await connection.execute(text)
            changes.append(IndexChange(index.name, _CREATED[index.state]))
            progress(changes[-1])
        return changes


async def drop(
    database_url: str | None = None,
    *,
    schema: str | None = None,
    names: Collection[str] = (),
    min_vectors: int = MIN_VECTORS,
    progress: Callable[[IndexChange], None] = _no_progress,
) -> list[IndexChange]:
    """Drop the optional indexes one after the other, while agents keep reading and writing.

    Arguments and errors are those of :func:`create`.

    Returns:
        What was done, index by index.
    """
    async with _alone(database_url, schema) as connection:
        changes = []
        for index in await _ours(connection, names, min_vectors):
            await connection.execute(index.drop_statement)
            changes.append(IndexChange(index.name, "absent" if index.state == "missing" else "dropped"))
            progress(changes[-1])
        return changes


@asynccontextmanager
async def _session(database_url: str | None, schema: str | None) -> AsyncIterator[Connection]:
    # Without check_schema: it also requires that the login may open scopes, and the owner of the tables need not.
    async with connect_for_maintenance(database_url, schema=schema):
        await check_migrations()
        async with client().dedicated_connection() as connection:
            yield connection


@asynccontextmanager
async def _alone(database_url: str | None, schema: str | None) -> AsyncIterator[Connection]:
    """A session without time limits, and the only one that builds or drops indexes in this schema."""
    if settings_for(database_url).pooler:
        raise SettingsError(
            "MEMORY_GUILD_POOLER",
            "is set, but building an index needs a session of its own; unset it and connect to the server itself",
        )
    async with _session(database_url, schema) as connection:
        with translated_errors(_REFUSED):
            await connection.execute(statement("schema/indexes_patience"))
            turn = statement("schema/indexes_turn")
            while not await connection.fetchval(turn, client().settings.schema):  # noqa: ASYNC110 - what others do
                await asyncio.sleep(_SECONDS_BETWEEN_ATTEMPTS)
            yield connection


async def _look(connection: Connection, names: Collection[str], min_vectors: int) -> list[OptionalIndex]:
    if type(min_vectors) is not int or min_vectors < 1:
        raise InvalidInputError("min_vectors", "must be a whole number from 1 on")
    rows = await connection.fetch(statement("schema/optional_indexes"), client().settings.schema)
    indexes = [OptionalIndex(**{**row, "statements": tuple(row["statements"])}) for row in rows]
    indexes += await vector_indexes(connection, min_vectors)
    known = [index.name for index in indexes]
    if unknown := [name for name in names if name not in known]:
        raise InvalidInputError("names", f"there is no optional index {unknown[0]!r}; choose from {', '.join(known)}")
    return [index for index in indexes if not names or index.name in names]


async def vector_indexes(connection: Connection, min_vectors: int = MIN_VECTORS) -> list[VectorIndex]:
    """The indexes of vectors that should exist, and those that do; none where this login cannot count vectors."""
    if not await connection.fetchval(statement("schema/vectors_in_reach")):
        return []
    async with connection.transaction():
        await connection.execute(statement("schema/begin_counting"))
        rows = await connection.fetch(statement("schema/vector_indexes"), client().settings.schema, min_vectors)
    return [VectorIndex(**{**row, "statements": tuple(row["statements"])}) for row in rows]


async def _ours(connection: Connection, names: Collection[str], min_vectors: int) -> list[OptionalIndex]:
    indexes = await _look(connection, names, min_vectors)
    for index in indexes:
        if index.state == "different":
            raise SchemaError(f"something else in this schema is called {index.name}; rename or drop it")
    return indexes


_REFUSED: Explanations = {
    INSUFFICIENT_PRIVILEGE: lambda error: PermissionDeniedError(
        f"this login may not build or drop indexes here ({error.args[0]}); use the login that runs `memory-guild"
        " upgrade` and owns the tables, or let a DBA run the statements that `memory-guild indexes recommend` prints"
    ),
    QUERY_CANCELED: lambda _: StatementCanceledError(
        "somebody canceled the statement; run this again to repair the index that it left invalid"
    ),
    READ_ONLY: lambda _: SchemaError("this server or login is read-only; connect to the primary"),
}
