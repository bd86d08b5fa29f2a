"""The command ``memory-guild`` itself: its version, its help, and the ways to start it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

import memory_guild
from memory_guild.cli import app

COMMANDS = [
    ["seal"],
    [],
    ["demo"],
    ["doctor"],
    ["indexes"],
    ["indexes", "create"],
    ["ingest"],
    ["server"],
    ["server", "start"],
    ["upgrade"],
    ["validate"],
]


def test_the_version_is_the_one_of_the_package() -> None:
    run = CliRunner().invoke(app, ["--version"], catch_exceptions=False)

    assert (run.exit_code, run.output) == (0, f"memory-guild {memory_guild.__version__}\n")
    assert memory_guild.__version__ == metadata.version("memory-guild")


def test_the_version_is_written_in_one_place() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())

    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "memory_guild/__init__.py"


@pytest.mark.parametrize("module", ["memory_guild", "memory_guild.cli"])
def test_the_package_runs_as_the_command(module: str) -> None:
    command = [sys.executable, "-m", module, "--version"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (run.returncode, run.stdout) == (0, f"memory-guild {memory_guild.__version__}\n")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_a_flag_shows_no_value(command: list[str]) -> None:
    run = CliRunner().invoke(app, [*command, "--help"], catch_exceptions=False)

    assert run.exit_code == 0
    assert "--help" in run.output
    assert "bool" not in run.output.lower()


def test_the_help_of_an_option_shows_its_value() -> None:
    output = CliRunner().invoke(app, ["ingest", "--help"], catch_exceptions=False).output

    assert "--batch-size" in output
    assert "int" in output.lower()
