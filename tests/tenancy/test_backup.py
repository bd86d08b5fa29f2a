"""Backups with pg_dump: who can write one that is whole, and who would write one without a single memory."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from memory_guild.database.connecting import connect
from memory_guild.errors import RoleMissingError
from memory_guild.models import MemoryRecord
from memory_guild.schema.health import doctor
from memory_guild.schema.migrating import upgrade
from memory_guild.schema.validation import validate
from memory_guild.tenancy import admin_scope, tenant_scope
from memory_guild.testing.databases import drop_database, new_database, run_statement, with_database
from memory_guild.testing.servers import private_server
from tests.tenancy.logins import AGENT, connected, login, owner, user_of
from tests.tenancy.pgbouncer import address_of
from tests.tenancy.server_programs import program, run
from tests.tenancy.two_tenants import ACME_1, ACME_2, BOLT_1, ROWS, everything

if TYPE_CHECKING:
    from tests.tenancy.logins import Connection

TEXTS = [memory_id.encode() for memory_id in (ACME_1, ACME_2, BOLT_1)]
"""The texts of some memories of both tenants, as they stand in a dump."""


@pytest.fixture
async def pg_dump(connection: Connection) -> Path:
    """The program of the server's version."""
    return await _program("pg_dump", connection)


async def _program(name: str, connection: Connection) -> Path:
    version = connection.get_server_version().major
    path = program(name, version)
    if path is None and "CI" in os.environ:
        pytest.fail(f"{name} {version} is not installed")
    if path is None:
        pytest.skip(f"{name} {version} is not installed")
    return path


@pytest.fixture(autouse=True)
async def _rows(connection: Connection) -> None:
    """Two tenants with rows."""
    await connection.execute(ROWS)


@pytest.fixture
async def backup_url(database_url: str) -> AsyncIterator[str]:
    """The role that the documentation and the doctor recommend."""
    async with login(database_url, "BYPASSRLS IN ROLE pg_read_all_data") as url:
        yield url


async def test_the_owner_fails(database_url: str, pg_dump: Path) -> None:
    async with owner(database_url) as url:
        outcome = await run(pg_dump, url)

    assert outcome.code != 0
    assert 'row-level security policy for table "memory_' in outcome.errors
    assert not any(text in outcome.output for text in TEXTS)


@pytest.mark.parametrize("kind", ["owner", "pg_read_all_data"])
async def test_with_row_security_a_dump_has_no_memories_and_nobody_says_so(
    database_url: str, pg_dump: Path, kind: str
) -> None:
    async with owner(database_url) if kind == "owner" else login(database_url, f"IN ROLE {kind}") as url:
        outcome = await run(pg_dump, url, "--enable-row-security", "--exclude-table=aerich")

    assert (outcome.code, outcome.errors) == (0, "")
    assert b"COPY public.memory_records" in outcome.output
    assert b"wiki" in outcome.output  # the catalogues are there
    assert not any(text in outcome.output for text in TEXTS)


async def test_an_agents_login_cannot_dump(database_url: str, pg_dump: Path) -> None:
    async with login(database_url, AGENT) as url:
        outcome = await run(pg_dump, url)

    assert outcome.code != 0
    assert not any(text in outcome.output for text in TEXTS)


async def test_the_backup_role_dumps_every_tenants_rows(backup_url: str, pg_dump: Path) -> None:
    outcome = await run(pg_dump, backup_url)

    assert (outcome.code, outcome.errors) == (0, "")
    assert all(text in outcome.output for text in TEXTS)


async def test_a_restored_dump_is_the_same_database(
    backup_url: str, pg_dump: Path, connection: Connection, empty_database_url: str
) -> None:
    pg_restore = await _program("pg_restore", connection)
    dump = await run(pg_dump, backup_url, "--format=custom")

    options = ("--dbname", address_of(empty_database_url).database, "--exit-on-error", "--single-transaction")
    restored = await run(pg_restore, empty_database_url, *options, given=dump.output)

    assert (restored.code, restored.errors) == (0, "")
    assert (await validate(empty_database_url)).differences == ()
    async with connected(empty_database_url) as other:
        assert await everything(other) == await everything(connection)
    async with login(empty_database_url, AGENT) as url, connect(url), tenant_scope("acme"):
        assert await MemoryRecord.all().count() == 3
        assert await MemoryRecord.get_or_none(memory_id=BOLT_1) is None


async def test_the_doctor_knows_the_backup_role(database_url: str, backup_url: str) -> None:
    finding = next(finding for finding in await doctor(database_url) if finding.subject == "backup role")

    assert finding.level == "ok"
    assert user_of(backup_url) in finding.detail


# --- a server that has never had the package --------------------------------------------------------------------

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tenancy.md"
WITHOUT_ROLES = "DROP ROLE IF EXISTS memory_guild_app; DROP ROLE IF EXISTS memory_guild_admin"


@pytest.fixture(scope="module")
def new_server() -> Iterator[str]:
    """A superuser's URL of another server, where nothing has ever been upgraded."""
    with private_server() as url:
        yield url


