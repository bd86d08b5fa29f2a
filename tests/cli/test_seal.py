"""``memory-guild seal``: it prints the key, and the same one again."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from memory_guild.cli import app

RUNNER = CliRunner()


def run(*arguments: str) -> str:
    result = RUNNER.invoke(app, ["seal", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_prints_the_key(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)

    key = run()
    assert re.fullmatch(r"[0-9a-f]{64}\n", key)
    assert run() == key
    assert run("--new-key") != key
    assert run("--remove") == ""
    assert run() != key
