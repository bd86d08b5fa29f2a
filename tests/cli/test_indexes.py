"""``memory-guild indexes`` and what ``memory-guild validate`` says of them."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest
from typer.testing import CliRunner

from memory_guild.cli import app
from memory_guild.errors import InvalidInputError
from tests.databases import run_statement
from tests.schema.index_builds import AGENTS, DEFINITIONS, TENANT

RUNNER = CliRunner()

pytestmark = pytest.mark.usefixtures("migrated_database")


@pytest.fixture
def migrated_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    return database_url


def run(*arguments: str, exit_code: int = 0) -> list[str]:
    result = RUNNER.invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result.stdout.splitlines()


def test_created_and_dropped() -> None:
    assert run("indexes", "create", AGENTS) == [f"{AGENTS}: created"]
    assert run("indexes", "create") == [f"{TENANT}: created", f"{AGENTS}: existed already"]
    assert run("indexes", "drop", TENANT) == [f"{TENANT}: dropped"]
    assert run("indexes", "drop") == [f"{TENANT}: did not exist", f"{AGENTS}: dropped"]


def test_recommended_as_a_script(migrated_database: str) -> None:
    async def run_each(statements: list[str]) -> None:
        connection = await asyncpg.connect(migrated_database)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    script = run("indexes", "recommend")
    assert script[0].startswith(f"-- {TENANT}: the newest memories of a tenant")
    assert script.count("-- missing") == 2
    asyncio.run(run_each([line for line in script if line and not line.startswith("--")]))

    assert [line for line in run("indexes", "recommend") if not line.startswith(f"-- {TENANT}")] == [
        "-- valid",
        "",
        f"-- {AGENTS}: the newest memories of one agent of a tenant, page by page",
        "-- valid",
        "",
    ]
    assert len(run("indexes", "recommend", AGENTS)) == 3


def test_a_broken_one_is_recommended_for_repair_and_repaired(migrated_database: str) -> None:
    run("indexes", "create")
    broken = f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{TENANT}'::regclass"
    asyncio.run(run_statement(migrated_database, broken))
    asyncio.run(run_statement(migrated_database, f"COMMENT ON INDEX {AGENTS} IS NULL"))

    script = run("indexes", "recommend")
    assert script[1] == "-- invalid: it is being built, or its build was interrupted"
    assert script[2] == f"DROP INDEX CONCURRENTLY IF EXISTS public.{TENANT};"
    assert "-- valid, but without the comment that tells `memory-guild validate` that it is wanted" in script
    assert run("indexes", "create") == [
        f"{TENANT}: built again, because an interrupted build had left it invalid",
        f"{AGENTS}: existed already; now marked as wanted",
    ]


def test_an_unknown_name_is_refused() -> None:
    for command in ("recommend", "create", "drop"):
        with pytest.raises(InvalidInputError, match="there is no optional index 'elsewhere'"):
            run("indexes", command, "elsewhere")


def test_validate_lists_them_beside_the_differences(migrated_database: str) -> None:
    run("indexes", "create")
    listed = [f"added on purpose: {definition}" for definition in DEFINITIONS.values()]

    assert run("validate") == ["the database matches the specification; indexes were added on purpose", *listed]
    assert json.loads("".join(run("validate", "--json"))) == []

    asyncio.run(run_statement(migrated_database, "DROP INDEX idx_memory_hash"))
    shown = run("validate", exit_code=1)
    assert shown[-2:] == listed
    assert any("idx_memory_hash" in line for line in shown[:-2])
