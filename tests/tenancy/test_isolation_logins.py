"""What the check of isolation and the doctor say about logins, and about the roles of the whole server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from memory_guild.database.connecting import connect
from memory_guild.database.isolation import Finding
from memory_guild.errors import IsolationError, RoleMissingError
from memory_guild.models import MemoryRecord
from memory_guild.schema.health import doctor
from memory_guild.schema.migrating import upgrade
from memory_guild.tenancy import admin_scope, tenant_scope
from memory_guild.testing.servers import private_server
from tests.databases import run_statement, with_database
from tests.tenancy.logins import AGENT, MAINTAINER, connected, login, owner, user_of


async def _broken(url: str) -> list[Finding]:
    return [finding for finding in await doctor(url) if finding.level == "broken"]


async def _refusal(url: str) -> IsolationError:
    with pytest.raises(IsolationError) as refused:
        async with connect(url):
            pytest.fail("connected")
    return refused.value


@pytest.fixture
async def agent_url(database_url: str) -> AsyncIterator[str]:
    """A login such as agents should have."""
    async with login(database_url, AGENT) as url:
        yield url


async def test_a_login_that_may_not_become_the_application_role(database_url: str) -> None:
    async with login(database_url, "") as url, connected(database_url) as superuser:
        await superuser.execute(f"GRANT SELECT ON aerich TO {user_of(url)}")
        detail = f"the login {user_of(url)} may not become memory_guild_app"
        assert (await _refusal(url)).problems == [detail]
        (finding,) = await _broken(url)
        assert (finding.subject, finding.mend) == ("application role", f"GRANT memory_guild_app TO {user_of(url)}")
        async with connect(url, check_schema=False):
            with pytest.raises(RoleMissingError, match="GRANT memory_guild_app TO"):
                async with tenant_scope("acme"):
                    pytest.fail("the scope began")

        await superuser.execute(finding.mend)
        async with connect(url), tenant_scope("acme"):
            assert await MemoryRecord.all() == []


@pytest.mark.parametrize("attributes", ["", f"NOINHERIT {AGENT}"], ids=["no member", "does not inherit"])
async def test_a_login_that_may_not_even_ask_for_the_migrations(database_url: str, attributes: str) -> None:
    async with login(database_url, attributes) as url:
        with pytest.raises(RoleMissingError, match="GRANT memory_guild_app TO the login, which must INHERIT"):
            async with connect(url):
                pytest.fail("connected")
        assert "migrations" in {finding.subject for finding in await _broken(url)}

        async with connected(database_url) as superuser:
            options = "WITH INHERIT TRUE" if superuser.get_server_version().major >= 16 else ""
            await superuser.execute(f"ALTER ROLE {user_of(url)} INHERIT")
            await superuser.execute(f"GRANT memory_guild_app TO {user_of(url)} {options}")
        assert await _broken(url) == []


async def test_a_membership_that_does_not_allow_to_become_the_role(database_url: str, agent_url: str) -> None:
    async with connected(database_url) as superuser:
        if superuser.get_server_version().major < 16:
            pytest.skip("memberships have options since PostgreSQL 16")
        await superuser.execute(f"GRANT memory_guild_app TO {user_of(agent_url)} WITH SET FALSE, INHERIT TRUE")

    assert (await _refusal(agent_url)).problems == [f"the login {user_of(agent_url)} may not become memory_guild_app"]


async def test_a_maintenance_login_needs_no_tenant_scope(database_url: str) -> None:
    async with login(database_url, MAINTAINER) as url:
        async with connect(url), admin_scope("the test of its login"):
            assert await MemoryRecord.all() == []
        levels = {finding.subject: finding.level for finding in await doctor(url)}

    assert levels["application role"] == levels["maintenance role"] == "notice"


@asynccontextmanager
async def _as(kind: str, database_url: str) -> AsyncIterator[str]:
    if kind == "superuser":
        yield database_url
    elif kind == "owner":
        async with owner(database_url) as url:
            await run_statement(database_url, f"GRANT memory_guild_app TO {user_of(url)}")
            yield url
    else:
        async with login(database_url, f"{kind} {AGENT}") as url:
            yield url


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        ("superuser", "{} is a superuser: outside scopes it sees every tenant"),
        ("BYPASSRLS", "{} bypasses row-level security: outside scopes it sees every tenant"),
        ("owner", "{} owns the tables: it could switch the isolation off"),
        ("CONNECTION LIMIT 9", "{} is neither superuser nor owner"),
    ],
)
async def test_logins_that_are_more_than_an_agents(database_url: str, kind: str, detail: str) -> None:
    async with _as(kind, database_url) as url, connected(url) as connection:
        user = await connection.fetchval("SELECT quote_ident(session_user)")
        async with connect(url), tenant_scope("acme"):  # it works, and isolates
            assert await MemoryRecord.all() == []
        finding = next(finding for finding in await doctor(url) if finding.subject == "login")

    assert finding.detail == detail.format(user)
    assert (finding.level, bool(finding.mend)) == (("ok", False) if "neither" in detail else ("notice", True))


async def test_a_login_whose_plans_are_always_generic(database_url: str, agent_url: str) -> None:
    await run_statement(database_url, f"ALTER ROLE {user_of(agent_url)} SET plan_cache_mode = force_generic_plan")
    finding = next(finding for finding in await doctor(agent_url) if finding.subject == "plan_cache_mode")
    assert finding.level == "notice"

    await run_statement(database_url, finding.mend)
    finding = next(finding for finding in await doctor(agent_url) if finding.subject == "plan_cache_mode")
    assert (finding.level, finding.detail) == ("ok", "auto; scopes plan lists for their tenant")


# --- roles of the whole server ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def private_url() -> Iterator[str]:
    """A migrated database on a server of this module's own, whose roles the tests may change."""
    with private_server() as url:
        asyncio.run(run_statement(url, "CREATE DATABASE roles"))
        url = with_database(url, "roles")
        asyncio.run(upgrade(url))
        yield url


