"""connect() refuses where isolation is not really on, and the doctor says why and how to mend it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from memory_guild.database.connecting import connect
from memory_guild.database.isolation import Finding
from memory_guild.errors import IsolationError
from memory_guild.models import MemoryRecord
from memory_guild.schema.health import doctor
from memory_guild.schema.migrating import upgrade
from memory_guild.tenancy import tenant_scope
from tests.databases import run_statement, with_database
from tests.tenancy.logins import AGENT, login

TENANT_TABLES = ("memory_records", "memory_embeddings", "memory_relationships")
GUARDS = {
    "memory_guild_identity_guard": "memory_records",
    "memory_guild_edge_guard_insert": "memory_relationships",
    "memory_guild_edge_guard_update": "memory_relationships",
    "memory_guild_embedding_guard_insert": "memory_embeddings",
    "memory_guild_embedding_guard_update": "memory_embeddings",
}
VALIDATE = "run `memory-guild validate`, and bring the tables back to what the migrations make"
UPGRADE = "run `memory-guild upgrade`, which grants them again"
ROW_SECURITY = "ALTER TABLE {} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"


@dataclass(frozen=True)
class Breach:
    """A change that an operator might make, the subject and detail of what is found, and the mend."""

    change: str
    subject: str
    detail: str
    mend: str

    def __str__(self) -> str:
        return self.change


def _row_security(table: str, change: str) -> Breach:
    detail = f"row-level security is not enabled and forced on {table}"
    return Breach(f"ALTER TABLE {table} {change}", "row-level security", detail, ROW_SECURITY.format(table))


def _guard(table: str, guard: str, change: str) -> Breach:
    return Breach(change, "guards", f"a guard trigger is missing or disabled: {table}: {guard}", VALIDATE)


def _extra(change: str, policy: str) -> Breach:
    detail = f"a policy that is not ours lets more rows through: {policy}"
    return Breach(change, "other policies", detail, f"DROP POLICY {policy}")


def _truncate(table: str, grantee: str) -> Breach:
    detail = f"memory_guild_app may TRUNCATE {table}, which no policy restricts"
    mend = f"REVOKE TRUNCATE ON {table} FROM memory_guild_app, PUBLIC"
    return Breach(f"GRANT TRUNCATE ON {table} TO {grantee}", "TRUNCATE", detail, mend)


BREACHES = [
    *(_row_security(table, "DISABLE ROW LEVEL SECURITY") for table in TENANT_TABLES),
    *(_row_security(table, "NO FORCE ROW LEVEL SECURITY") for table in TENANT_TABLES),
    _row_security("memory_embeddings", "RENAME TO elsewhere"),
    *(
        Breach(change.format(table), "policies", f"no policy isolates {table}", VALIDATE)
        for table in TENANT_TABLES
        for change in ("DROP POLICY tenant_isolation ON {}", "ALTER POLICY tenant_isolation ON {} USING (true)")
    ),
    _extra("CREATE POLICY everybody ON memory_records USING (true)", "everybody ON memory_records"),
    _extra('CREATE POLICY "let [/all] in" ON memory_embeddings USING (true)', '"let [/all] in" ON memory_embeddings'),
    _extra("CREATE POLICY readers ON memory_relationships FOR SELECT USING (true)", "readers ON memory_relationships"),
    *(_guard(table, guard, f"ALTER TABLE {table} DISABLE TRIGGER {guard}") for guard, table in GUARDS.items()),
    _guard(
        "memory_embeddings",
        "memory_guild_embedding_guard_update",
        "DROP TRIGGER memory_guild_embedding_guard_update ON memory_embeddings",
    ),
    _guard(
        "memory_records",
        "memory_guild_identity_guard",
        "ALTER TABLE memory_records ENABLE REPLICA TRIGGER memory_guild_identity_guard",
    ),
    *(
        Breach(
            f"REVOKE {privilege} ON {table} FROM memory_guild_app",
            "grants",
            f"memory_guild_app lacks grants on {table}",
            UPGRADE,
        )
        for table, privilege in [
            *(("memory_records", privilege) for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE")),
            ("memory_embeddings", "INSERT"),
            ("memory_relationships", "SELECT"),
        ]
    ),
    _truncate("memory_records", "memory_guild_app"),
    _truncate("memory_embeddings", "PUBLIC"),
]


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


async def test_an_agents_login_is_fine(agent_url: str) -> None:
    async with connect(agent_url), tenant_scope("acme", agent_id="agent-1"):
        await MemoryRecord.create(source_type="document", content_text="text")

    found = {finding.subject: finding for finding in await doctor(agent_url)}
    assert {subject for subject, finding in found.items() if finding.level != "ok"} <= {"backup role", "seal"}
    assert {finding.mend for finding in found.values() if finding.level == "ok"} == {""}


@pytest.mark.parametrize("breach", BREACHES, ids=str)
async def test_a_breach_is_found_and_mended(database_url: str, agent_url: str, breach: Breach) -> None:
    await run_statement(database_url, breach.change)

    refusal = await _refusal(agent_url)
    assert breach.detail in refusal.problems
    assert breach.detail in str(refusal)
    broken = await _broken(agent_url)
    assert [finding.detail for finding in broken] == refusal.problems
    finding = next(finding for finding in broken if finding.subject == breach.subject)
    assert (finding.detail, finding.mend) == (breach.detail, breach.mend)

    if breach.mend != VALIDATE and "RENAME" not in breach.change:
        if breach.mend == UPGRADE:
            assert await upgrade(database_url) == []
        else:
            await run_statement(database_url, finding.mend)
        assert await _broken(agent_url) == []
        async with connect(agent_url):
            pass


async def test_several_breaches_are_all_listed_and_mended(database_url: str, agent_url: str) -> None:
    for table in TENANT_TABLES:
        await run_statement(
            database_url, f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY; GRANT ALL ON {table} TO PUBLIC"
        )

    refusal, broken = await _refusal(agent_url), await _broken(agent_url)
    assert len(refusal.problems) == len(broken) == 2
    assert all(table in problem for table in TENANT_TABLES for problem in refusal.problems)
    for finding in broken:
        await run_statement(database_url, finding.mend)
    assert await _broken(agent_url) == []


@pytest.mark.parametrize(
    "change",
    [
        "CREATE POLICY fewer ON memory_records AS RESTRICTIVE USING (NOT is_deleted)",
        "ALTER TABLE memory_records ENABLE ALWAYS TRIGGER memory_guild_identity_guard",
        "ALTER TABLE data_sources ENABLE ROW LEVEL SECURITY",
    ],
)
async def test_what_lets_nobody_see_more_is_allowed(database_url: str, agent_url: str, change: str) -> None:
    await run_statement(database_url, change)

    async with connect(agent_url):
        assert await _broken(agent_url) == []


# --- the command ------------------------------------------------------------------------------------------------


async def _run_doctor(url: str) -> tuple[int | None, str, str]:
    """The exit code, output and errors of ``memory-guild doctor``, in a terminal wide enough to wrap nothing."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memory_guild.cli", "doctor"),
        env={**os.environ, "MEMORY_GUILD_DATABASE_URL": url, "COLUMNS": "300"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_the_command_says_that_all_is_well(agent_url: str) -> None:
    code, output, errors = await _run_doctor(agent_url)

    assert (code, errors) == (0, "")
    assert "enabled and forced on the three tenant tables" in output
    assert "broken" not in output


@pytest.mark.long
async def test_the_command_says_what_is_broken_and_what_to_do(database_url: str, agent_url: str) -> None:
    policy = 'CREATE POLICY "let [/all] in" ON memory_records USING (true)'
    await run_statement(database_url, f"{policy}; ALTER TABLE memory_records NO FORCE ROW LEVEL SECURITY")

    code, output, errors = await _run_doctor(agent_url)

    assert (code, errors) == (1, "")
    assert output.count("broken") == 2
    assert 'DROP POLICY "let [/all] in" ON memory_records' in output
    assert ROW_SECURITY.format("memory_records") in output


@pytest.mark.long
async def test_the_command_finds_no_database(agent_url: str) -> None:
    code, output, errors = await _run_doctor(with_database(agent_url, "mg_nowhere"))

    assert (code, output) == (1, "")
    assert errors.startswith("memory-guild: ")
    assert "no such database" in errors
    assert errors.count("\n") == 1


@pytest.mark.long
async def test_the_command_finds_no_migrations(empty_database_url: str) -> None:
    code, output, _ = await _run_doctor(empty_database_url)

    assert code == 1
    assert "run `memory-guild upgrade`" in output
