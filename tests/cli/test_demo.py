from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from memory_guild import demo as python_docs
from memory_guild import embedded
from memory_guild.cli import app
from memory_guild.errors import ConstraintError
from memory_guild.schema.migrating import upgrade
from memory_guild.testing.databases import completed
from memory_guild.testing.servers import server_folder
from tests.databases import run_statement
from tests.tenancy.logins import connected

pytestmark = pytest.mark.long

NOTHING_NEW = re.compile(r"Nothing new: all ([\d,]+) memories and ([\d,]+) edges are stored already\.")


@pytest.fixture
def empty_database(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database without a table, named in the environment: the demo creates the tables."""
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", empty_database_url)
    return empty_database_url


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> python_docs.Corpus:
    """A slice of the documentation, which the demo takes for all of it."""
    corpus = python_docs.read(["builtins", "queue", "sys"])
    monkeypatch.setattr(python_docs, "read", lambda: corpus)
    return corpus


def count_after(label: str, text: str) -> int:
    found = re.search(rf"^{label} +([\d,]+)$", text, re.MULTILINE)
    assert found, text
    return int(found[1].replace(",", ""))


def run(*arguments: str, exit_code: int = 0) -> str:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["demo", "--yes", *arguments])
    assert result.exit_code == exit_code, result.output
    return result.stdout if exit_code == 0 else result.stderr


def test_counts_and_walk(empty_database: str, small: python_docs.Corpus) -> None:
    text = run()
    assert count_after("memories stored", text) + count_after("duplicates merged", text) == len(small.passages)
    assert 0 < count_after("edges", text) <= len(small.references)
    assert "3 hops from with" in text
    assert re.search(r"^0 with$", text, re.MULTILINE)
    assert re.search(r"^  1 EXCEPTIONS  1\.00  with → EXCEPTIONS$", text, re.MULTILINE)
    # The confidence of a step is the product along its path: 1.0 of the topic, 0.9 of the name in it.
    assert re.search(r"^    2 builtins.SystemExit  0\.90  with → EXCEPTIONS → builtins.SystemExit$", text, re.MULTILINE)


def test_without_the_search_it_says_what_to_do(empty_database: str, small: python_docs.Corpus) -> None:
    text = run()
    assert "run `memory-guild upgrade --search`" in text
    assert python_docs.QUESTIONS[0] not in text


def test_answers(empty_database: str, has_vectors: bool, small: python_docs.Corpus) -> None:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    asyncio.run(upgrade(empty_database, search=True))
    text = run()
    assert re.search(r"^  1\.10 builtins.list.sort  function, list, place, sort$", text, re.MULTILINE)
    assert text.index(python_docs.QUESTIONS[0]) < text.index(python_docs.QUESTIONS[1]) < text.index("3 hops from with")


def test_a_refused_edge_leaves_nothing_stored(empty_database: str, small: python_docs.Corpus) -> None:
    """Memories and edges are one scope: who runs the demo again after an error begins with an empty database."""
    asyncio.run(upgrade(empty_database))
    refuse = "ALTER TABLE memory_relationships ADD CONSTRAINT unsure CHECK (confidence_score < 1)"
    asyncio.run(run_statement(empty_database, refuse))
    result = CliRunner().invoke(app, ["demo", "--yes"])
    assert isinstance(result.exception, ConstraintError)
    asyncio.run(run_statement(empty_database, "ALTER TABLE memory_relationships DROP CONSTRAINT unsure"))
    text = run()
    assert count_after("memories stored", text) + count_after("duplicates merged", text) == len(small.passages)
    assert "already there" not in text


def test_a_second_run_stores_nothing_and_says_so(empty_database: str, small: python_docs.Corpus) -> None:
    first, second = run(), run()
    assert not NOTHING_NEW.search(first)
    found = NOTHING_NEW.search(second)
    assert found
    assert int(found[1].replace(",", "")) == count_after("memories stored", first)
    assert int(found[2].replace(",", "")) == count_after("edges", first) == count_after("edges", second)
    assert first[first.index("3 hops") :] == second[second.index("3 hops") :]


def test_a_topic(empty_database: str, small: python_docs.Corpus) -> None:
    text = run("--topic", "queue.LifoQueue")
    assert "  1 queue.Queue  0.80  queue.LifoQueue → queue.Queue" in text


@pytest.mark.parametrize(
    ("topic", "match"), [("lifoqueue", "queue.LifoQueue"), ("exceptions", "EXCEPTIONS"), ("[red]", "with")]
)
def test_an_unknown_topic_lists_close_matches_and_stores_nothing(
    topic: str, match: str, small: python_docs.Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", "postgresql://nobody@localhost:1/nowhere")
    text = run("--topic", topic, exit_code=2)
    assert match in text
    assert topic in text


def test_a_python_without_topics_says_so(
    empty_database: str, small: python_docs.Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_docs, "read", lambda: python_docs.Corpus(small.passages, small.references, False))
    assert "only docstrings are stored" in run()


def test_a_forgotten_start(empty_database: str, small: python_docs.Corpus) -> None:
    run()
    forget = "UPDATE memory_records SET is_deleted = true WHERE metadata ->> 'subject' = 'with'"
    asyncio.run(run_statement(empty_database, forget))
    text = run()
    assert NOTHING_NEW.search(text)
    assert "is forgotten" in text


def test_a_walk_shows_the_same_in_every_database(
    empty_database: str, database_url: str, small: python_docs.Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ids differ, and with them what the database takes for the first of equals."""

    def steps() -> list[tuple[str, ...]]:
        return [tuple(line.split()[:3]) for line in run().partition("3 hops")[2].splitlines()[1:]]

    first = steps()
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    assert sorted(steps()) == sorted(first)
    assert len(first) == 21


def test_the_whole_command(empty_database: str) -> None:
    command = [sys.executable, "-W", "error", "-m", "memory_guild.cli", "demo", "--yes", "--topic", "asyncio.Queue"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert count_after("memories stored", done.stdout) > 5000
    assert count_after("duplicates merged", done.stdout) > 100
    assert count_after("edges", done.stdout) > 2000
    assert "  1 asyncio.Queue.get  0.80  asyncio.Queue → asyncio.Queue.get" in done.stdout
    assert "Remembering" in done.stderr


def test_a_server_that_does_not_answer_is_one_line(small: python_docs.Corpus) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "memory_guild.cli", "demo", "--yes"],
        env={**os.environ, "MEMORY_GUILD_DATABASE_URL": "postgresql://nobody@localhost:1/nowhere"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "localhost:1" in done.stderr


# --- a database that is not its own -----------------------------------------------------------------------------


def ask(answer: str | None, *arguments: str) -> tuple[int, str]:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["demo", *arguments], input=answer)
    return result.exit_code, result.output


def tenants(url: str) -> list[str]:
    return completed(rows(url, "SELECT DISTINCT tenant_id FROM memory_records ORDER BY 1"))


async def rows(url: str, query: str) -> list[str]:
    async with connected(url) as connection:
        return [row[0] for row in await connection.fetch(query)]


OTHERS = (
    "INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash)"
    " VALUES ('a', 'acme', 'document', 'theirs', 'h')"
)


@pytest.mark.parametrize("answer", ["n\n", "\n", None], ids=["no", "default", "nobody there"])
def test_it_asks_before_it_writes_into_a_configured_database(
    database_url: str, small: python_docs.Corpus, monkeypatch: pytest.MonkeyPatch, answer: str | None
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    asyncio.run(run_statement(database_url, OTHERS))

    code, printed = ask(answer)

    assert code == 1
    assert "tenant 'python-docs'" in printed
    assert database_url.rpartition("/")[2].partition("?")[0] in printed
    assert tenants(database_url) == ["acme"]


def test_who_says_no_has_no_tables_either(empty_database: str, small: python_docs.Corpus) -> None:
    assert ask("n\n")[0] == 1
    assert completed(rows(empty_database, "SELECT relname FROM pg_class WHERE relname LIKE 'memory%'")) == []


def test_it_asks_once_and_takes_away_only_what_is_its_own(
    database_url: str, small: python_docs.Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    asyncio.run(run_statement(database_url, OTHERS))

    assert ask("y\n")[0] == 0
    code, printed = ask(None)  # it has run here before
    assert code == 0
    assert "?" not in printed.partition("3 hops")[0]
    assert tenants(database_url) == ["acme", "python-docs"]

    code, printed = ask(None, "--remove")
    assert (code, count_after("memories deleted", printed) > 10) == (0, True)
    assert tenants(database_url) == ["acme"]
    assert completed(rows(database_url, "SELECT relationship_id FROM memory_relationships")) == []
    assert count_after("memories deleted", ask(None, "--remove")[1]) == 0
    assert ask("n\n")[0] == 1


def test_its_own_database_is_the_embedded_one(small: python_docs.Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    with server_folder() as base:
        monkeypatch.setenv("MEMORY_GUILD_EMBEDDED_FOLDER", str(base / "pg"))
        try:
            assert ask(None)[0] == 0
        finally:
            embedded.stop(base / "pg")
