"""The package as others see it: what it exports, says of itself, and does when it is imported."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import memory_guild

PACKAGE = Path(memory_guild.__file__).parent
ROOT = PACKAGE.parent
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)
MODULES = [
    ".".join(("memory_guild", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in SOURCES
]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def importable(name: str) -> bool:
    return not name.endswith("__main__") and (sys.platform == "win32") == name.endswith(".windows")


@pytest.mark.parametrize("path", SOURCES, ids=MODULES)
def test_exports_are_sorted_and_exist(path: Path) -> None:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            names = ast.literal_eval(node.value)
            # Constants, then classes, then functions, as ruff's RUF022 sorts them.
            assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
            assert len(names) == len(set(names))
            module = importlib.import_module(MODULES[SOURCES.index(path)])
            assert all(hasattr(module, name) for name in names)


def public_members(module: ModuleType) -> Iterator[tuple[str, Any]]:
    for name, member in vars(module).items():
        if name.startswith("_") or getattr(member, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(member) or inspect.isfunction(member):
            yield f"{module.__name__}.{name}", member
        if inspect.isclass(member):
            for key, attribute in vars(member).items():
                function = getattr(attribute, "fget", None) or getattr(attribute, "__func__", attribute)
                if not key.startswith("_") and inspect.isfunction(function) and function.__module__ == module.__name__:
                    yield f"{module.__name__}.{name}.{key}", function


@pytest.mark.parametrize("name", [name for name in MODULES if importable(name)])
def test_everything_public_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)

    assert module.__doc__
    for member_name, member in public_members(module):
        assert member.__doc__, member_name
        first_line = member.__doc__.strip().splitlines()[0]
        assert first_line[-1] in ".,:;?!" or len(member.__doc__.splitlines()) > 1, member_name


@pytest.mark.parametrize("path", SOURCES, ids=MODULES)
def test_module_is_of_a_readable_length(path: Path) -> None:
    # The models of five tables stand in one file, and so do all errors: those are somewhat longer.
    assert len(path.read_text().splitlines()) <= (400 if path.name in ("models.py", "errors.py") else 300)


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


def test_imports_follow_the_contract() -> None:
    run = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
