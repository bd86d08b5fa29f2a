"""Who may do what with the audit: entries come and stay, whoever asks."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

import memory_guild as guild
from memory_guild.database.isolation import check_isolation
from memory_guild.errors import IsolationError
from memory_guild.types import AuditEvent
from tests.tenancy.logins import connected
from tests.tenancy.two_tenants import acting_as

ENTRY = (
    "INSERT INTO memory_audit (audit_id, tenant_id, event, outcome)"
    " VALUES (gen_random_uuid(), {tenant}, 'denied', 'no')"
)
CHANGES = [
    "UPDATE memory_audit SET outcome = 'done'",
    "DELETE FROM memory_audit",
    "TRUNCATE memory_audit",
    "UPDATE memory_audit SET outcome = 'done' WHERE false",
    "INSERT INTO memory_audit (audit_id, event, outcome) VALUES (gen_random_uuid(), 'x', 'x')"
    " ON CONFLICT (audit_id, tenant_id) DO UPDATE SET outcome = 'y'",
    "MERGE INTO memory_audit USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("role", ["superuser", "bypass", "owner", "admin", "app"])
async def test_nobody_changes_an_entry(database: str, connection: Any, role: str, change: str) -> None:
    await connection.execute(ENTRY.format(tenant="'acme'"))
    async with acting_as(role, database, "acme" if role == "app" else "") as attacker:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await attacker.execute(change)


@pytest.mark.parametrize("change", CHANGES[:3])
async def test_nobody_changes_an_entry_where_other_triggers_do_not_fire(connection: Any, change: str) -> None:
    await connection.execute("SET session_replication_role = replica")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="cannot be changed or deleted"):
        await connection.execute(change)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM memory_audit",
        "SELECT count(*) FROM memory_audit",
        ENTRY.format(tenant="'acme'") + " RETURNING audit_id",
        ENTRY.format(tenant="'bolt'"),
        ENTRY.format(tenant="NULL"),
        "SET LOCAL memory_guild.tenant_id = ''; " + ENTRY.format(tenant="NULL"),
        ENTRY.format(tenant="'acme'").replace("(audit_id,", "(login, audit_id,").replace("(gen", "('x', gen"),
        ENTRY.format(tenant="'acme'").replace("(audit_id,", "(occurred_at, audit_id,").replace("(gen", "(now(), gen"),
        "ALTER TABLE memory_audit DISABLE TRIGGER ALL",
        "DROP TABLE memory_audit",
        "CREATE TEMP TABLE heir () INHERITS (memory_audit)",
    ],
)
async def test_an_agent_reads_nothing_and_adds_only_what_is_its_tenants(database: str, statement: str) -> None:
    async with acting_as("app", database, "acme") as agent:
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.WrongObjectTypeError)):
            await agent.execute(statement)


async def test_an_agent_whose_login_inherits_the_role_adds_no_entry_of_no_tenant(database: str) -> None:
    async with acting_as("app", database) as agent:
        await agent.execute("RESET ROLE")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await agent.execute(ENTRY.format(tenant="NULL"))


async def test_an_id_tells_nothing_of_another_tenants_entry(database: str, connection: Any) -> None:
    audit_id = await connection.fetchval(ENTRY.format(tenant="'bolt'") + " RETURNING audit_id")
    async with acting_as("app", database, "acme") as agent:
        await agent.execute(ENTRY.format(tenant="'acme'").replace("gen_random_uuid()", f"'{audit_id}'"))


async def test_the_owner_reads_no_entry_and_adds_those_of_its_triggers(database: str) -> None:
    async with acting_as("owner", database) as owner:
        login = await owner.fetchval("SELECT session_user")
        await owner.execute("RESET SESSION AUTHORIZATION")
        await owner.execute(f"ALTER TABLE memory_audit OWNER TO {login}")
        await owner.execute(f"SET LOCAL SESSION AUTHORIZATION {login}")
        await owner.execute("INSERT INTO data_sources (source_name, source_type) VALUES ('crm', 'api')")
        assert await owner.fetchval("SELECT count(*) FROM memory_audit") == 0
        await owner.execute("RESET SESSION AUTHORIZATION")
        assert await owner.fetchval("SELECT count(*) FROM memory_audit WHERE login = $1", login) == 1
        for change in CHANGES[:3]:
            await owner.execute(f"SET LOCAL SESSION AUTHORIZATION {login}; SAVEPOINT before")
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="cannot be changed or deleted"):
                await owner.execute(change)
            await owner.execute("ROLLBACK TO before; RESET SESSION AUTHORIZATION")


@pytest.mark.parametrize(
    "harm",
    [
        "ALTER TABLE memory_audit DISABLE TRIGGER memory_guild_append_only",
        "ALTER TABLE memory_audit NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant_isolation ON memory_audit",
        "CREATE POLICY open ON memory_audit USING (true)",
        "GRANT TRUNCATE ON memory_audit TO memory_guild_app",
    ],
)
async def test_the_doctor_sees_an_audit_that_is_open(database: str, harm: str) -> None:
    await check_isolation()
    async with connected(database) as superuser:
        await superuser.execute(harm)
    with pytest.raises(IsolationError, match="memory_audit"):
        await check_isolation()


async def test_sealed_and_unsealed_again_an_agent_adds_its_tenants_entries_only(database: str) -> None:
    for change in (guild.schema.seal, guild.schema.unseal):
        await change(database)
        async with guild.connect(database, check_schema=False):
            async with guild.tenant_scope("acme"):
                await guild.audit.record(AuditEvent.PURGE)
            with pytest.raises(guild.MemoryGuildError):
                async with guild.tenant_scope("acme"):
                    await guild.audit.record(AuditEvent.PURGE, tenant_id="bolt")
            async with guild.admin_scope("sealed"):
                assert [entry.tenant_id for entry in await guild.audit.entries(event="purge")][:1] == ["acme"]
