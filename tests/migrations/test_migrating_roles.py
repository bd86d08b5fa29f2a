"""Who migrates to tenant isolation: with the roles or without, allowed to create them or not, and many at once."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from memory_guild.database.connecting import connect
from memory_guild.errors import RoleMissingError
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import admin_scope, tenant_scope
from memory_guild.schema.migrating import upgrade
from memory_guild.schema.validation import validate
from tests.databases import with_database
from tests.tenancy.logins import AGENT, connected, login, user_of, with_user
from memory_guild.testing.servers import private_server

if TYPE_CHECKING:
    from tests.tenancy.logins import Connection

ROLES = ("memory_guild_app", "memory_guild_admin")


@pytest.fixture(scope="module")
def private_url() -> Iterator[str]:
    """A server of this module's own: its roles come and go."""
    with private_server() as url:
        yield url


@pytest.fixture
async def without_roles(private_url: str) -> AsyncIterator[str]:
    """That server without the roles; the databases and logins that a test makes are dropped afterwards."""
    async with connected(private_url) as superuser:
        before = {row["name"] for row in await superuser.fetch("SELECT datname AS name FROM pg_database")}
        for role in ROLES:
            await superuser.execute(f"DROP ROLE IF EXISTS {role}")
        yield private_url
        for row in await superuser.fetch("SELECT datname AS name FROM pg_database"):
            if row["name"] not in before:
                await superuser.execute(f'DROP DATABASE "{row["name"]}" WITH (FORCE)')
        for row in await superuser.fetch("SELECT rolname AS name FROM pg_roles WHERE rolname LIKE 'migrator%'"):
            await superuser.execute(f"DROP ROLE IF EXISTS {', '.join(ROLES)}; DROP ROLE {row['name']}")


async def _migrator(superuser: Connection, url: str, attributes: str = "") -> str:
    """The URL of a new database, for the new login that owns it."""
    name = f"migrator_{uuid4().hex[:8]}"
    await superuser.execute(f"CREATE ROLE {name} LOGIN {attributes}")
    await superuser.execute(f"CREATE DATABASE {name} OWNER {name}")
    return with_user(with_database(url, name), name)


async def _attributes(connection: Connection) -> list[tuple[Any, ...]]:
    rows = await connection.fetch(
        "SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = ANY ($1)",
        list(ROLES),
    )
    return [tuple(row) for row in rows]


@pytest.mark.long
async def test_roles_are_created_when_missing(without_roles: str) -> None:
    async with connected(without_roles) as superuser:
        url = await _migrator(superuser, without_roles, "SUPERUSER")
        await upgrade(url)

        assert await _attributes(superuser) == [(False,) * 5] * 2
        assert (await validate(url)).differences == ()


async def test_roles_that_exist_are_used_as_they_are(without_roles: str) -> None:
    async with connected(without_roles) as superuser:
        await superuser.execute("CREATE ROLE memory_guild_app CREATEDB; CREATE ROLE memory_guild_admin LOGIN")
        url = await _migrator(superuser, without_roles, "SUPERUSER")
        await upgrade(url)

        assert sorted(await _attributes(superuser)) == [(False, False, False, True, False), (True, *[False] * 4)]
        async with connect(url), tenant_scope("acme"):
            assert await MemoryRecord.all() == []


async def test_a_migrating_login_that_may_create_roles_may_use_the_scopes(without_roles: str) -> None:
    async with connected(without_roles) as superuser:
        url = await _migrator(superuser, without_roles, "CREATEROLE")
        await upgrade(url)

    async with connect(url):
        async with tenant_scope("acme", agent_id="agent-1"):
            await MemoryRecord.create(source_type="document", content_text="text")
        async with admin_scope("the test of the migrating login"):
            assert await MemoryRecord.all().count() == 1


async def test_a_login_that_may_create_no_role_says_what_a_dba_must_run(without_roles: str) -> None:
    async with connected(without_roles) as superuser:
        url = await _migrator(superuser, without_roles)
        with pytest.raises(RoleMissingError, match="may not create roles") as refused:
            await upgrade(url)
        assert user_of(url) in str(refused.value)
        with pytest.raises(RoleMissingError, match="may not create roles"):
            await validate(url)
        async with connected(url) as connection:
            assert await connection.fetchval("SELECT count(*) FROM pg_proc WHERE proname LIKE 'memory_guild%'") == 0

        statements = re.findall(r"CREATE ROLE \w+ \w+|GRANT [\w, ]+ TO \w+", str(refused.value))
        assert len(statements) == 3
        await superuser.execute("; ".join(statements))
        await upgrade(url)

    assert (await validate(url)).differences == ()
    async with connect(url), tenant_scope("acme"):
        assert await MemoryRecord.all() == []


async def test_a_login_may_migrate_without_membership(without_roles: str) -> None:
    """The roles exist, and neither belong to the migrating login nor can be given to it."""
    async with connected(without_roles) as superuser:
        await superuser.execute("CREATE ROLE memory_guild_app; CREATE ROLE memory_guild_admin")
        url = await _migrator(superuser, without_roles)
        await upgrade(url)

    agent = login(with_database(without_roles, user_of(url)), AGENT)
    async with agent as agent_url, connect(agent_url), tenant_scope("acme"):
        assert await MemoryRecord.all() == []


async def test_a_server_that_gives_public_no_functions(without_roles: str) -> None:
    async with connected(without_roles) as superuser:
        url = await _migrator(superuser, without_roles, "CREATEROLE")
        async with connected(url) as migrator:
            await migrator.execute("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
        await upgrade(url)

    agent = login(with_database(without_roles, user_of(url)), AGENT)
    async with agent as agent_url, connect(agent_url), tenant_scope("acme"):
        await MemoryRecord.create(agent_id="agent-1", source_type="document", content_text="text")


DATABASES = 6


@pytest.mark.parametrize("attributes", ["SUPERUSER", "CREATEROLE"])
@pytest.mark.long
async def test_databases_that_are_upgraded_at_once(without_roles: str, attributes: str) -> None:
    """The roles are one server's: all but one find, in the middle of it, that another has just created them."""
    async with connected(without_roles) as superuser:
        url = await _migrator(superuser, without_roles, attributes)
        urls = [with_database(url, f"guild_{number}") for number in range(DATABASES)]
        for number in range(DATABASES):
            await superuser.execute(f"CREATE DATABASE guild_{number} OWNER {user_of(url)}")
        processes = await _upgrades_held_up_by(url, superuser, urls)
        outcomes = [await process.communicate() for process in processes]

    assert [errors.decode() for _, errors in outcomes] == [""] * DATABASES
    assert [process.returncode for process in processes] == [0] * DATABASES
    assert (await validate(urls[-1])).differences == ()


async def _upgrades_held_up_by(url: str, superuser: Connection, urls: list[str]) -> list[asyncio.subprocess.Process]:
    """Upgrades that all stand before a role that another transaction has created, which then commits."""
    async with connected(url) as fastest:
        await fastest.execute("BEGIN; CREATE ROLE memory_guild_app NOLOGIN; CREATE ROLE memory_guild_admin NOLOGIN")
        processes = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "memory_guild.cli", "upgrade"),
                env={**os.environ, "MEMORY_GUILD_DATABASE_URL": one},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            for one in urls
        ]
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname LIKE 'guild_%'"
        async with asyncio.timeout(60):
            while await superuser.fetchval(waiting) < DATABASES:  # noqa: ASYNC110 - what other processes do
                await asyncio.sleep(0.02)
        await fastest.execute("COMMIT")
    return processes
