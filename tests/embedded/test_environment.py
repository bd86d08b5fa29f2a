"""Variables that are meant for another server do not keep anybody from the embedded one."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import asyncpg
import pytest

from memory_guild import embedded
from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.embedded import binaries
from tests.embedded.child import FAST, ask
from tests.embedded.processes import PACKAGE

FOR_ANOTHER_SERVER = {
    "PGAPPNAME": "another",
    "PGCHANNELBINDING": "require",
    "PGCONNECT_TIMEOUT": "3",
    "PGDATABASE": "another",
    "PGGSSENCMODE": "require",
    "PGGSSLIB": "sspi",
    "PGHOST": "db.example.org",
    "PGHOSTADDR": "192.0.2.1",
    "PGKRBSRVNAME": "another",
    "PGLOADBALANCEHOSTS": "random",
    "PGOPTIONS": "endpoint=ep-cool-darkness-123456",
    "PGPASSFILE": "/nonexistent/pgpass",
    "PGPASSWORD": "another",
    "PGPORT": "6432",
    "PGREQUIREPEER": "another",
    "PGREQUIRESSL": "1",
    "PGSSLCERT": "/nonexistent/client.crt",
    "PGSSLCRL": "/nonexistent/root.crl",
    "PGSSLKEY": "/nonexistent/client.key",
    "PGSSLMAXPROTOCOLVERSION": "TLSv1.2",
    "PGSSLMINPROTOCOLVERSION": "TLSv1.3",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "system",
    "PGTARGETSESSIONATTRS": "standby",
    "PGUSER": "another",
}
PROGRAMS = [
    *([found] if (found := shutil.which("psql")) else []),
    *(str(PACKAGE / folder / "bin" / "psql") for folder in binaries.INSTALLATIONS.values()),
]


def psql(program: str, url: str | None, **variables: str) -> str:
    ran = subprocess.run(
        [program, "--no-psqlrc", str(url), "-Atc", "SELECT current_database()"],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("PG")} | variables,
        check=False,
    )
    return ran.stdout + ran.stderr


@pytest.mark.parametrize(
    "variables",
    [
        {"PGPORT": "6432,6433"},
        {"PGPORT": "none"},
        {"PGSSLMODE": "verify-full"},
        {"PGSSLMODE": "nonsense"},
        {"PGSSLNEGOTIATION": "direct"},
        {"PGSSLNEGOTIATION": "nonsense"},
        {"PGTARGETSESSIONATTRS": "read-only"},
        {"PGTARGETSESSIONATTRS": "nonsense"},
        {"PGGSSLIB": "nonsense"},
        FOR_ANOTHER_SERVER | {"PGSERVICE": "another", "PGREQUIREAUTH": "scram-sha-256", "PGSSLNEGOTIATION": "direct"},
    ],
    ids=str,
)
async def test_agents_reach_the_server(
    folder: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_EMBEDDED_FOLDER", str(folder))
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "3")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    server = await asyncio.to_thread(embedded.attach, folder, options=FAST)
    async with connect(check_schema=False):
        rows = await asyncio.gather(
            *(client().execute_query("SELECT current_database(), pg_sleep(0.1)") for _ in "123")
        )
        assert {row[0]["current_database"] for _, row in rows} == {"memory_guild"}
    assert await ask(server.url, "SELECT current_database()") == "memory_guild"


@pytest.mark.parametrize("content", [b"\xff\xfe no UTF-8", b"a line with too few fields\n"])
async def test_a_password_file_that_asyncpg_cannot_read(
    folder: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    passwords = tmp_path / "pgpass"
    passwords.write_bytes(content)
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    server = await asyncio.to_thread(embedded.attach, folder, options=FAST)
    assert await ask(server.url, "SELECT 1") == 1
    with pytest.raises((UnicodeDecodeError, ValueError)):  # what it would say
        await asyncpg.connect(host=server.host, user=server.user, database=server.database)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.long
def test_psql_of_any_version_reaches_the_server(folder: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded.attach(folder, options=FAST)
    assert psql(program, embedded.status(folder).url) == "memory_guild\n"
    for name, value in FOR_ANOTHER_SERVER.items():
        monkeypatch.setenv(name, value)
        assert psql(program, embedded.status(folder).url, **{name: value}) == "memory_guild\n", name
        monkeypatch.delenv(name)
    for name, value in FOR_ANOTHER_SERVER.items():
        monkeypatch.setenv(name, value)
    assert psql(program, embedded.status(folder).url, **FOR_ANOTHER_SERVER) == "memory_guild\n"


@pytest.mark.skipif(shutil.which("psql") is None, reason="the psql of the package is built without TLS")
def test_psql_that_would_negotiate_tls_directly(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded.attach(folder, options=FAST)
    monkeypatch.setenv("PGSSLNEGOTIATION", "direct")
    url = embedded.status(folder).url
    assert psql("psql", url, PGSSLNEGOTIATION="direct") == "memory_guild\n"
    assert asyncio.run(ask(str(url), "SELECT current_database()")) == "memory_guild"