@pytest.mark.parametrize("role", ["memory_guild_app", "memory_guild_admin"])
@pytest.mark.parametrize("attribute", ["BYPASSRLS", "SUPERUSER"])
async def test_a_role_above_row_level_security(private_url: str, role: str, attribute: str) -> None:
    await run_statement(private_url, f"ALTER ROLE {role} {attribute}")
    async with login(private_url) as url:
        try:
            detail = f"row-level security does not apply to {role}"
            assert detail in (await _refusal(url)).problems
            finding = next(finding for finding in await _broken(url) if finding.detail == detail)
        finally:
            await run_statement(private_url, f"ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS")
        assert finding.mend == f"ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS"
        async with connect(url):
            assert await _broken(url) == []


@pytest.mark.parametrize("role", ["memory_guild_app", "memory_guild_admin"])
async def test_a_role_is_missing(private_url: str, role: str) -> None:
    """As on a new server that a dump was restored to: a dump has no roles."""
    async with login(private_url, f"SUPERUSER {AGENT}") as url, connected(private_url) as superuser:
        await superuser.execute(f"ALTER ROLE {role} RENAME TO away")
        try:
            assert f"the server lacks the roles {role}" in (await _refusal(url)).problems
            finding = next(finding for finding in await _broken(url) if finding.subject == "roles")
            await superuser.execute(finding.mend)
            assert "roles" not in {finding.subject for finding in await _broken(url)}
            await superuser.execute(f"DROP ROLE {role}")
            async with connect(url, check_schema=False):
                with pytest.raises(RoleMissingError, match=f"the server has no role {role}"):
                    async with tenant_scope("acme") if role == "memory_guild_app" else admin_scope("the test"):
                        pytest.fail("the scope began")
        finally:
            await superuser.execute(f"ALTER ROLE away RENAME TO {role}")


async def test_the_backup_role(private_url: str) -> None:
    finding = next(finding for finding in await doctor(private_url) if finding.subject == "backup role")
    assert finding.level == "notice"
    await run_statement(private_url, finding.mend)

    finding = next(finding for finding in await doctor(private_url) if finding.subject == "backup role")
    assert (finding.level, finding.detail) == ("ok", "backup can dump every tenant's rows")
