"""``memory-guild groups``, and the other commands where there are several."""

from __future__ import annotations

import asyncio
import json

import pytest
from typer.testing import CliRunner

import memory_guild as guild
from memory_guild.cli import app
from memory_guild.database.migrations import known_migrations
from tests.databases import run_statement

RUNNER = CliRunner()


def run(*arguments: str, exit_code: int = 0) -> str:
    result = RUNNER.invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result.stdout


async def remember(tenant_id: str) -> None:
    async with guild.connect(), guild.tenant_scope(tenant_id, agent_id="scribe"):
        await guild.remember(f"what {tenant_id} knows", source_type="document")


@pytest.fixture
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "400")
    return database_url


def test_groups_from_the_first_to_a_tenant_that_moves(database: str) -> None:
    assert run("groups", "list") == "this database has no groups\n"
    asyncio.run(remember("acme"))
    assert run("groups", "create", "north") == "north: created\n"
    assert run("groups", "create", "north") == "north: existed already\n"
    assert [line.split()[1:4:2] for line in run("groups", "list").splitlines() if line[:1] == "│"] == [
        ["public", "1"],
        ["north", "0"],
    ]
    asyncio.run(remember("bolt"))
    assert run("groups", "list", "--tenant", "bolt") == "north\n"
    assert run("groups", "list", "--tenant", "nobody") == "this tenant is in no group\n"
    assert run("groups", "move-tenant", "bolt", "north") == "bolt: is in north already\n"
    assert run("groups", "move-tenant", "bolt", "public") == ("bolt: moved from north to public; 1 of memory_records\n")
    assert run("groups", "move-tenant", "acme", "north").startswith("acme: moved from public to north; ")
    assert len(json.loads(run("audit", "--json", "--event", "move"))) == 4


@pytest.mark.parametrize(
    "command", [("rebalance",), ("move", "north", "10.0.0.1:5432")], ids=lambda command: command[0]
)
def test_groups_have_nowhere_to_move_to_without_citus(database: str, command: tuple[str, ...]) -> None:
    run("groups", "create", "north")
    with pytest.raises(guild.MemoryGuildError, match="this server has no Citus"):
        run("groups", *command)


def test_the_other_commands_look_at_each_group(database: str) -> None:
    run("groups", "create", "north")
    assert run("validate") == "".join(
        f"the group {group}:\nthe database matches the specification exactly\n" for group in ("public", "north")
    )
    assert json.loads(run("validate", "--json")) == []
    told = run("doctor")
    assert "public, north" in told
    assert " north " in told
    last = known_migrations()[-1]
    asyncio.run(run_statement(database, f"DELETE FROM north.aerich WHERE version = '{last}'"))
    assert last in run("doctor", exit_code=1)
    upgraded = run("upgrade", "--all-groups")
    assert [last in line for line in upgraded.splitlines() if "every migration" in line] == [False, True]
    asyncio.run(run_statement(database, "ALTER TABLE north.memory_records ADD COLUMN extra INT"))
    assert json.loads(run("validate", "--json", exit_code=1))[0]["group"] == "north"
    row = """'99_later.py', 'models', '{"models.X": {"table": "memory_records"}}'"""
    asyncio.run(run_statement(database, f"INSERT INTO north.aerich (version, app, content) VALUES ({row})"))
    assert "99_later.py" in run("upgrade", "--all-groups", exit_code=1)
    assert RUNNER.invoke(app, ["upgrade", "--all-groups", "--search"]).exit_code == 2
