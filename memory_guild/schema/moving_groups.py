"""Moving groups of tenants from worker to worker, where the server is a coordinator of Citus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from memory_guild.database.connecting import connect_for_maintenance
from memory_guild.database.engine import client
from memory_guild.database.groups import has_catalogue, schemas_with_tables
from memory_guild.database.seal import state_of
from memory_guild.database.sqlstate import translated_errors
from memory_guild.database.statements import statement
from memory_guild.errors import InvalidInputError, SchemaError, UnknownGroupError
from memory_guild.schema.shards import quicken

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

_SECONDS_BETWEEN_LOOKS = 0.5


class GroupMove(NamedTuple):
    """How a group moves, or was moved.

    Attributes:
        group: The group.
        source: The worker that it was on, as ``host:port``.
        target: The worker that it moves to; the same where there is nothing to move.
        fraction: How much of it has been copied, from 0 to 1; 1 at the end.
    """

    group: str
    source: str
    target: str
    fraction: float


async def move(
    group: str,
    node: str,
    *,
    online: bool = False,
    progress: Callable[[GroupMove], None] | None = None,
    database_url: str | None = None,
    schema: str | None = None,
) -> GroupMove:
    """Move a group of tenants to another worker of Citus.

    Reads go on. Writes wait for as long as the group takes to be copied; with ``online`` only at the end, for a moment.
    Run it again if it was interrupted.

    Args:
        group: The group.
        node: The worker, as ``host:port``, as ``groups.list_all`` names it.
        online: Whether to let writes go on. That takes longer, and until it ends the owner of the tables, who moves
            them, is not subject to row-level security. Scopes are.
        progress: Called now and then.
        database_url: The coordinator; by default ``MEMORY_GUILD_DATABASE_URL``.
        schema: The schema that has the catalogue; by default ``MEMORY_GUILD_SCHEMA``.

    Returns:
        How it was moved.

    Raises:
        SchemaError: The server has no Citus.
        UnknownGroupError: There is no group of this name, or none of its tables is on a worker.
        InvalidInputError: There is no such worker.
        PermissionDeniedError: The login may not move tables.
        ConnectionFailedError: The server cannot be used.
    """
    async with connect_for_maintenance(database_url, schema=schema), _coordinator() as connection:
        nodes = await _nodes(connection)
        if group not in nodes:
            raise UnknownGroupError(group, sorted(nodes))
        return await _move(connection, group, nodes[group], node, online, progress)


async def rebalance(
    *,
    online: bool = False,
    progress: Callable[[GroupMove], None] | None = None,
    database_url: str | None = None,
    schema: str | None = None,
) -> list[GroupMove]:
    """Move groups of tenants until the workers of Citus have about as much each, one group after the other.

    Run it after a worker was added. If it is interrupted, what was moved stays moved; run it again.

    Args:
        online: As in :func:`move`.
        progress: Called now and then.
        database_url: The coordinator; by default ``MEMORY_GUILD_DATABASE_URL``.
        schema: The schema that has the catalogue; by default ``MEMORY_GUILD_SCHEMA``.

    Returns:
        The groups that were moved.

    Raises:
        SchemaError: The server has no Citus.
        PermissionDeniedError: The login may not move tables.
        ConnectionFailedError: The server cannot be used.
    """
    async with connect_for_maintenance(database_url, schema=schema), _coordinator() as connection:
        nodes = await _nodes(connection)
        plan = await connection.fetch(statement("schema/citus/rebalance_plan"), list(nodes))
        return [await _move(connection, group, nodes[group], node, online, progress) for group, node in plan]


@asynccontextmanager
async def _coordinator() -> AsyncIterator[Connection]:
    async with client().dedicated_connection() as connection:
        with translated_errors():
            if not (await state_of(connection, client().schema))["has_citus"]:
                raise SchemaError(
                    "this server has no Citus, so its groups have nowhere to move to; `memory-guild groups move-tenant`"
                    " moves a tenant to another group"
                )
            yield connection


async def _nodes(connection: Connection) -> dict[str, str]:
    """The worker of each group."""
    home = client().schema
    groups = await schemas_with_tables(connection, home) if await has_catalogue(connection, home) else [home]
    rows = await connection.fetch(statement("schema/citus/nodes_of_groups"), groups)
    return {row["group_name"]: row["node"] for row in rows}


async def _move(
    connection: Connection,
    group: str,
    source: str,
    target: str,
    online: bool,
    progress: Callable[[GroupMove], None] | None,
) -> GroupMove:
    workers = {row["node"]: row for row in await connection.fetch(statement("schema/citus/workers"))}
    if target not in workers:
        raise InvalidInputError("node", f"is none of the workers: {', '.join(workers)}")
    # An earlier move that was interrupted may have left it lifted.
    await _force(connection, group)
    if source != target:
        mode = "force_logical" if online else "block_writes"
        worker = workers[target]
        async with _reported(GroupMove(group, source, target, 0.0), progress), _lifted(connection, group, online):
            await connection.execute(
                statement("schema/citus/move_schema"), group, worker["nodename"], worker["nodeport"], mode
            )
        await quicken(connection, group)
    return GroupMove(group, source, target, 1.0)


@asynccontextmanager
async def _lifted(connection: Connection, group: str, online: bool) -> AsyncIterator[None]:
    """Whoever copies tables while others write reads them as their owner: until then that one may read all rows."""
    if not online:
        yield
        return
    try:
        for row in await connection.fetch(statement("schema/citus/forced_tables"), group):
            await connection.execute(row["lift"])
        yield
    finally:
        # On a connection of its own: this one may be lost, or still be at work.
        await asyncio.shield(_force_anew(group))


async def _force_anew(group: str) -> None:
    async with client().dedicated_connection() as connection:
        await _force(connection, group)


async def _force(connection: Connection, group: str) -> None:
    for row in await connection.fetch(statement("schema/citus/forced_tables"), group):
        if not row["is_forced"]:
            await connection.execute(row["restore"])


@asynccontextmanager
async def _reported(move: GroupMove, progress: Callable[[GroupMove], None] | None) -> AsyncIterator[None]:
    """Tell now and then how far the move is."""
    if progress is None:
        yield
        return
    progress(move)
    looking = asyncio.create_task(_look(move, progress))
    try:
        yield
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
    progress(move._replace(fraction=1.0))


async def _look(move: GroupMove, progress: Callable[[GroupMove], None]) -> None:
    async with client().dedicated_connection() as connection:
        while True:
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
            fraction: float = await connection.fetchval(statement("schema/citus/move_progress"), move.group)
            progress(move._replace(fraction=fraction))
