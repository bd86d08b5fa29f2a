"""What scopes leave in the audit: committed, rolled back, cancelled, cut off; and what costs nothing."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest
from tortoise.exceptions import IntegrityError

import memory_guild as guild
from memory_guild.database.engine import client
from memory_guild.errors import InvalidInputError, MemoryGuildError, ScopeAbortedError, ScopeError, TenantNotSetError
from memory_guild.tenancy import maintenance_scope
from memory_guild.types import AuditEvent
from tests.audit.conftest import Entries


def deny(subject: str = "a policy") -> None:
    guild.audit.record_surviving(AuditEvent.DENIED, outcome="denied", subject=subject)


async def kill_own_backend(superuser: Any) -> None:
    (row,) = await client().execute_query_dict("SELECT pg_backend_pid() AS pid")
    await superuser.execute("SELECT pg_terminate_backend($1)", row["pid"])


# --- admin scopes -----------------------------------------------------------------------------------------------


async def test_an_admin_scope_is_recorded_with_its_reason(entries: Entries) -> None:
    async with guild.admin_scope("because"):
        pass
    async with maintenance_scope():
        pass
    with pytest.raises(KeyError):
        async with guild.admin_scope("in vain"):
            raise KeyError
    assert await entries.of() == ["admin_scope committed", "admin_scope rolled back"]
    assert await entries.of("reason") == ["because", "in vain"]


@pytest.mark.parametrize("end", ["cancelled", "killed", "a statement failed"])
async def test_an_admin_scope_that_is_cut_off_is_recorded(entries: Entries, superuser: Any, end: str) -> None:
    async def work() -> None:
        async with guild.admin_scope("cut off"):
            await guild.DataSource.create(source_name="gone", source_type="api")
            if end == "killed":
                await kill_own_backend(superuser)
                await guild.DataSource.all()
            elif end == "cancelled":
                await asyncio.sleep(60)
            else:
                with pytest.raises(IntegrityError):
                    await guild.DataSource.create(source_name="gone", source_type="api")

    task = asyncio.create_task(work())
    if end == "cancelled":
        await asyncio.sleep(0.3)
        task.cancel()
    with pytest.raises((asyncio.CancelledError, MemoryGuildError)):
        await task
    assert await entries.of() == ["admin_scope rolled back"]
    assert await superuser.fetchval("SELECT count(*) FROM data_sources WHERE source_name = 'gone'") == 0


async def test_nested_admin_scopes_end_each_for_itself(entries: Entries) -> None:
    async with guild.admin_scope("outer"):
        async with guild.admin_scope("kept"):
            pass
        with pytest.raises(KeyError):
            async with guild.admin_scope("undone"):
                async with guild.admin_scope("undone inside"):
                    pass
                raise KeyError
    assert sorted(await entries.of("reason || ': ' || outcome")) == [
        "kept: committed",
        "outer: committed",
        "undone inside: rolled back",
        "undone: rolled back",
    ]


@pytest.mark.parametrize("reason", [None, 5, "a\x00b", "\ud800"])
async def test_a_reason_that_is_no_text_is_refused(reason: Any) -> None:
    with pytest.raises(InvalidInputError, match="reason"):
        guild.admin_scope(reason)


# --- what must be known all the same ----------------------------------------------------------------------------


@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize("end", ["commit", "error", "killed", "a statement failed"])
async def test_a_denial_is_recorded_however_the_scope_ends(
    entries: Entries, superuser: Any, end: str, is_nested: bool
) -> None:
    async def work() -> None:
        deny()
        if end == "error":
            raise KeyError
        if end == "killed":
            await kill_own_backend(superuser)
        if end == "a statement failed":
            with pytest.raises(MemoryGuildError):
                await client().execute_query("SELECT 1 / 0")

    async def scope() -> None:
        async with guild.tenant_scope("acme", agent_id="scribe"):
            await guild.remember("one", source_type="document")
            if is_nested:
                async with guild.tenant_scope("acme"):
                    await work()
            else:
                await work()

    if end == "commit":
        await scope()
    else:
        with pytest.raises((KeyError, MemoryGuildError)):
            await scope()
    assert await entries.of("concat_ws(' ', event, outcome, tenant_id, agent_id, subject)") == [
        "denied denied acme scribe a policy"
    ]
    assert await superuser.fetchval("SELECT count(*) FROM memory_records") == (1 if end == "commit" else 0)


async def test_a_denial_inside_what_is_undone_stays_where_the_rest_is_kept(entries: Entries) -> None:
    async with guild.tenant_scope("acme"):
        with pytest.raises(KeyError):
            async with guild.tenant_scope("acme"):
                await guild.audit.record(AuditEvent.PURGE)
                deny()
                raise KeyError
    assert await entries.of() == ["denied denied"]


async def test_a_scope_cancelled_again_while_it_records_is_recorded(entries: Entries) -> None:
    async def work() -> None:
        async with guild.tenant_scope("acme"):
            deny()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.2)
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(50):
        if found := await entries.of():
            break
        await asyncio.sleep(0.1)
    assert found == ["denied denied"]


async def test_what_cannot_be_recorded_is_logged_and_its_scope_is_rolled_back(
    database: str, connection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await connection.execute("ALTER TABLE memory_audit RENAME TO elsewhere")
    with pytest.raises(MemoryGuildError):
        async with guild.tenant_scope("acme", agent_id="scribe"):
            await guild.remember("one", source_type="document")
            deny("a policy")
    assert await connection.fetchval("SELECT count(*) FROM memory_records") == 0
    (record,) = [record for record in caplog.records if record.name == "memory_guild.audit"]
    assert record.levelno == logging.ERROR
    assert "NOT in the audit table" in record.getMessage()
    assert record.__dict__["subject"] == "a policy"
    with pytest.raises(MemoryGuildError, match="memory-guild upgrade"):
        async with guild.admin_scope("older database"):
            pass
    async with guild.tenant_scope("acme", agent_id="scribe"):  # nothing for the audit, nothing asked of it
        await guild.remember("one", source_type="document")


async def test_text_that_no_column_can_hold_is_recorded_without_it(entries: Entries) -> None:
    async with guild.tenant_scope("acme"):
        guild.audit.record_surviving(
            AuditEvent.DENIED, outcome="denied", reason="a\x00b\ud800", details={"x": "\x00\ud800"}
        )
    assert await entries.of("reason") == ["a\N{REPLACEMENT CHARACTER}b?"]


@pytest.mark.parametrize("count", [20])
async def test_many_scopes_at_once_record_each_entry_once(entries: Entries, count: int) -> None:
    async def work(number: int) -> None:
        async with guild.tenant_scope(f"tenant {number}"):
            deny(f"{number}")
            deny(f"{number} again")
            if number % 2:
                raise KeyError

    await asyncio.gather(*(work(number) for number in range(count)), return_exceptions=True)
    found = await entries.of("subject || ' of ' || tenant_id")
    assert sorted(found) == sorted(
        f"{number}{again} of tenant {number}" for number in range(count) for again in ("", " again")
    )


async def test_a_lost_commit_is_recorded_once(entries: Entries) -> None:
    """Nobody heard of the commit, so the entry is written again: it has the same id, and stays one."""
    async with guild.tenant_scope("acme") as scope:
        deny()
        trail = scope.transaction.session.trail
        assert trail is not None
        entry = trail.surviving[0]
    async with guild.tenant_scope("acme") as scope:
        deny()
        trail = scope.transaction.session.trail
        assert trail is not None
        trail.surviving[:] = [entry]
    assert await entries.of() == ["denied denied"]


# --- verbs, sources and policies --------------------------------------------------------------------------------


async def test_a_purge_is_recorded_with_its_count_where_it_is_committed(entries: Entries) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        await guild.forget(await guild.remember("one", source_type="document"))
        await guild.purge(older_than=timedelta(days=1))
    with pytest.raises(KeyError):
        async with guild.tenant_scope("acme"):
            await guild.purge(older_than=timedelta(0))
            raise KeyError
    assert await entries.of() == []
    async with guild.tenant_scope("acme"):
        assert await guild.purge(older_than=timedelta(0)) == 1
    assert await entries.of("event || (details ->> 'memories')") == ["purge1"]


async def test_changes_of_sources_are_recorded_however_they_are_made(entries: Entries, superuser: Any) -> None:
    async with guild.admin_scope("sources"):
        source = await guild.DataSource.create(source_name="crm", source_type="api", metadata={"trust": 0.5})
        source.is_active = False
        await source.save()
        await source.save()
    await superuser.execute("UPDATE data_sources SET last_ingestion_at = now()")
    await superuser.execute("UPDATE data_sources SET last_ingestion_at = NULL, metadata = '{\"secret\": 1}'")
    await superuser.execute("DELETE FROM data_sources")
    found = await entries.of("event || COALESCE((details -> 'changed')::text, '')", "subject = 'crm'")
    assert found == ["source_registered", 'source_changed["is_active"]', 'source_changed["metadata"]', "source_removed"]
    assert "secret" not in str(await entries.of("details::text"))


async def test_changes_of_policies_are_recorded_however_they_are_made(entries: Entries, superuser: Any) -> None:
    async with guild.admin_scope("policies"):
        await guild.MemoryAccessPolicy.create(policy_name="own", policy_rules={"rego": "secret"})
        await guild.MemoryAccessPolicy.filter(policy_name="own").update(is_active=False)
    await superuser.execute("DELETE FROM memory_access_policies")
    found = await entries.of("event || COALESCE(details ->> 'is_active', '')", "subject = 'own'")
    assert found == ["policy_puttrue", "policy_putfalse", "policy_removed"]
    assert "secret" not in str(await entries.of("details::text"))


async def test_emptying_the_sources_and_policies_is_recorded(database: str, connection: Any) -> None:
    await connection.execute("TRUNCATE data_sources, memory_access_policies CASCADE")
    rows = await connection.fetch(
        "SELECT event FROM memory_audit WHERE details ? 'truncated' ORDER BY occurred_at DESC, event LIMIT 2"
    )
    assert sorted(row["event"] for row in rows) == ["policy_removed", "source_removed"]


# --- reading ----------------------------------------------------------------------------------------------------


async def test_entries_are_found_by_each_condition(entries: Entries) -> None:
    for number, agent in enumerate(("scribe", "archivist")):
        async with guild.tenant_scope(f"read {number}", agent_id=agent):
            deny(agent)
    async with guild.admin_scope("reading"):
        first, second = await guild.audit.entries(event="denied", since=entries.since)
        assert (first.subject, second.subject) == ("archivist", "scribe")
        assert await guild.audit.entries(tenant_id="read 0", since=entries.since) == [second]
        assert await guild.audit.entries(agent_id="archivist", since=entries.since) == [first]
        assert await guild.audit.entries(event=AuditEvent.DENIED, since=entries.since, limit=1) == [first]
        assert await guild.audit.entries(since=first.occurred_at, until=first.occurred_at) == []
        assert await guild.audit.entries(event="denied", since=first.occurred_at) == [first]
        for wrong in ({"event": "deny"}, {"limit": 0}, {"limit": True}, {"tenant_id": ""}, {"since": 5}):
            with pytest.raises(InvalidInputError):
                await guild.audit.entries(**wrong)


async def test_a_tenant_may_not_read(entries: Entries) -> None:
    async with guild.tenant_scope("acme"):
        with pytest.raises(ScopeError, match="admin_scope"):
            await guild.audit.entries()
    with pytest.raises(TenantNotSetError):
        await guild.audit.entries()


async def test_every_entry_is_a_line_of_the_log_once_it_is_committed(
    entries: Entries, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="memory_guild.audit"):
        async with guild.tenant_scope("acme", agent_id="scribe"):
            await guild.audit.record(AuditEvent.PURGE, details={"memories": 3})
            deny()
            assert caplog.records == []
        with pytest.raises(KeyError):
            async with guild.tenant_scope("acme"):
                await guild.audit.record(AuditEvent.ERASE)
                raise KeyError
    purged, denied = caplog.records
    assert (purged.levelname, denied.levelname) == ("INFO", "WARNING")
    assert purged.__dict__["details"] == {"memories": 3}
    assert purged.__dict__["audit_id"] == str((await entries.of("audit_id", "event = 'purge'"))[0])


async def test_a_scope_that_fails_at_its_end_is_not_called_committed(entries: Entries) -> None:
    with pytest.raises(ScopeAbortedError):
        async with guild.admin_scope("failing"):
            with pytest.raises(MemoryGuildError):
                await client().execute_query("SELECT 1 / 0")
    assert await entries.of() == ["admin_scope rolled back"]
