"""The doctor: what decides whether this database works, and how to fix what does not."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from memory_guild.database.connecting import connect_for_maintenance
from memory_guild.database.engine import client, working_in
from memory_guild.database.isolation import Finding, findings, isolation_facts
from memory_guild.database.migrations import check_catalogue, check_migrations, is_empty
from memory_guild.database.statements import statement
from memory_guild.errors import (
    MigrationsPendingError,
    PermissionDeniedError,
    RoleMissingError,
    SchemaTooNewError,
    TablesExistError,
    UndefinedObjectError,
    UnsupportedEncodingError,
)
from memory_guild.schema.indexes import vector_indexes
from memory_guild.schema.shards import quickness
from memory_guild.settings import OFF, OPA, sources_must_be_named

_GONE = Finding("broken", "tables", "they are gone", "restore the group's schema from a backup")
"""Of a group that is in the catalogue: tables that are made anew would be empty."""


async def doctor(database_url: str | None = None, *, schema: str | None = None) -> list[Finding]:
    """Check everything that isolates the tenants of this database; each finding says how to fix it.

    Args:
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that holds the tables; by default ``MEMORY_GUILD_SCHEMA``.

    Returns:
        What was checked, the server and the migrations first; ``level`` is ``ok``, ``notice`` or ``broken``. A single
        finding says why nothing could be checked. Where there are several groups of tenants, each is checked.

    Raises:
        ConnectionFailedError: The server cannot be used.
    """
    try:
        async with connect_for_maintenance(database_url, schema=schema, as_owner=False):
            groups = client().groups
            if groups is not None:
                names = await groups.names()
                found = [await _server(), await _pooler(), *await _catalogue(names)]
                for name in names:
                    async with connect_for_maintenance(database_url, schema=name, as_owner=False):
                        tables = [_GONE] if await is_empty() else await _tables()
                        found += [_of_group(finding, name) for finding in tables]
                return found
            if await is_empty():
                return [Finding("broken", "migrations", "the database has no tables yet", "run `memory-guild upgrade`")]
            return [await _server(), await _pooler(), *await _tables()]
    except UnsupportedEncodingError as error:
        return [Finding("broken", "encoding", str(error), "use another database")]


def _of_group(finding: Finding, group: str) -> Finding:
    """The finding as one of a group: all groups are upgraded together."""
    mend = finding.mend.replace("`memory-guild upgrade`", "`memory-guild upgrade --all-groups`")
    return replace(finding, mend=mend, group=group)


async def _tables() -> list[Finding]:
    """What is about the tables of the connection's schema."""
    isolation = findings(await isolation_facts())
    return [
        await _migrations(),
        *isolation,
        await _rights(),
        await _sources(),
        await _policies(),
        *await _large_tenants(),
        *await quickness(),
    ]


async def _catalogue(names: list[str]) -> list[Finding]:
    """Whether the catalogue of groups can be used, and whether the groups have what all tenants share."""
    try:
        await check_catalogue()
    except (MigrationsPendingError, RoleMissingError, SchemaTooNewError) as error:
        return [Finding("broken", "groups", str(error), "run `memory-guild upgrade --all-groups`")]
    if not names:
        return [Finding("broken", "groups", "there is none yet", "run `memory-guild groups create NAME`")]
    found = [Finding("ok", "groups", ", ".join(names))]
    shared: dict[str, set[str | None]] = {"data sources": set(), "access policies": set()}
    for name in names:
        async with working_in(name):
            try:
                (row,) = await client().execute_query_dict(statement("schema/shared_by_tenants"))
            except (PermissionDeniedError, UndefinedObjectError):  # other findings say why
                return found
        shared["data sources"].add(row["sources"])
        shared["access policies"].add(row["policies"])
    for what, digests in shared.items():
        if len(digests) > 1:
            found.append(
                Finding(
                    "notice",
                    f"{what} of the groups",
                    "they are not the same in all groups",
                    "change them in each group",
                )
            )
    return found


async def _server() -> Finding:
    """Which server keeps the memories, and where the embedded one has its data."""
    settings = client().settings
    if settings.database_url is not None:
        return Finding("ok", "server", str(settings.database_url))
    from memory_guild import embedded  # as in the engine: only an installation with the extra has what it needs

    found = await asyncio.to_thread(embedded.status, settings.embedded_folder)
    return Finding(
        "ok",
        "server",
        f"the embedded PostgreSQL {found.version}; its data is in {found.folder}, owned by {found.account}",
    )


