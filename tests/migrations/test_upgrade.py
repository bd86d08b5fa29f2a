"""``upgrade()``: once for however many processes, whole or not at all, and never on a newer database."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import asyncpg
import pytest

from memory_guild.database import migrations
from memory_guild.database.connecting import connect
from memory_guild.database.migrations import known_migrations
from memory_guild.errors import ProgrammingError, SchemaTooNewError
from memory_guild.models import MemoryRecord
from memory_guild.schema.catalog import compare_catalog
from memory_guild.database.statements import statement
from memory_guild.schema.migrating import upgrade
from tests.rows import stored_memory

pytestmark = pytest.mark.usefixtures("below_the_scopes")

RELATIONS = """
SELECT count(*) FROM pg_class WHERE relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    AND relnamespace::regnamespace::text NOT LIKE 'pg_toast%'
"""


async def test_upgrade_applies_everything_then_nothing(empty_database_url: str) -> None:
    assert await upgrade(empty_database_url) == known_migrations()
    assert await upgrade(empty_database_url) == []
    async with connect(empty_database_url):
        await stored_memory()


async def test_catalog_equals_what_the_specification_creates(empty_database_url: str) -> None:
    await upgrade(empty_database_url)
    connection = await asyncpg.connect(empty_database_url)

    changes = (await compare_catalog(connection, "public")).differences
    await connection.close()

    # Row-level security, triggers and grants may be added to the five tables; nothing else may differ.
    assert [change for change in changes if change.kind in {"table", "column", "constraint", "index", "rule"}] == []


async def test_first_migration_alone_is_exactly_the_specification(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_of_migrations(tmp_path, monkeypatch)
    for path in folder.glob("[1-9]*.py"):
        path.unlink()

    (applied,) = await upgrade(empty_database_url)
    connection = await asyncpg.connect(empty_database_url)
    changes = (await compare_catalog(connection, "public")).differences
    await connection.close()

    assert applied.startswith("0_")
    assert changes == ()


@pytest.mark.parametrize("schema", ["guild", 'Guild "of" Memory; ü'])
async def test_upgrade_creates_the_schema_that_it_is_given(schema: str, empty_database_url: str) -> None:
    assert await upgrade(empty_database_url, schema=schema) == known_migrations()
    assert await upgrade(empty_database_url, schema=schema) == []

    async with connect(empty_database_url, schema=schema):
        await stored_memory()
    connection = await asyncpg.connect(empty_database_url)
    rows = await connection.fetch("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename LIKE 'memory%'")
    changes = (await compare_catalog(connection, schema)).differences
    await connection.close()
    assert [row["schemaname"] for row in rows] == [schema]
    assert [change for change in changes if change.kind in {"table", "column", "constraint", "index"}] == []


async def test_two_schemas_of_one_database_are_apart(empty_database_url: str) -> None:
    for schema in ("one", "two"):
        assert await upgrade(empty_database_url, schema=schema) == known_migrations()
    async with connect(empty_database_url, schema="one"):
        await stored_memory()
    async with connect(empty_database_url, schema="two"):
        assert await MemoryRecord.all().count() == 0


PROCESS = """
import asyncio, sys
from memory_guild.schema.migrating import upgrade

print("ready", flush=True)
sys.stdin.readline()
print(*asyncio.run(upgrade(sys.argv[1])))
"""


@pytest.mark.long
async def test_concurrent_processes_apply_each_migration_once(empty_database_url: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROCESS,
            empty_database_url,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    results = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))

    assert [(process.returncode, error) for process, (_, error) in zip(processes, results, strict=True)] == [
        (0, b"")
    ] * 6
    assert sorted(output.decode().split() for output, _ in results) == [[]] * 5 + [known_migrations()]
    async with connect(empty_database_url):
        assert await migrations.applied_migrations() == known_migrations()


async def test_newer_database_is_refused_and_left_alone(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    last = known_migrations()[-1]
    await connection.execute("DELETE FROM aerich WHERE version = $1", last)
    await connection.execute("INSERT INTO aerich (version, app, content) VALUES ('99_later.py', 'models', '{}')")
    before = await connection.fetchval(RELATIONS)

    with pytest.raises(SchemaTooNewError) as caught:
        await upgrade(database_url)

    assert caught.value.unknown == ["99_later.py"]
    assert await connection.fetchval(RELATIONS) == before
    assert await connection.fetchval("SELECT count(*) FROM aerich WHERE version = $1", last) == 0


# --- a migration that fails -------------------------------------------------------------------------------------


def copy_of_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The migrations, in a folder of the test's own; the folder with the files."""
    copy = tmp_path / "migrations"
    shutil.copytree(migrations.migrations_folder(), copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrations, "migrations_folder", lambda: copy)
    return copy / "models"


def add_migration(folder: Path, name: str, statements: str) -> None:
    (folder / name).write_text(
        "RUN_IN_TRANSACTION = True\n\n"
        f"async def upgrade(db):\n    return {statements!r}\n\n"
        "async def downgrade(db):\n    return 'SELECT 1'\n"
    )


BROKEN = "CREATE TABLE half (id int); INSERT INTO half VALUES (1); SELECT 1 / 0; CREATE TABLE other (id int);"


async def test_failed_migration_leaves_nothing_and_can_be_repeated(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = known_migrations()
    folder = copy_of_migrations(tmp_path, monkeypatch)
    add_migration(folder, "98_broken.py", BROKEN)
    connection = await asyncpg.connect(empty_database_url)

    for _ in range(2):
        with pytest.raises(Exception, match="division by zero"):
            await upgrade(empty_database_url)
        assert await connection.fetchval("SELECT to_regclass('half') IS NULL AND to_regclass('other') IS NULL")
        versions = await connection.fetch("SELECT version FROM aerich ORDER BY id")
        assert [row["version"] for row in versions] == names

    add_migration(folder, "98_broken.py", BROKEN.replace("1 / 0", "1"))
    assert await upgrade(empty_database_url) == ["98_broken.py"]
    assert await connection.fetchval("SELECT count(*) FROM half") == 1
    await connection.close()


async def test_first_migration_leaves_nothing_when_it_fails(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_of_migrations(tmp_path, monkeypatch)
    first = folder / known_migrations()[0]
    first.write_text(first.read_text().replace("CREATE INDEX idx_policies_active", "CREATE NONSENSE"))
    connection = await asyncpg.connect(empty_database_url)
    before = await connection.fetchval(RELATIONS)

    with pytest.raises(ProgrammingError):
        await upgrade(empty_database_url, schema="guild")

    assert await connection.fetchval(RELATIONS) == before
    assert await connection.fetchval("SELECT to_regnamespace('guild')") is None
    await connection.close()


async def test_who_waits_for_another_upgrade_is_not_canceled(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_STATEMENT_TIMEOUT_SECONDS", "0.5")
    connection = await asyncpg.connect(empty_database_url)
    async with connection.transaction():
        await connection.execute("SELECT set_config('search_path', $1, true)", '"public"')
        await connection.execute(statement("schema/upgrade_lock"))
        waiting = asyncio.create_task(upgrade(empty_database_url))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 1)
        # It holds no snapshot and waits in no statement: an index that is being built concurrently would wait for that.
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert await connection.fetchval(f"SELECT count(*) {others} AND state = 'idle in transaction'") == 1
        assert await connection.fetchval(f"SELECT count(*) {others} AND wait_event_type = 'Lock'") == 0
    assert await waiting == known_migrations()
    await connection.close()
