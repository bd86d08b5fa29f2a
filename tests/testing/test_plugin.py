"""The plugin, used as an application uses it: in a folder of its own, in a process of its own, as root too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from memory_guild.testing.databases import completed, run_statement, with_database
from tests.tenancy.logins import connected, with_user

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "testing.md"
PLUGIN = """
pytest_plugins = ["memory_guild.testing"]
"""


def documented_files() -> dict[str, str]:
    """The files of the documented example, by name."""
    return dict(re.findall(r'^```\w+ title="([\w.]+)"\n(.*?)^```$', PAGE.read_text(), re.DOTALL | re.MULTILINE))


@pytest.fixture
def developers_database(database_url: str) -> str:
    """What the developer has configured, with a memory that no test may see."""
    memory = (
        "INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash)"
        " VALUES ('assistant', 'ada', 'document', 'the developer''s own', 'h')"
    )
    completed(run_statement(database_url, memory))
    return database_url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder, closed to other accounts as pytest's own are."""
    (tmp_path / "application").mkdir(mode=0o700)
    return tmp_path / "application"


def run(folder: Path, files: dict[str, str], **environment: str) -> tuple[int, str]:
    """The exit code and output of pytest in a folder with these files."""
    for name, text in files.items():
        (folder / name).write_text(text)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MEMORY_GUILD", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin", "--color=no"],
        cwd=folder,
        env={**inherited, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},  # of all that is installed here
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def texts(url: str) -> list[str]:
    async def fetch() -> list[str]:
        async with connected(url) as connection:
            return [row["content_text"] for row in await connection.fetch("SELECT content_text FROM memory_records")]

    return completed(fetch())


@pytest.fixture
def named_server(server_url: str, template: str) -> Iterator[str]:
    """The server under test, for a login that is no superuser; it has no database left afterwards."""
    name = f"mg_tester_{uuid4().hex[:8]}"
    attributes = "LOGIN CREATEDB PASSWORD 'only-for-tests' IN ROLE memory_guild_app, memory_guild_admin"
    completed(run_statement(server_url, f"CREATE ROLE {name} {attributes}"))
    yield with_database(with_user(server_url, name), "postgres")
    completed(run_statement(server_url, f"DROP ROLE {name}"))  # refused where it owns a database


WHERE = """
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

def test_where(memory_guild_server):
    folder = parse_qs(urlsplit(memory_guild_server).query)["host"][0]
    assert Path(folder).exists()
    Path("where").write_text(folder)
"""


@pytest.mark.long
def test_the_documented_example_on_the_embedded_server(folder: Path, developers_database: str) -> None:
    own = {"MEMORY_GUILD_DATABASE_URL": developers_database, "MEMORY_GUILD_EMBEDDED_FOLDER": str(folder / "own")}

    code, output = run(folder, {**documented_files(), "test_where.py": WHERE}, **own)

    assert (code, "4 passed" in output) == (0, True), output
    assert texts(developers_database) == ["the developer's own"]
    assert not (folder / "own").exists()
    assert not Path((folder / "where").read_text()).exists()


@pytest.mark.long
def test_the_documented_example_on_a_named_server(folder: Path, developers_database: str, named_server: str) -> None:
    code, output = run(
        folder,
        documented_files(),
        MEMORY_GUILD_DATABASE_URL=developers_database,
        MEMORY_GUILD_TEST_DATABASE_URL=named_server,
    )

    assert (code, "3 passed" in output) == (0, True), output
    assert texts(developers_database) == ["the developer's own"]


RECALLS = """
import memory_guild as guild
import notes

async def test_a_note_is_recalled():
    await notes.keep("ada", "The door is blue.")
    async with guild.tenant_scope("ada"):
        assert [note.content_text for note in await guild.recall("Which door?")] == ["The door is blue."]
"""


@pytest.mark.long
def test_agents_recall_in_tests_with_the_documented_fixture(folder: Path) -> None:
    (fixture,) = re.findall(
        r'^```python title="conftest.py, where.*?\n(.*?)^```$', PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    files = documented_files()
    files["conftest.py"] += f"\n\n{fixture}"

    code, output = run(folder, {**files, "test_recalls.py": RECALLS})

    assert (code, "4 passed" in output) == (0, True), output


FORGETFUL = """
import asyncio, subprocess, sys
import pytest
import memory_guild as guild
from memory_guild import embedded
from memory_guild.settings import Settings

async def connect():
    async with guild.connect():
        raise SystemExit("connected")

with pytest.raises(guild.MemoryGuildError, match="ask-for-the-fixture-memory_guild_database"):
    asyncio.run(connect())

def test_a_test():
    with pytest.raises(guild.MemoryGuildError, match="ask-for-the-fixture-memory_guild_database"):
        asyncio.run(connect())

def test_the_embedded_server():
    with pytest.raises(guild.MemoryGuildError, match="ask-for-the-fixture-memory_guild_database"):
        embedded.attach(Settings.from_environment().embedded_folder)

def test_a_process():
    command = [sys.executable, "-m", "memory_guild.cli", "upgrade"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "ask-for-the-fixture-memory_guild_database" in done.stderr
"""


@pytest.mark.long
def test_who_forgets_the_fixture_is_told_so_and_reaches_no_database(folder: Path, developers_database: str) -> None:
    files = {"conftest.py": PLUGIN, "test_forgetful.py": FORGETFUL}

    code, output = run(
        folder,
        files,
        MEMORY_GUILD_DATABASE_URL=developers_database,
        MEMORY_GUILD_EMBEDDED_FOLDER=str(folder / "own"),
    )

    assert (code, "3 passed" in output) == (0, True), output
    assert not (folder / "own").exists()


TABLES_OF_ITS_OWN = """
import asyncio
import asyncpg
import pytest

pytest_plugins = ["memory_guild.testing"]

@pytest.fixture(scope="session")
def memory_guild_prepare():
    {prepare}

def run(url, statement):
    async def run():
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetch(statement)
        finally:
            await connection.close()
    return asyncio.run(run())
"""
PREPARATIONS = {
    "function": 'return lambda url: run(url, "CREATE TABLE orders (id int)")',
    "coroutine": """
    async def prepare(url):
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE orders (id int)")
        await connection.close()
    return prepare
""",
}
EACH_ITS_OWN = """
import pytest
from conftest import run

@pytest.mark.parametrize("number", [1, 2])
def test_the_table_is_there_and_empty(memory_guild_database, number):
    assert run(memory_guild_database, "SELECT FROM orders UNION ALL SELECT FROM memory_records") == []
    run(memory_guild_database, "INSERT INTO orders VALUES (1)")

async def test_inside_a_running_loop(request):
    assert request.getfixturevalue("memory_guild_database").startswith("postgresql://")
"""


@pytest.mark.long
@pytest.mark.parametrize("prepare", PREPARATIONS.values(), ids=PREPARATIONS)
def test_tables_of_the_application_are_in_each_tests_database(folder: Path, named_server: str, prepare: str) -> None:
    files = {
        "conftest.py": TABLES_OF_ITS_OWN.replace("{prepare}", prepare.strip()),
        "test_own.py": EACH_ITS_OWN,
        "pytest.ini": "[pytest]\nasyncio_mode = auto",
    }

    code, output = run(folder, files, MEMORY_GUILD_TEST_DATABASE_URL=named_server)

    assert (code, "3 passed" in output) == (0, True), output
