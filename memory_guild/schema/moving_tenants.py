"""Moving a tenant from one group of tenants to another, while its agents work."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from memory_guild.database.conflicts import repeated
from memory_guild.database.connecting import connect_for_maintenance
from memory_guild.database.engine import client, working_in
from memory_guild.database.groups import has_catalogue, schemas_with_tables
from memory_guild.database.migrations import SEARCH, applied_migrations, check_migrations
from memory_guild.database.quoting import quote_identifier
from memory_guild.database.recording import add, log
from memory_guild.database.statements import statement
from memory_guild.database.trail import Entry
from memory_guild.errors import (
    InvalidInputError,
    LockNotAvailableError,
    MigrationsPendingError,
    SchemaError,
    UnknownGroupError,
)
from memory_guild.schema.migrating import unhurried_transaction
from memory_guild.types import AuditEvent
from memory_guild.values.checks import check_name

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

_LAST_STEP_WITHOUT_SOURCES = 2
"""The first statements of the move make the data sources that the other group lacks; later ones name them."""

_ATTEMPTS = 10
_LOCK_ATTEMPTS = 30
_SECONDS_BETWEEN_LOCKS = 0.5


class TenantMove(NamedTuple):
    """How a tenant was moved.

    Attributes:
        tenant_id: The tenant.
        source: The group that it was in.
        target: The group that it is in.
        rows: How many rows of each table were moved.
    """

    tenant_id: str
    source: str
    target: str
    rows: dict[str, int]


async def move_tenant(
    tenant_id: str, group: str, *, database_url: str | None = None, schema: str | None = None
) -> TenantMove:
    """Move all that a tenant has to another group, in one transaction.

    It waits until the tenant's open scopes have ended. New ones wait meanwhile, and begin in the new group: nothing is
    lost, and nothing is there twice. Ids, times and versions stay. Data sources go by their names; one that the other
    group lacks is registered there. The audit's earlier entries stay in the old group.

    Args:
        tenant_id: The tenant.
        group: The group that it is to be in.
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that has the catalogue; by default ``MEMORY_GUILD_SCHEMA``.

    Returns:
        How it was moved; without rows where it was in the group already.

    Raises:
        InvalidInputError: The tenant is in no group: it has never been used.
        UnknownGroupError: There is no group of this name.
        MigrationsPendingError: One of the two groups lacks migrations.
        SchemaError: The tenant's group has the search, and the other one has not.
        LockNotAvailableError: Scopes of the tenant did not end.
        PermissionDeniedError: The login does not own the catalogue, or may not become ``memory_guild_admin``.
        ConnectionFailedError: The server cannot be used.
    """
    tenant = check_name("tenant_id", tenant_id)
    async with connect_for_maintenance(database_url, schema=schema):
        for attempt in range(_LOCK_ATTEMPTS):
            try:
                return await repeated(partial(_move, tenant, group), _ATTEMPTS)
            except LockNotAvailableError:
                if attempt == _LOCK_ATTEMPTS - 1:
                    raise
                await asyncio.sleep(_SECONDS_BETWEEN_LOCKS)  # those who wait behind this one may open their scopes
    raise AssertionError("unreachable")


async def placement_of(connection: Connection, tenant_id: str) -> str | None:
    """The group that the catalogue says; None where it says none."""
    group: str | None = await connection.fetchval(statement("schema/placement_of_tenant"), tenant_id)
    return group


async def _move(tenant_id: str, target: str) -> TenantMove:
    home = client().schema
    async with client().dedicated_connection() as connection, unhurried_transaction(connection):
        known = await schemas_with_tables(connection, home) if await has_catalogue(connection, home) else []
        if target not in known:
            raise UnknownGroupError(target, known)
        await connection.execute("SET LOCAL lock_timeout = '2s'")
        await connection.fetch(statement("schema/lock_placement"), home, tenant_id)
        await connection.execute("SET LOCAL lock_timeout = 0")
        source = await placement_of(connection, tenant_id)
        if source is None:
            raise InvalidInputError("tenant_id", "is in no group: nobody has used this tenant yet")
        if source == target:
            return TenantMove(tenant_id, source, target, {})
        await _refuse_to_move(source, target)
        rows: dict[str, int] = {}
        if not client().pool.is_distributed:  # on Citus only a superuser may
            await connection.execute("SET LOCAL ROLE memory_guild_admin")
        for has_sources in (False, True):
            same = json.dumps(await _same_sources(connection, source, target) if has_sources else {})
            for step in await connection.fetch(statement("schema/moving_statements"), source, target, tenant_id, same):
                if (step["position"] > _LAST_STEP_WITHOUT_SOURCES) == has_sources:
                    done = await connection.execute(step["statement"])
                    if done.startswith("INSERT"):
                        rows[step["table_name"]] = int(done.rpartition(" ")[2])
        entries = []
        for group in (source, target):
            await connection.execute(f"SET LOCAL search_path = {quote_identifier(group)}")
            details = {"from": source, "rows": rows}
            entry = Entry(AuditEvent.MOVE, "done", tenant_id=tenant_id, subject=target, details=details)
            await add(connection, [entry], is_distributed=client().pool.is_distributed)
            entries.append(entry)
        await connection.execute(f"RESET ROLE; SET LOCAL search_path = {quote_identifier(home)}")
        await connection.execute(statement("schema/change_placement"), tenant_id, source, target)
    for entry in entries:
        log(entry)
    return TenantMove(tenant_id, source, target, rows)


async def _same_sources(connection: Connection, source: str, target: str) -> dict[str, str]:
    """The ids of data sources in one group, by the ids that those of the same name have in another one."""
    of_groups: list[dict[str, str]] = []
    for group in (source, target):
        home = quote_identifier(group)
        sources = await connection.fetch(f"SELECT source_name, source_id::text AS id FROM {home}.data_sources")
        of_groups.append({row["source_name"]: row["id"] for row in sources})
    here, there = of_groups
    return {source_id: there[name] for name, source_id in here.items() if name in there}


async def _refuse_to_move(source: str, target: str) -> None:
    """Raise where the tables of two groups are not alike."""
    has_search: list[bool] = []
    for group in (source, target):
        async with working_in(group):
            try:
                await check_migrations()
            except MigrationsPendingError as error:
                raise MigrationsPendingError(error.pending, group=group) from None
            has_search.append(bool(await applied_migrations(SEARCH)))
    if has_search == [True, False]:
        raise SchemaError(
            f"the group {source} has the search, and {target} has not, so the tenant's vectors would be lost; run"
            f" `memory-guild upgrade --search` with MEMORY_GUILD_SCHEMA={target}"
        )
