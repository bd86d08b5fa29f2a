"""Backups with pg_dump: who can write one that is whole, and who would write one without a single memory."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from memory_guild.database.connecting import connect
from memory_guild.models import MemoryRecord
from memory_guild.schema.health import doctor
from memory_guild.schema.validation import validate
from memory_guild.tenancy import tenant_scope
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
