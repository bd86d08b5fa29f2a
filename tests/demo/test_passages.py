"""The passages of Python's documentation: which ones, under which names, and read without importing the modules."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

import pytest

from memory_guild import demo as python_docs
from memory_guild.demo import passages
from tests.demo.conftest import SLICE


@pytest.mark.long
def test_several_thousand_from_all_over_the_library(corpus: python_docs.Corpus) -> None:
    kinds = Counter(passage.kind for passage in corpus.passages)
    assert len(corpus.passages) > 5000
    assert kinds["topic"] > 70
    assert set(kinds) == {"topic", "module", "class", "function", "method"}
    assert len({passage.agent_id for passage in corpus.passages}) > 150


@pytest.mark.long
def test_each_subject_once(corpus: python_docs.Corpus) -> None:
    assert len(set(corpus.subjects)) == len(corpus.subjects)


@pytest.mark.long
def test_a_subject_begins_with_its_module_and_is_public(corpus: python_docs.Corpus) -> None:
    for passage in corpus.passages:
        if passage.kind != "topic":
            assert f"{passage.subject}.".startswith(f"{passage.module}.")
            assert not re.search(r"(^|\.)_(?!_)", passage.subject)
            assert passage.agent_id in sys.stdlib_module_names
        assert len(passage.text) >= passages.DOCSTRING_MIN_CHARACTERS


@pytest.mark.parametrize(
    ("subject", "module", "kind"),
    [
        ("asyncio", "asyncio", "module"),
        ("asyncio.Queue", "asyncio", "class"),
        ("asyncio.Queue.get", "asyncio", "method"),
        ("asyncio.gather", "asyncio", "function"),
        ("builtins.ValueError", "builtins", "class"),
        ("builtins.len", "builtins", "function"),
        ("builtins.str.split", "builtins", "method"),
        ("collections.abc.Mapping", "collections.abc", "class"),
        ("collections.deque", "collections", "class"),
        ("concurrent.futures.Executor", "concurrent.futures", "class"),
        ("decimal.Decimal", "decimal", "class"),
        ("math.exp", "math", "function"),
        ("os.path.join", "os.path", "function"),
        ("unittest.TestCase.assertRaises", "unittest", "method"),
        ("EXCEPTIONS", "language", "topic"),
        ("with", "language", "topic"),
    ],
)
@pytest.mark.long
def test_the_name_that_users_know(corpus: python_docs.Corpus, subject: str, module: str, kind: str) -> None:
    (found,) = (passage for passage in corpus.passages if passage.subject == subject)
    assert (found.module, found.kind) == (module, kind)


@pytest.mark.long
def test_reading_imports_nothing_that_has_a_source_file() -> None:
    code = (
        "import sys; from memory_guild import demo as python_docs; before = set(sys.modules); python_docs.read();"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert set(done.stdout.split()) <= {"pydoc_data", "pydoc_data.topics"}


def test_without_the_topics_there_are_docstrings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    found = python_docs.read(["queue"])
    assert not found.has_topics
    assert "queue.Queue" in found.subjects
    assert not [passage for passage in found.passages if passage.kind == "topic"]


@pytest.mark.long
def test_it_is_the_same_each_time(small: python_docs.Corpus) -> None:
    assert python_docs.read(reversed(SLICE)) == small


def test_hooks_that_somebody_replaced_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = python_docs.read(["sys"])
    monkeypatch.setattr(sys, "excepthook", print)
    monkeypatch.setattr(sys, "displayhook", lambda _: None)
    assert "sys.excepthook" in before.subjects
    assert python_docs.read(["sys"]) == before


def test_similar_subjects(small: python_docs.Corpus) -> None:
    assert small.similar_subjects("queue.queue")[0] == "queue.Queue"
    assert "asyncio.Queue" in small.similar_subjects("queue")
    assert "EXCEPTIONS" in small.similar_subjects("exception")
    assert small.similar_subjects("\x00" * 50) == []
