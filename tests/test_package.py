"""The package as others see it: what it exports, says of itself, and does when it is imported."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import memory_guild

PACKAGE = Path(memory_guild.__file__).parent
ROOT = PACKAGE.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


QUIET = """
import logging, os, socket, sys, threading, warnings

warnings.simplefilter("error")

def refuse(*_):
    raise SystemExit("a connection was opened")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
environment, path, handlers = dict(os.environ), list(sys.path), list(logging.getLogger().handlers)
import memory_guild
for name in getattr(memory_guild, "__all__", []):
    getattr(memory_guild, name)
assert dict(os.environ) == environment
assert sys.path == path
assert logging.getLogger().handlers == handlers
assert threading.active_count() == 1
assert "aerich" not in sys.modules, "slow to import, and only upgrade() and validate() need it"
from tortoise.context import get_current_context
assert get_current_context() is None
"""


def test_import_does_nothing_else(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", QUIET],
        env={"HOME": str(tmp_path), "MEMORY_GUILD_POOL_MAX": "nonsense"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.stdout, run.stderr, run.returncode) == ("", "", 0)
    assert list(tmp_path.iterdir()) == []


def test_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
    assert "Typing :: Typed" in PYPROJECT["project"]["classifiers"]


def test_command_is_the_one_of_the_metadata() -> None:
    (entry,) = metadata.entry_points(group="console_scripts", name="memory-guild")

    assert entry.value == PYPROJECT["project"]["scripts"]["memory-guild"] == "memory_guild.cli:main"
    assert callable(entry.load())
