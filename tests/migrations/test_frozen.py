"""History is frozen: a migration is plain text that says what the specification said, and imports no live code."""

from __future__ import annotations

import ast
import asyncio
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from aerich.utils import import_py_file
from tortoise.backends.asyncpg.client import AsyncpgDBClient

from memory_guild.database.migrations import known_migrations, migrations_folder

APPS = ("models", "search", "groups", "citus/models")
BY_APP = {app: [migrations_folder() / app / name for name in known_migrations(app)] for app in APPS}
MIGRATIONS = [path for paths in BY_APP.values() for path in paths]
FIRST = MIGRATIONS[0]
FIRST_ON_CITUS = BY_APP["citus/models"][0]


def script(path: Path, direction: str) -> str:
    """The migration's SQL; a migration asks its client for nothing."""
    client: Any = object.__new__(AsyncpgDBClient)
    text: str = asyncio.run(getattr(import_py_file(path), direction)(client))
    return text


@pytest.mark.parametrize("app", BY_APP)
def test_migrations_are_numbered_without_a_gap(app: str) -> None:
    assert [int(path.name.partition("_")[0]) for path in BY_APP[app]] == list(range(len(BY_APP[app])))
    assert set((migrations_folder() / app).glob("[!_]*.py")) == set(BY_APP[app])
    assert FIRST.name.endswith("_create_memory_guild_tables.py")


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_migration_imports_no_code_of_the_package(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(f"{node.module}")

    assert imported <= {"tortoise", "__future__"}
    assert "__import__" not in path.read_text()
    assert "importlib" not in path.read_text()


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_migration_runs_in_a_transaction_and_can_be_undone(path: Path) -> None:
    module = import_py_file(path)

    assert module.RUN_IN_TRANSACTION is True
    assert module.MODELS_STATE
    assert script(path, "upgrade").strip()
    assert script(path, "downgrade").strip()
    assert path.stem not in sys.modules


@pytest.mark.parametrize("first", [FIRST, FIRST_ON_CITUS], ids=["plain", "citus"])
def test_first_migration_has_the_specification_word_for_word(first: Path) -> None:
    specification = files("memory_guild").joinpath("schema", "sql", "specification.sql").read_text(encoding="utf-8")

    assert specification.strip() in script(first, "upgrade")


def test_first_downgrade_drops_exactly_what_was_created() -> None:
    dropped = [line.removeprefix("DROP TABLE ").rstrip(";") for line in script(FIRST, "downgrade").split("\n") if line]

    assert dropped == [
        "memory_access_policies",
        "data_sources",
        "memory_relationships",
        "memory_embeddings",
        "memory_records",
    ]
