"""``memory-guild upgrade`` and ``memory-guild validate``, and the errors of every command."""

from __future__ import annotations

import asyncio
import json

import pytest
from typer.testing import CliRunner

from memory_guild.cli import app, main
from memory_guild.database.migrations import known_migrations
from tests.databases import run_statement

RUNNER = CliRunner()


def run(*arguments: str, exit_code: int = 0) -> str:
    result = RUNNER.invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result.stdout


@pytest.fixture
def empty_database(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", empty_database_url)
    return empty_database_url


@pytest.fixture
def migrated_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    return database_url


def test_upgrade_names_what_it_applies_and_then_has_nothing_to_do(empty_database: str) -> None:
    assert run("upgrade").splitlines() == [f"applied {name}" for name in known_migrations()]
    assert run("upgrade") == "nothing to do: the database has every migration\n"
    assert run("validate") == "the database matches the specification exactly\n"


def test_validate_and_doctor_of_an_empty_database_say_one_line(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("doctor", exit_code=1) == "the database has no tables yet; run `memory-guild upgrade`\n"
    monkeypatch.setattr("sys.argv", ["memory-guild", "validate"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "run `memory-guild upgrade`" in printed.err


def test_validate_of_a_pristine_database(migrated_database: str) -> None:
    assert run("validate") == "the database matches the specification exactly\n"
    assert json.loads(run("validate", "--json")) == []


def test_validate_shows_what_is_wrong(migrated_database: str) -> None:
    asyncio.run(run_statement(migrated_database, "ALTER TABLE data_sources ALTER COLUMN is_active SET DEFAULT false"))
    asyncio.run(run_statement(migrated_database, "DROP INDEX idx_memory_hash"))

    shown = run("validate", exit_code=1)
    differences = json.loads(run("validate", "--json", exit_code=1))

    assert [(found["problem"], found["kind"], found["table"], found["name"]) for found in differences] == [
        ("different", "column", "data_sources", "is_active"),
        ("missing", "index", "memory_records", "idx_memory_hash"),
    ]
    for found in differences:
        for text in (found["problem"], found["table"], found["name"]):
            assert text in shown
    assert "CREATE INDEX idx_memory_hash ON memory_records USING btree (content_hash)" in shown


def test_an_error_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:1/nowhere")
    monkeypatch.setattr("sys.argv", ["memory-guild", "upgrade"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("memory-guild: nothing answers at postgresql://nobody@127.0.0.1:1/nowhere")
    assert printed.err.count("\n") == 1
    assert "secret" not in printed.err
