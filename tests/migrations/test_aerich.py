"""Aerich's own commands, from the repository root: bare and with ``-c aerich.toml``."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from memory_guild.database.migrations import known_migrations, migrations_folder
from memory_guild.schema.catalog import compare_catalog
from memory_guild.schema.validation import validate

ROOT = Path(__file__).resolve().parents[2]


def aerich(url: str, *arguments: str, schema: str = "", root: Path = ROOT) -> str:
    """What the command printed; it must succeed."""
    run = subprocess.run(
        [sys.executable, "-m", "aerich", *arguments],
        cwd=root,
        env={**os.environ, "MEMORY_GUILD_DATABASE_URL": url, "MEMORY_GUILD_SCHEMA": schema},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stderr == ""
    return run.stdout


def downgrade_one_by_one(url: str, *options: str, app: str = "models") -> None:
    """Undo every migration, the newest first, with a command for each."""
    for _ in known_migrations(app):
        assert "Success downgrading to" in aerich(url, *options, "downgrade", "--yes")


def downgrade_at_once(url: str, *options: str, schema: str = "") -> None:
    """Undo every migration with one command."""
    printed = aerich(url, *options, "downgrade", "--version", "0", "--yes", schema=schema)
    assert [name for name in known_migrations() if f"Success downgrading to {name}" not in printed] == []


def files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (ROOT / "migrations").rglob("*.py")}


async def tables(url: str, schema: str = "public") -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY 1", schema)
        return [row["tablename"] for row in rows]
    finally:
        await connection.close()


WAYS = [
    pytest.param([], downgrade_one_by_one, id="bare"),
    pytest.param(["-c", "aerich.toml"], downgrade_at_once, id="aerich.toml"),
]
FIVE = ["data_sources", "memory_access_policies", "memory_embeddings", "memory_records", "memory_relationships"]


@pytest.mark.parametrize(("options", "downgrade"), WAYS)
@pytest.mark.long
async def test_whole_life_of_a_database(
    options: list[str], downgrade: Callable[..., None], empty_database_url: str
) -> None:
    url, before = empty_database_url, files()
    first, *_ = known_migrations()

    assert aerich(url, *options, "heads").split() == known_migrations()
    history = aerich(url, *options, "history")
    assert [name for name in known_migrations() if name not in history] == []
    assert f"Success upgrading to {first}" in aerich(url, *options, "upgrade")
    assert set(FIVE) < set(await tables(url))
    assert "No available heads" in aerich(url, *options, "heads")
    assert first in aerich(url, *options, "history")
    assert "No upgrade items found" in aerich(url, *options, "upgrade")
    assert "No changes detected" in aerich(url, *options, "migrate", "--no-input")

    downgrade(url, *options)
    assert await tables(url) == ["aerich"]
    assert first in aerich(url, *options, "heads")
    assert f"Success upgrading to {first}" in aerich(url, *options, "upgrade")
    assert files() == before

    connection = await asyncpg.connect(url)
    try:
        missing = [change for change in (await compare_catalog(connection, "public")).differences if change.problem != "unexpected"]
        assert [change for change in missing if change.kind in {"column", "constraint", "index"}] == []
    finally:
        await connection.close()


@pytest.mark.long
async def test_whole_life_of_the_search(empty_database_url: str, has_vectors: bool) -> None:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    url, before = empty_database_url, files()
    app = ["--app", "search"]
    aerich(url, "upgrade")
    five = await tables(url)

    assert aerich(url, *app, "heads").split() == known_migrations("search")
    assert f"Success upgrading to {known_migrations('search')[0]}" in aerich(url, *app, "upgrade")
    assert {"memory_words", "memory_vectors", "memory_own_vectors"} < set(await tables(url))
    assert "No changes detected" in aerich(url, *app, "migrate", "--no-input")
    assert "No changes detected" in aerich(url, "migrate", "--no-input")
    assert (await validate(url)).differences == ()

    downgrade_one_by_one(url, *app, app="search")
    assert await tables(url) == five
    assert (await validate(url)).differences == ()
    assert f"Success upgrading to {known_migrations('search')[0]}" in aerich(url, *app, "upgrade")
    assert files() == before


@pytest.mark.long
async def test_whole_life_of_the_catalogue_of_groups(empty_database_url: str) -> None:
    url, before = empty_database_url, files()
    app = ["--app", "groups"]
    aerich(url, "upgrade")
    five = await tables(url)

    assert aerich(url, *app, "heads").split() == known_migrations("groups")
    assert f"Success upgrading to {known_migrations('groups')[0]}" in aerich(url, *app, "upgrade")
    assert {*five, "memory_groups", "memory_placements"} == set(await tables(url))
    assert "No changes detected" in aerich(url, *app, "migrate", "--no-input")
    assert (await validate(url)).differences == ()
    assert "Success downgrading to" in aerich(url, *app, "downgrade", "--yes")
    assert await tables(url) == five
    assert files() == before


@pytest.mark.parametrize("app", [[], ["--app", "search"], ["--app", "groups"]], ids=["models", "search", "groups"])
@pytest.mark.long
def test_migrate_needs_no_server(app: list[str]) -> None:
    before = files()

    assert "No changes detected" in aerich("", *app, "migrate", "--offline", "--no-input")

    assert files() == before


SCHEMAS = ["guild", 'Guild "of" Memory; ü']


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("exists", [False, True], ids=["missing", "existing"])
@pytest.mark.long
async def test_schema_is_the_one_of_the_setting(schema: str, exists: bool, empty_database_url: str) -> None:
    if exists:
        connection = await asyncpg.connect(empty_database_url)
        await connection.execute(await connection.fetchval("SELECT format('CREATE SCHEMA %I', $1::text)", schema))
        await connection.close()

    aerich(empty_database_url, "upgrade", schema=schema)

    assert set(FIVE) < set(await tables(empty_database_url, schema))
    assert await tables(empty_database_url) == []
    assert "No changes detected" in aerich(empty_database_url, "migrate", "--no-input", schema=schema)
    assert "No available heads" in aerich(empty_database_url, "heads", schema=schema)
    if exists:
        downgrade_at_once(empty_database_url, schema=schema)
        assert await tables(empty_database_url, schema) == ["aerich"]


def test_both_configurations_say_the_same() -> None:
    bare = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["aerich"]
    other = tomllib.loads((ROOT / "aerich.toml").read_text())["tool"]["aerich"]

    assert bare == other
    assert (ROOT / bare["location"]).resolve() == migrations_folder() == ROOT / "migrations"
