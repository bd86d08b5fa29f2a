from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

import memory_guild as guild
from memory_guild.cli import app
from memory_guild.transfer import jsonl
from tests.cli.test_demo import count_after


@pytest.fixture(autouse=True)
def configured(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test's database, named in the environment."""
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    return database_url


def line(text: str, **changed: Any) -> str:
    return json.dumps(
        {"agent_id": "scribe", "tenant_id": "acme", "source_type": "document", "content_text": text} | changed
    )


def stored_texts(url: str) -> list[str]:
    async def fetch() -> list[str]:
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch("SELECT content_text FROM memory_records ORDER BY content_text")
        finally:
            await connection.close()
        return [row["content_text"] for row in rows]

    return asyncio.run(fetch())


def write(folder: Path, *lines: str) -> str:
    path = folder / "memories.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def run(*arguments: str, exit_code: int = 0, standard_input: str | None = None) -> tuple[str, str]:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["ingest", *arguments], input=standard_input)
    assert result.exit_code == exit_code, result.output
    return result.stdout, result.stderr


def test_a_good_file(configured: str, tmp_path: Path) -> None:
    output, _ = run(write(tmp_path, line("one"), "", line("two"), line("one")))
    labels = ("lines read", "stored", "duplicates", "bad lines")
    assert [count_after(label, output) for label in labels] == [3, 2, 1, 0]
    assert stored_texts(configured) == ["one", "two"]


def test_bad_lines_are_reported_and_the_others_stored(configured: str, tmp_path: Path) -> None:
    path = write(tmp_path, line("one"), "{", "", line("two", source_type="rumour"), line("three"), '{"[red]": 1}')
    output, errors = run(path, exit_code=1)
    assert count_after("bad lines", output) == 3
    assert "line 2: Invalid JSON: " in errors
    assert "line 4: source_type: Input should be 'conversation', " in errors
    assert "line 6: " in errors
    assert "rumour" not in errors
    assert stored_texts(configured) == ["one", "three"]


def test_many_bad_lines_are_listed_in_part(tmp_path: Path) -> None:
    output, errors = run(write(tmp_path, *["{"] * 250), exit_code=1)
    assert count_after("bad lines", output) == 250
    assert errors.count("Invalid JSON") == jsonl.LISTED_BAD_LINES
    assert "and 150 more bad lines" in errors


def test_standard_input(configured: str) -> None:
    run("-", standard_input=f"{line('one')}\n{line('two')}")
    assert stored_texts(configured) == ["one", "two"]


@pytest.mark.long
def test_a_pipe(configured: str) -> None:
    command = [sys.executable, "-W", "error", "-m", "memory_guild.cli", "ingest", "-", "--batch-size", "2"]
    lines = "\n".join(line(str(number)) for number in range(5))
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert count_after("stored", done.stdout) == 5
    assert "5 lines" in done.stderr


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_file_that_cannot_be_read(configured: str, tmp_path: Path, name: str) -> None:
    _, errors = run(str(tmp_path / name), exit_code=2)
    assert "cannot be read" in errors


def test_a_batch_size_of_none(tmp_path: Path) -> None:
    run(write(tmp_path, line("one")), "--batch-size", "0", exit_code=2)


def test_a_database_without_tables_says_what_to_do(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", empty_database_url)
    command = [sys.executable, "-m", "memory_guild.cli", "ingest", write(tmp_path, line("one"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "memory-guild upgrade" in done.stderr
    assert "Traceback" not in done.stderr


def refusing(candidate: guild.Candidate) -> guild.Verdict:
    """A screen."""
    return guild.Verdict.refuse("two") if candidate.content_text == "two" else guild.Verdict.allow()


def test_what_the_screen_refuses_is_counted_and_the_rest_stored(
    configured: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_SCREEN", f"{__name__}:refusing")
    output, errors = run(write(tmp_path, line("one"), line("two"), line("three"), "no JSON"), exit_code=1)
    labels = ("lines read", "stored", "duplicates", "bad lines", "refused")
    assert [count_after(label, output) for label in labels] == [4, 2, 0, 1, 1]
    assert "1 memories: the screen refused the memory: two" in errors
    assert stored_texts(configured) == ["one", "three"]
