"""The README and the docs are true: their examples run, with the output that they show."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import memory_guild
from memory_guild.settings import VARIABLES, Settings, embedder_text

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RESULTS = ROOT / "benchmarks" / "results.md"
CLI = [sys.executable, "-m", "memory_guild.cli"]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def run(command: list[str], database_url: str) -> str:
    """What a command prints, run against the test's database."""
    environment = os.environ | {"MEMORY_GUILD_DATABASE_URL": database_url, "PYTHONPATH": str(ROOT)}
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


@pytest.mark.long
def test_readme_example_prints_what_it_shows(database_url: str, has_vectors: bool, tmp_path: Path) -> None:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    (example,) = blocks(ROOT / "README.md", "python")
    script = tmp_path / "example.py"
    script.write_text(example)
    shown = blocks(ROOT / "README.md", "text")[0]
    assert run([sys.executable, str(script)], database_url) == shown
    assert run([sys.executable, str(script)], database_url) == shown, "a second run must print the same"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the README shows the documentation of Python 3.11")
@pytest.mark.long
def test_readme_shows_the_real_output_of_the_demo(database_url: str, has_vectors: bool) -> None:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    asyncio.run(memory_guild.upgrade(database_url, search=True))

    def without_counts(text: str) -> list[str]:
        # A patch release of Python changes some docstrings, and so how many memories there are.
        return [re.sub(r"[ \d,]+$", "", line) for line in text.splitlines()]

    printed = without_counts(run([*CLI, "demo", "--yes"], database_url))
    assert [line for line in without_counts(blocks(ROOT / "README.md", "text")[1]) if line not in printed] == []


def test_readme_commands_are_those_of_ci() -> None:
    script = [line.strip() for line in (ROOT / ".ci" / "run").read_text().splitlines()]
    commands = [command.strip() for command in blocks(ROOT / "README.md", "sh")]
    assert len(commands) == 2
    assert [command for command in commands if command not in script] == []


@pytest.mark.long
def test_documented_record_can_be_ingested(database_url: str, tmp_path: Path) -> None:
    (record,) = blocks(ROOT / "docs" / "commands.md", "json")
    file = tmp_path / "records.jsonl"
    file.write_text(record)
    assert re.search(r"stored\s+1\b", run([*CLI, "ingest", str(file)], database_url))


@pytest.mark.long
def test_every_command_is_documented(database_url: str) -> None:
    listed = set(re.findall(r"^│ (\w+)", run([*CLI, "--help"], database_url), re.MULTILINE))
    documented = set(re.findall(r"^\| `memory-guild (\w+)", (ROOT / "docs" / "commands.md").read_text(), re.MULTILINE))
    assert listed == documented


SEARCH_PAGES = ("recall", "vector-indexes")
"""Their examples need the search."""

GROUPS_PAGES = ("groups",)
"""Their examples connect themselves."""

FRAGMENTS = [
    pytest.param(page, fragment, id=f"{page.stem}-{number}")
    for page in PAGES[2:]
    for number, fragment in enumerate(blocks(page, "python"))
    if page.stem not in SEARCH_PAGES + GROUPS_PAGES
]


async def run_fragment(page: Path, fragment: str) -> None:
    """Run an example as the body of a function."""
    names: dict[str, Any] = {"guild": memory_guild}
    exec(compile(f"async def fragment():\n{textwrap.indent(fragment, '    ')}", str(page), "exec"), names)
    await names["fragment"]()


@pytest.mark.parametrize(("page", "fragment"), FRAGMENTS)
async def test_fragments_of_the_docs_run(
    page: Path, fragment: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database)
    await run_fragment(page, fragment)


async def test_the_examples_of_the_search_run(
    database_url: str, has_vectors: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    await memory_guild.upgrade(database_url, search=True)
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    for page in (ROOT / "docs" / f"{name}.md" for name in SEARCH_PAGES):
        async with memory_guild.connect():
            for fragment in blocks(page, "python"):
                await run_fragment(page, fragment)


async def test_the_examples_of_groups_run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    for page in (ROOT / "docs" / f"{name}.md" for name in GROUPS_PAGES):
        for fragment in blocks(page, "python"):
            await run_fragment(page, fragment)


STATEMENTS = [
    pytest.param(statement, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, statement in enumerate(blocks(page, "sql"))
]


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_statements_of_the_docs_run(statement: str, connection: asyncpg.Connection[asyncpg.Record]) -> None:
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(statement)
    await transaction.rollback()


@pytest.mark.any_server
def test_every_setting_is_documented() -> None:
    documented = set(re.findall(r"`(MEMORY_GUILD_(?!TEST_)\w+)`", (ROOT / "docs" / "settings.md").read_text()))
    assert documented == {variable.name for variable in VARIABLES}


@pytest.mark.any_server
def test_documented_defaults_are_the_real_ones() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    settings = Settings.from_environment({})
    for name, value in {
        "MEMORY_GUILD_SCHEMA`": f"`{settings.schema}`",
        "MEMORY_GUILD_POOL_MAX`": f"{settings.pool_min}, {settings.pool_max}",
        "MEMORY_GUILD_CONNECT_TIMEOUT_SECONDS`": f"{settings.connect_timeout_seconds:g}",
        "MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS`": f"{settings.scope_idle_timeout_seconds:g}",
        "MEMORY_GUILD_EMBEDDER`": f"`{settings.embedder}`",
        "MEMORY_GUILD_EMBEDDER_TEXT`": f"`{embedder_text()}`",
        "MEMORY_GUILD_VECTOR_INDEX`": f"`{settings.vector_index}`",
        "MEMORY_GUILD_VECTOR_TIMEOUT_SECONDS`": f"{settings.vector_timeout_seconds:g}",
        "MEMORY_GUILD_VECTOR_FENCE_SECONDS`": f"{settings.vector_fence_seconds:g}",
    }.items():
        assert f"{name} | {value} |" in page


@pytest.mark.any_server
def test_links_between_the_pages_lead_somewhere() -> None:
    for page in [*PAGES, RESULTS]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.any_server
def test_the_architecture_page_lists_what_stands_at_the_top_of_the_package() -> None:
    (tree,) = blocks(ROOT / "docs" / "architecture.md", "text")[:1]
    listed = {name for line in tree.splitlines()[1:] for name in re.findall(r"^  (\w+(?:\.py|/))", line)}
    package = ROOT / "memory_guild"
    there = {f"{path.name}/" for path in package.iterdir() if path.is_dir() and path.name != "__pycache__"}
    there |= {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    assert listed == there


@pytest.mark.any_server
def test_the_files_that_the_pages_name_exist() -> None:
    inside = r"`((?:memory_guild|tests|docs|benchmarks|migrations)/[\w./]+)`"
    named = [(page.name, path) for page in [*PAGES, RESULTS] for path in re.findall(inside, page.read_text())]
    assert {"architecture.md", "CONTRIBUTING.md"} <= {page for page, _ in named}
    assert [(page, path) for page, path in named if not (ROOT / path).exists()] == []