@pytest.fixture
async def restored_url(new_server: str, backup_url: str, pg_dump: Path, connection: Connection) -> AsyncIterator[str]:
    """A database on it, restored from a dump of two tenants, while the server has no roles."""
    pg_restore = await _program("pg_restore", connection)
    dump = await run(pg_dump, backup_url, "--format=custom")
    with new_database(new_server) as url:
        restored = await run(pg_restore, url, "--no-owner", "--dbname", address_of(url).database, given=dump.output)
        assert 'role "memory_guild_app" does not exist' in restored.errors
        yield url
    await run_statement(new_server, WITHOUT_ROLES)


async def _works(url: str, kept: str) -> None:
    """The database is as the migrations make it, and an agent's login sees its tenant's memories and no others."""
    assert (await validate(url)).differences == ()
    assert [finding for finding in await doctor(url) if finding.level == "broken"] == []
    async with login(url, AGENT) as agent_url, connect(agent_url), tenant_scope("acme", agent_id="agent-1"):
        assert await MemoryRecord.all().count() == 3
        assert await MemoryRecord.get_or_none(memory_id=BOLT_1) is None
        await MemoryRecord.create(source_type="document", content_text=kept)
    async with connect(url), admin_scope("a test"):
        assert await MemoryRecord.filter(tenant_id="bolt").exists()


async def test_one_command_mends_a_restore_without_roles(restored_url: str) -> None:
    broken = [finding for finding in await doctor(restored_url) if finding.level == "broken"]
    assert any("run `memory-guild upgrade`" in finding.mend for finding in broken)

    mended: list[str] = []
    assert await upgrade(restored_url, granted=mended.append) == []

    assert any(statement.startswith("CREATE POLICY maintenance ON public.memory_records") for statement in mended)
    await _works(restored_url, "after the restore")
    assert await upgrade(restored_url, granted=mended.append) == []
    async with connected(restored_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'memory_guild%'") == 0


HALF_MENDED = {
    "both roles, as somebody made them": "CREATE ROLE memory_guild_app; CREATE ROLE memory_guild_admin",
    "one role": "CREATE ROLE memory_guild_app NOLOGIN",
    "a grant by hand": "CREATE ROLE memory_guild_app; GRANT SELECT ON ALL TABLES IN SCHEMA public TO memory_guild_app;"
    " REVOKE SELECT ON memory_guild_seal FROM memory_guild_app",
}


@pytest.mark.parametrize("by_hand", HALF_MENDED.values(), ids=HALF_MENDED)
async def test_it_mends_what_somebody_has_begun_to_mend(restored_url: str, by_hand: str) -> None:
    await run_statement(restored_url, by_hand)
    await upgrade(restored_url)
    await _works(restored_url, "mended")


async def test_the_doctors_statements_lead_to_the_end(restored_url: str) -> None:
    """Also where somebody runs them instead of the command that they name."""
    roles = next(finding for finding in await doctor(restored_url) if finding.subject == "roles")
    await run_statement(restored_url, roles.mend)
    subjects = {finding.subject: finding for finding in await doctor(restored_url) if finding.level != "ok"}
    for subject in ("grants", "rights of the roles"):
        assert subjects[subject].mend == "run `memory-guild upgrade`, which grants " + (
            "them again" if subject == "grants" else "it again"
        )

    await upgrade(restored_url)

    await _works(restored_url, "mended")


async def test_an_owner_that_may_create_no_roles_is_told_what_a_dba_must_run(restored_url: str) -> None:
    async with login(restored_url, "") as url:
        with pytest.raises(RoleMissingError, match="CREATE ROLE memory_guild_app NOLOGIN"):
            async with connected(restored_url) as superuser:
                await superuser.execute(
                    f'GRANT CREATE ON DATABASE "{address_of(restored_url).database}" TO {user_of(url)};'
                    f" GRANT SELECT ON aerich TO {user_of(url)}"
                )
            await upgrade(url)
        async with connected(restored_url) as superuser:
            query = "SELECT count(*) FROM pg_roles WHERE rolname IN ('memory_guild_app', 'memory_guild_admin')"
            assert await superuser.fetchval(query) == 0


@pytest.mark.long
async def test_the_documented_backup_and_restore(
    new_server: str, backup_url: str, connection: Connection, tmp_path: Path
) -> None:
    (block,) = (
        text
        for text in re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        if "pg_dump" in text
    )
    old, new = address_of(backup_url), address_of(with_database(new_server, "memories"))
    environment = {**os.environ, "MEMORY_GUILD_DATABASE_URL": with_database(new_server, "memories")}
    codes = {}
    for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
        name, *arguments = shlex.split(line)
        if name == "memory-guild":
            command = [sys.executable, "-m", "memory_guild.cli", *arguments]
        else:
            there = old if "old" in arguments else new
            words = {"old": there.host, "new": there.host, "backup": there.user}
            if name == "pg_dump":
                words["memories"] = there.database
            command = [str(await _program(name, connection)), *(words.get(word, word) for word in arguments)]
            environment |= {"PGUSER": there.user, "PGPORT": str(there.port), "PGPASSWORD": there.password}
        process = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, env=environment, stderr=-1, stdout=-1)
        output, errors = await process.communicate()
        codes[name, arguments[0]] = process.returncode
        assert process.returncode == 0 or name == "pg_restore", (line, output, errors)

    assert set(codes.values()) == {0, 1}
    assert codes["pg_restore", "--host"] == 1
    async with connected(with_database(new_server, "memories")) as restored:
        assert await everything(restored) == await everything(connection)
    await drop_database(new_server, "memories")
    await run_statement(new_server, WITHOUT_ROLES)
