"""Groups of tenants: several schemas with the five tables, and a catalogue that says which tenant is in which.

It is taught as ``guild.schema.groups``: ``await guild.schema.groups.create("north")``. All functions but :func:`names`
work as the owner of the tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from memory_guild.database import seal as seals
from memory_guild.database.connecting import connect_for_maintenance, settings_for
from memory_guild.database.engine import client, working_in
from memory_guild.database.groups import catalogue_lock, has_catalogue, schemas_with_tables
from memory_guild.database.migrations import (
    GROUPS,
    SEARCH,
    applied_migrations,
    is_empty,
)
from memory_guild.database.quoting import quote_identifier
from memory_guild.database.sqlstate import translated_errors
from memory_guild.database.statements import statement
from memory_guild.errors import (
    InvalidInputError,
    MemoryGuildError,
    SchemaError,
    UnknownGroupError,
)
from memory_guild.schema.migrating import apply_migrations, pending_migrations, unhurried_transaction, upgrade
from memory_guild.schema.moving_groups import GroupMove, move, rebalance
from memory_guild.schema.moving_tenants import TenantMove, move_tenant, placement_of
from memory_guild.schema.shards import quicken
from memory_guild.settings import checked_schema
from memory_guild.values.checks import check_name

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

__all__ = [
    "Group",
    "GroupMove",
    "GroupUpgrade",
    "TenantMove",
    "create",
    "group_of",
    "list_all",
    "move",
    "move_tenant",
    "names",
    "rebalance",
    "upgrade_all",
]


class Group(NamedTuple):
    """A group of tenants.

    Attributes:
        name: Its schema.
        tenants: How many tenants are placed in it.
        created_at: When it was added to the catalogue, by the server's clock.
        size_bytes: How much all that is in its schema takes on disk.
        node: On Citus the worker that it is on, as ``host:port``.
    """

    name: str
    tenants: int
    created_at: datetime
    size_bytes: int
    node: str | None = None


@dataclass(frozen=True, slots=True)
class GroupUpgrade:
    """What an upgrade did in one group.

    Attributes:
        group: The group.
        applied: The migrations that it applied, in order.
        error: Why it stopped; None where the group has all migrations now.
    """

    group: str
    applied: tuple[str, ...] = ()
    error: MemoryGuildError | None = None


async def names(*, database_url: str | None = None, schema: str | None = None) -> list[str]:
    """The names of the groups, the oldest first. An agent's login may ask, too.

    Args:
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that has the catalogue; by default ``MEMORY_GUILD_SCHEMA``.

    Returns:
        The names; none where the database has no catalogue of groups.

    Raises:
        ConnectionFailedError: The server cannot be used.
    """
    async with connect_for_maintenance(database_url, schema=schema, as_owner=False):
        groups = client().groups
        return [] if groups is None else await groups.names()


async def list_all(*, database_url: str | None = None, schema: str | None = None) -> list[Group]:
    """The groups of the catalogue, the oldest first.

    Args:
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that has the catalogue; by default ``MEMORY_GUILD_SCHEMA``.

    Returns:
        The groups; none where the database has no catalogue.

    Raises:
        PermissionDeniedError: The login does not own the catalogue.
        ConnectionFailedError: The server cannot be used.
    """
    async with (
        connect_for_maintenance(database_url, schema=schema),
        client().dedicated_connection() as connection,
    ):
        with translated_errors():
            if not await has_catalogue(connection, client().schema):
                return []
            found = [Group(**row) for row in await connection.fetch(statement("schema/groups"))]
            if client().pool.is_distributed:
                rows = await connection.fetch(
                    statement("schema/citus/nodes_of_groups"), [group.name for group in found]
                )
                there = {row["group_name"]: row for row in rows}
                found = [
                    group._replace(node=there[group.name]["node"], size_bytes=there[group.name]["size_bytes"])
                    for group in found
                    if group.name in there
                ]
            return found


async def group_of(tenant_id: str, *, database_url: str | None = None, schema: str | None = None) -> str | None:
    """The group of a tenant; None where it has none yet, and where the database has no catalogue.

    Args:
        tenant_id: The tenant.
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that has the catalogue; by default ``MEMORY_GUILD_SCHEMA``.

    Raises:
        InvalidInputError: The tenant is empty or too long.
        PermissionDeniedError: The login does not own the catalogue.
        ConnectionFailedError: The server cannot be used.
    """
    tenant = check_name("tenant_id", tenant_id)
    async with (
        connect_for_maintenance(database_url, schema=schema),
        client().dedicated_connection() as connection,
    ):
        with translated_errors():
            if not await has_catalogue(connection, client().schema):
                return None
            return await placement_of(connection, tenant)


async def create(
    name: str,
    *,
    like: str | None = None,
    force: bool = False,
    database_url: str | None = None,
    schema: str | None = None,
) -> bool:
    """Create a group of tenants: a schema with the five tables, to which new tenants go from now on.

    The first one makes the catalogue. If the database has tables already, they become a group of their own, under the
    name of their schema. Agents that are connected know nothing of a catalogue, and would go on as if there were one
    group: stop them before, and start them again afterwards.

    Tenants that have memories in the schema already are placed in the group. Run this again if it was interrupted.

    Args:
        name: The schema; it is created if it is missing.
        like: The group that the new one gets its data sources, access policies and search from; by default the oldest.
        force: Whether to make the catalogue although others are connected.
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that has the catalogue; by default ``MEMORY_GUILD_SCHEMA``.

    Returns:
        Whether it is new. One that is in the catalogue already stays as it is.

    Raises:
        SettingsError: There can be no schema of this name.
        UnknownGroupError: There is no group ``like``.
        SchemaError: There is no catalogue yet, and others are connected; or a tenant is in another group already; or on
            Citus the catalogue, or a group, would be in a schema of the wrong kind.
        PermissionDeniedError: The login may not create a schema.
        ConnectionFailedError: The server cannot be used.
    """
    group = checked_schema(name)
    async with (
        connect_for_maintenance(database_url, schema=schema),
        client().dedicated_connection() as connection,
    ):
        home = client().schema
        async with unhurried_transaction(connection):
            # Whoever connects meanwhile waits, and knows of the catalogue then.
            await connection.execute(f"SELECT pg_advisory_xact_lock({catalogue_lock(home)})")
            await pending_migrations(GROUPS)  # one that this code does not know is refused
            known = await schemas_with_tables(connection, home) if await has_catalogue(connection, home) else []
            # Also where a catalogue is left of a call that was interrupted.
            is_first = not known
            if is_first and group != home and not await is_empty():
                known = [home]
            elif group in known:
                return False
            if like is not None and like not in known:
                raise UnknownGroupError(like, known)
            if (await seals.state_of(connection, home))["has_citus"]:
                await _refuse_mixture(connection, home, known)
            if is_first and not force:
                await _refuse_other_sessions(connection)
            # The roles that the catalogue grants something to are made with the tables.
            await _make_tables(group, like or next(iter(known), None), database_url)
            await apply_migrations(GROUPS, settings_for(database_url, schema=home))
            for added in [*(known if is_first else []), group]:
                await _register(connection, added)
            return True


async def upgrade_all(
    *,
    at_once: int = 4,
    progress: Callable[[GroupUpgrade], None] | None = None,
    database_url: str | None = None,
    schema: str | None = None,
) -> list[GroupUpgrade]:
    """Apply the migrations that the catalogue and its groups lack, several groups at a time.

    A group that fails keeps none of the others from being upgraded. Run it again for those. Migrations are applied one
    at a time, because Aerich knows one database in a process; what follows them, such as indexing words, is not.

    Args:
        at_once: How many groups to upgrade at a time.
        progress: Called after each group.
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that has the catalogue; by default ``MEMORY_GUILD_SCHEMA``.

    Returns:
        What was done in each group, the oldest first.

    Raises:
        InvalidInputError: ``at_once`` is less than 1.
        SchemaError: The database has no catalogue of groups.
        SchemaTooNewError: The catalogue has migrations that this code does not know; nothing was changed.
        ConnectionFailedError: The server cannot be used.
    """
    if at_once < 1:
        raise InvalidInputError("at_once", "must be at least 1")
    async with (
        connect_for_maintenance(database_url, schema=schema),
        client().dedicated_connection() as connection,
    ):
        if not await has_catalogue(connection, client().schema):
            raise SchemaError("this database has no groups; run `memory-guild upgrade`")
        if await pending_migrations(GROUPS):
            await apply_migrations(GROUPS, settings_for(database_url, schema=schema))
        groups = await schemas_with_tables(connection, client().schema)
        gone = [row["group_name"] for row in await connection.fetch(statement("schema/groups_without_tables"))]
    turns = asyncio.Semaphore(at_once)

    async def upgraded(group: str) -> GroupUpgrade:
        async with turns:
            try:
                if group in gone:  # new tables would be empty, and hide that something is wrong
                    raise SchemaError(f"the tables of the group {group} are gone; restore its schema from a backup")
                done = GroupUpgrade(group, tuple(await upgrade(database_url, schema=group)))
            except MemoryGuildError as error:
                done = GroupUpgrade(group, error=error)
        if progress is not None:
            progress(done)
        return done

    return await asyncio.gather(*map(upgraded, groups))


async def _refuse_mixture(connection: Connection, home: str, known: list[str]) -> None:
    """Raise where the catalogue would be on a worker of Citus, or plain tables a group beside distributed ones."""
    if await connection.fetchval(statement("schema/citus/is_on_worker"), home):
        raise SchemaError(
            f"the schema {home} is one of Citus, which cannot have the catalogue; let MEMORY_GUILD_SCHEMA name another"
            f" one, such as public, and create the group {home}"
        )
    if known and not await connection.fetchval(statement("schema/citus/is_on_worker"), known[0]):
        raise SchemaError(
            f"the tables of the schema {known[0]} are no distributed ones, so they cannot be a group beside those of"
            " Citus; let MEMORY_GUILD_SCHEMA name a schema without tables"
        )


async def _refuse_other_sessions(connection: Connection) -> None:
    pool: Any = client()._pool
    others = await connection.fetchval(statement("schema/other_sessions")) - pool.get_size()
    if others > 0:
        raise SchemaError(
            f"others are connected to this database, with {others} session{'s' * (others > 1)}; agents would not know"
            " that it has several groups now. Stop them, create the group, and start them again; `--force` creates it"
            " anyway"
        )


async def _make_tables(group: str, model: str | None, database_url: str | None) -> None:
    """Make the tables of a group, with what its tenants are to share with those of another one."""
    has_search, text_search = False, None
    if model is not None:
        async with working_in(model):
            if await is_empty():
                raise SchemaError(f"the tables of the group {model} are gone; name another one with `like`")
            has_search = bool(await applied_migrations(SEARCH))
            if has_search:
                (row,) = await client().execute_query_dict(statement("schema/text_search"))
                text_search = row["format"]
    await upgrade(database_url, schema=group, search=has_search, text_search=text_search)
    if model is not None:
        # In a transaction of its own: on Citus the one that registers the group could not change its role afterwards.
        async with client().dedicated_connection() as apart:
            async with unhurried_transaction(apart):
                for row in await apart.fetch(statement("schema/copying_statements"), model, group):
                    await apart.execute(row["statement"])
                seal = await seals.read_seal(apart, model)
                if seal.is_sealed:
                    await seals.seal(apart, group, seal.key)
            await quicken(apart, group)


async def _register(connection: Connection, group: str) -> None:
    """Add a group to the catalogue, with the tenants that have memories there."""
    home = client().schema
    await connection.execute(f"SET LOCAL search_path = {quote_identifier(group)}")
    await connection.execute("LOCK TABLE memory_records IN SHARE MODE; SET LOCAL ROLE memory_guild_admin")
    tenants = [row["tenant_id"] for row in await connection.fetch(statement("schema/tenants_of_memories"))]
    await connection.execute(f"RESET ROLE; SET LOCAL search_path = {quote_identifier(home)}")
    elsewhere = await connection.fetch(statement("schema/placements_elsewhere"), group, tenants)
    if elsewhere:
        where = ", ".join(f"{tenant_id} in {other}" for tenant_id, other in elsewhere)
        raise SchemaError(
            f"tenants of the schema {group} are placed in other groups already: {where}; erase their memories in one of"
            " the two"
        )
    await connection.fetch(statement("schema/register_group"), group, tenants)