async def _migrations() -> Finding:
    try:
        await check_migrations()
    except MigrationsPendingError as error:
        return Finding("broken", "migrations", str(error), "run `memory-guild upgrade`")
    except SchemaTooNewError as error:
        return Finding("broken", "migrations", str(error), "install a newer memory-guild")
    except TablesExistError as error:
        return Finding("broken", "migrations", str(error), "move them away or drop them, or use another schema")
    except RoleMissingError as error:
        return Finding("broken", "migrations", str(error), "GRANT memory_guild_app TO the login, which must INHERIT")
    return Finding("ok", "migrations", "the database has this version's migrations")


async def _rights() -> Finding:
    """Whether the roles have what the migrations gave them; what agents need of it is among the other findings."""
    (found,) = await client().execute_query_dict(statement("schema/rights_are_lacking"))
    if found["rights_are_lacking"]:
        return Finding(
            "notice",
            "rights of the roles",
            "the roles lack something that the migrations gave them, as after a restore on another server",
            "run `memory-guild upgrade`, which grants it again",
        )
    return Finding("ok", "rights of the roles", "as the migrations gave them")


async def _pooler() -> Finding:
    """Whether a pooler is in between: it reports a process id of its own to a client that connects."""
    async with client().dedicated_connection() as connection:
        direct = connection.get_server_pid() == await connection.fetchval("SELECT pg_backend_pid()")
    told = client().settings.pooler
    if direct and told:
        return Finding("notice", "pooler", "MEMORY_GUILD_POOLER is set, but there is no pooler", "unset it")
    if not direct and not told:
        return Finding(
            "broken",
            "pooler",
            "connections go through a pooler, and prepared statements may reach the wrong one",
            "set MEMORY_GUILD_POOLER=1",
        )
    return Finding("ok", "pooler", "none" if direct else "there is one, and MEMORY_GUILD_POOLER is set")


async def _sources() -> Finding:
    """From where the verbs store, and how many sources there are."""
    which = "from named sources only" if sources_must_be_named() else "from named sources, and without one"
    try:
        (found,) = await client().execute_query_dict(statement("schema/sources_in_use"))
    except (PermissionDeniedError, UndefinedObjectError):  # other findings say why
        return Finding("ok", "sources", f"the verbs store {which}")
    counted = f"{found['sources']:,} registered, {found['inactive']:,} inactive, {found['quarantined']:,} in quarantine"
    return Finding("ok", "sources", f"the verbs store {which}; {counted}")


async def _policies() -> Finding:
    """Whether the access policies decide, and how many there are."""
    settings = client().settings
    if settings.policies == OPA:
        return Finding("ok", "access policies", f"the OPA server at {settings.opa_url} decides")
    try:
        (found,) = await client().execute_query_dict(statement("schema/policies_in_use"))
    except (PermissionDeniedError, UndefinedObjectError):  # other findings say why
        return Finding("ok", "access policies", f"MEMORY_GUILD_POLICIES is {settings.policies}")
    counted = f"{found['policies']:,} in the database, {found['active']:,} active"
    if settings.policies == OFF:
        if found["active"]:
            return Finding(
                "notice", "access policies", f"off, so nobody asks them; {counted}", "set MEMORY_GUILD_POLICIES=rego"
            )
        return Finding("ok", "access policies", f"off; {counted}")
    if not found["active"]:
        return Finding(
            "notice",
            "access policies",
            f"on, and everything is denied, because none is active; {counted}",
            "write one with policies.put(), or set MEMORY_GUILD_POLICIES=off",
        )
    return Finding("ok", "access policies", f"on ({settings.policies}); {counted}")


async def _large_tenants() -> list[Finding]:
    """What makes recall slow: tenants with many vectors and no index for them; and indexes that nobody needs."""
    async with client().dedicated_connection() as connection:
        indexes = await vector_indexes(connection)
    found = []
    if lacking := [index for index in indexes if index.state in ("missing", "invalid")]:
        found.append(
            Finding(
                "notice",
                "large tenants",
                "recall looks at every vector of "
                + "; ".join(f"{index.content}, {index.vectors:,} vectors" for index in lacking),
                f"run `memory-guild indexes create {' '.join(index.name for index in lacking)}`",
            )
        )
    if leftover := [index.name for index in indexes if index.state == "leftover"]:
        found.append(
            Finding(
                "notice",
                "indexes of vectors",
                f"the vectors are gone that these were for: {', '.join(leftover)}",
                f"run `memory-guild indexes drop {' '.join(leftover)}`",
            )
        )
    return found
