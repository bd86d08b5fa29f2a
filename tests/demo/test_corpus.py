from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from typing import TypeAlias
from uuid import uuid4

import asyncpg
import pytest

from memory_guild import demo as python_docs
from memory_guild.demo import Passage, find_references, passages
from memory_guild.demo.references import MAX_REFERENCES, last_part
from memory_guild.errors import CheckError
from memory_guild.graph.edges import relate_many
from memory_guild.memories.reading import find
from memory_guild.memories.storing import remember_many
from memory_guild.models import MemoryRecord, MemoryRelationship
from memory_guild.tenancy import tenant_scope
from memory_guild.types import SourceType

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
SLICE = ("_collections_abc", "asyncio", "builtins", "collections", "json", "queue", "tkinter", "unittest")


@pytest.fixture(scope="module")
def corpus() -> python_docs.Corpus:
    return python_docs.read()


@pytest.fixture(scope="module")
def small() -> python_docs.Corpus:
    return python_docs.read(SLICE)


class TestPassages:
    def test_several_thousand_from_all_over_the_library(self, corpus: python_docs.Corpus) -> None:
        kinds = Counter(passage.kind for passage in corpus.passages)
        assert len(corpus.passages) > 5000
        assert kinds["topic"] > 70
        assert set(kinds) == {"topic", "module", "class", "function", "method"}
        assert len({passage.agent_id for passage in corpus.passages}) > 150

    def test_each_subject_once(self, corpus: python_docs.Corpus) -> None:
        assert len(set(corpus.subjects)) == len(corpus.subjects)

    def test_a_subject_begins_with_its_module_and_is_public(self, corpus: python_docs.Corpus) -> None:
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
    def test_the_name_that_users_know(self, corpus: python_docs.Corpus, subject: str, module: str, kind: str) -> None:
        (found,) = (passage for passage in corpus.passages if passage.subject == subject)
        assert (found.module, found.kind) == (module, kind)

    def test_reading_imports_nothing_that_has_a_source_file(self) -> None:
        code = (
            "import sys; from memory_guild import demo as python_docs; before = set(sys.modules); python_docs.read();"
            "print(*sorted(set(sys.modules) - before))"
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, timeout=120
        )
        assert set(done.stdout.split()) <= {"pydoc_data", "pydoc_data.topics"}

    def test_without_the_topics_there_are_docstrings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
        found = python_docs.read(["queue"])
        assert not found.has_topics
        assert "queue.Queue" in found.subjects
        assert not [passage for passage in found.passages if passage.kind == "topic"]

    def test_it_is_the_same_each_time(self, small: python_docs.Corpus) -> None:
        assert python_docs.read(reversed(SLICE)) == small

    def test_hooks_that_somebody_replaced_change_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = python_docs.read(["sys"])
        monkeypatch.setattr(sys, "excepthook", print)
        monkeypatch.setattr(sys, "displayhook", lambda _: None)
        assert "sys.excepthook" in before.subjects
        assert python_docs.read(["sys"]) == before

    def test_similar_subjects(self, small: python_docs.Corpus) -> None:
        assert small.similar_subjects("queue.queue")[0] == "queue.Queue"
        assert "asyncio.Queue" in small.similar_subjects("queue")
        assert "EXCEPTIONS" in small.similar_subjects("exception")
        assert small.similar_subjects("\x00" * 50) == []


def references(text: str, *others: Passage, subject: str = "shop.Cart.add", kind: str = "method") -> dict[str, float]:
    passage = Passage(subject, "language" if kind == "topic" else "shop", kind, text)
    found = find_references([passage, *others])
    assert {reference.source for reference in found} <= {subject}
    return {reference.target: reference.confidence_score for reference in found}


OTHERS = (
    Passage("with", "language", "topic", ""),
    Passage("in", "language", "topic", ""),
    Passage("TYPES", "language", "topic", ""),
    Passage("builtins.len", "builtins", "function", ""),
    Passage("builtins.object", "builtins", "class", ""),
    Passage("builtins.str.format", "builtins", "method", ""),
    Passage("builtins.ValueError", "builtins", "class", ""),
    Passage("queue", "queue", "module", ""),
    Passage("queue.Queue", "queue", "class", ""),
    Passage("queue.SimpleQueue", "queue", "class", ""),
    Passage("shop", "shop", "module", ""),
    Passage("shop.Cart", "shop", "class", ""),
    Passage("shop.Cart.remove", "shop", "method", ""),
    Passage("shop.Order", "shop", "class", ""),
    Passage("shop.price", "shop", "function", ""),
    Passage("shop.price_of_all", "shop", "function", ""),
)


class TestReferences:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("like queue.Queue.", {"queue.Queue": 1.0}),
            ("like `queue.SimpleQueue`, and a SimpleQueue", {"queue.SimpleQueue": 1.0}),
            ("a SimpleQueue", {"queue.SimpleQueue": 0.6}),
            ("a Queue, or Queue()", {}),
            ("See the queue module.", {"queue": 1.0}),
            ("a queue of shop customers, the module", {}),
            ("raises ValueError", {"builtins.ValueError": 0.9}),
            ("what len() says, and str.format()", {"builtins.len": 0.9, "builtins.str.format": 0.9}),
            ("the object(s), the len, the format", {}),
            ("use it in a with statement", {"with": 1.0}),
            ("with care, in time", {}),
            ("undo with remove()", {"shop.Cart.remove": 0.8}),
            ("please remove the price", {}),
            ("see price() and price_of_all", {"shop.price": 0.8, "shop.price_of_all": 0.8}),
            ("Order by price. Return an Order.", {"shop.Order": 0.8}),
            ("Order by price.", {}),
            ("Order(price)", {"shop.Order": 0.8}),
            (":meth:`remove` and :class:`~queue.Queue`", {"queue.Queue": 1.0, "shop.Cart.remove": 0.8}),
            ("unlike Cart.remove, this adds", {"shop.Cart.remove": 0.9}),
            ("shop.Cart.add itself, add(), xqueue.Queue, queue.Queues", {}),
        ],
    )
    def test_what_counts_in_a_docstring(self, text: str, expected: dict[str, float]) -> None:
        assert references(text, *OTHERS) == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ('the "with" in "len()", "queue", not "queue()"', {"with": 1.0, "queue": 1.0, "builtins.len": 0.9}),
            ('a "ValueError" or "str.format()"', {"builtins.ValueError": 0.9, "builtins.str.format": 0.9}),
            ('with "unquoted len and "queue of', {}),
        ],
    )
    def test_what_counts_in_a_topic(self, text: str, expected: dict[str, float]) -> None:
        assert references(text, *OTHERS, subject="STRINGS", kind="topic") == expected

    def test_related_topics(self) -> None:
        topic = Passage("STRINGS", "language", "topic", "… TYPES, len", ("TYPES", "len", "unknown"))
        found = find_references([topic, *OTHERS])
        assert {(found.target, found.confidence_score) for found in found} == {("TYPES", 1.0), ("builtins.len", 0.9)}

    def test_an_ambiguous_name_means_nothing_by_itself(self) -> None:
        queue = Passage("queue.SimpleQueue", "queue", "class", "")
        text = Passage("shop", "shop", "module", "a SimpleQueue")
        assert find_references([text, queue], ambiguous={"SimpleQueue"}) == []

    def test_the_surest_are_kept(self) -> None:
        functions = [Passage(f"shop.f_{number}", "shop", "function", "") for number in range(30)]
        text = " ".join(f"f_{number}" for number in range(30)) + " shop.f_29"
        found = references(text, *functions)
        assert len(found) == MAX_REFERENCES
        assert list(found)[:3] == ["shop.f_29", "shop.f_0", "shop.f_1"]

    def test_every_reference_is_in_its_text(self, corpus: python_docs.Corpus) -> None:
        texts = {passage.subject: passage.text for passage in corpus.passages}
        for reference in corpus.references:
            text = texts[reference.source]
            assert reference.target in texts
            assert reference.source != reference.target
            assert re.search(rf"(?<!\w){re.escape(last_part(reference.target))}(?!\w)", text), reference
            if reference.confidence_score == 1:
                assert reference.target in text, reference

    def test_of_the_whole_library(self, corpus: python_docs.Corpus) -> None:
        edges = [(reference.source, reference.target) for reference in corpus.references]
        assert len(edges) > 2000
        assert len(set(edges)) == len(edges)
        assert max(Counter(source for source, _ in edges).values()) == MAX_REFERENCES
        assert {reference.confidence_score for reference in corpus.references} == {1.0, 0.9, 0.8, 0.6}
        assert {("with", "EXCEPTIONS"), ("with", "try"), ("asyncio.Queue", "asyncio.Queue.get")} <= set(edges)


class TestStore:
    async def test_what_is_stored(self, tables: str, small: python_docs.Corpus) -> None:
        stored = await python_docs.store(small)
        assert stored.stored == await MemoryRecord.all().count()
        assert stored.stored + stored.merged == len(small.passages)
        assert stored.merged > 10
        assert stored.already_there == 0
        assert stored.edges == stored.new_edges == await MemoryRelationship.all().count()
        record = await MemoryRecord.get(memory_id=stored.memory_ids["asyncio.Queue"])
        assert (record.agent_id, record.tenant_id, record.source_type) == (
            "asyncio",
            python_docs.TENANT_ID,
            SourceType.DOCUMENT,
        )
        assert record.metadata == {"subject": "asyncio.Queue", "module": "asyncio", "kind": "class"}

    async def test_every_subject_leads_to_its_text(self, tables: str, small: python_docs.Corpus) -> None:
        stored = await python_docs.store(small)
        texts = {record.memory_id: (record.agent_id, record.content_text) for record in await MemoryRecord.all()}
        for passage in small.passages:
            assert texts[stored.memory_ids[passage.subject]] == (passage.agent_id, passage.text)

    async def test_edges_follow_merged_memories(self, tables: str) -> None:
        same = "The same text, which names f_new() and f_old()."
        texts = [
            Passage("shop", "shop", "module", "See shop.f_old."),
            Passage("shop.f_new", "shop", "function", same),
            Passage("shop.f_old", "shop", "function", same),
        ]
        corpus = python_docs.Corpus(texts, find_references(texts), has_topics=False)
        assert len(corpus.references) == 3
        stored = await python_docs.store(corpus)
        assert (stored.stored, stored.merged, stored.edges) == (2, 1, 1)
        assert stored.memory_ids["shop.f_new"] == stored.memory_ids["shop.f_old"]
        edge = await MemoryRelationship.get()
        assert edge.source_memory_id == stored.memory_ids["shop"]
        assert edge.target_memory_id == stored.memory_ids["shop.f_old"]
        assert edge.confidence_score == 1.0

    async def test_a_second_run_stores_nothing(self, tables: str, small: python_docs.Corpus) -> None:
        first = await python_docs.store(small)
        again = await python_docs.store(small)
        assert again.memory_ids == first.memory_ids
        assert (again.stored, again.new_edges, again.already_there) == (0, 0, first.stored)
        assert (again.merged, again.edges) == (first.merged, first.edges)

    async def test_progress_rises_to_the_number_of_passages_and_references(
        self, tables: str, small: python_docs.Corpus
    ) -> None:
        done: list[int] = []
        await python_docs.store(small, progress=done.append)
        assert done == sorted(set(done))
        assert len(small.passages) in done
        assert done[-1] == len(small.passages) + len(small.references)

    async def test_all_or_nothing(self, tables: str, connection: Connection, small: python_docs.Corpus) -> None:
        """The edges come last: where they are refused, the memories are not kept either."""
        await connection.execute("ALTER TABLE memory_relationships ADD CHECK (confidence_score < 1)")
        with pytest.raises(CheckError):
            await python_docs.store(small)
        assert await MemoryRecord.all().count() == await MemoryRelationship.all().count() == 0

    async def test_a_forgotten_passage_stays_forgotten(
        self, tables: str, connection: Connection, small: python_docs.Corpus
    ) -> None:
        first = await python_docs.store(small)
        await connection.execute("UPDATE memory_records SET is_deleted = true WHERE agent_id = 'asyncio'")
        again = await python_docs.store(small)
        assert (again.stored, again.new_edges, again.already_there) == (0, 0, first.stored)
        assert await connection.fetchval("SELECT bool_and(is_deleted) FROM memory_records WHERE agent_id = 'asyncio'")

    async def test_the_newest_is_the_last_passage(self, tables: str) -> None:
        passages = [Passage(f"shop.f_{number}", "shop", "function", f"Text {number}.") for number in range(20)]
        await python_docs.store(python_docs.Corpus(passages, [], has_topics=False))
        async with tenant_scope(python_docs.TENANT_ID):
            page = await find(limit=3)
        assert [memory.content_text for memory in page.memories] == ["Text 19.", "Text 18.", "Text 17."]


async def chain(edges: list[tuple[str, str, float]], **options: int) -> dict[str, python_docs.Step]:
    """Store memories named by letters and their edges, and walk from ``a``."""
    letters = sorted({letter for source, target, _ in edges for letter in (source, target)})
    async with tenant_scope("acme", agent_id="walker"):
        stored = await remember_many(
            [
                {"source_type": "document", "content_text": letter, "metadata": {"subject": letter}}
                for letter in letters
            ],
            on_forgotten="keep",
        )
        ids = {letter: outcome.memory_id for letter, outcome in zip(letters, stored, strict=True)}
        await relate_many(
            [
                {
                    "source_memory_id": ids[source],
                    "target_memory_id": ids[target],
                    "relationship_type": "references",
                    "confidence_score": score,
                }
                for source, target, score in edges
            ]
        )
        start = ids["a"]
        assert start is not None
        steps = await python_docs.walk(start, **options)
    assert len({step.memory_id for step in steps}) == len(steps)
    assert all(ids[step.subject] == step.memory_id and len(step.path) == step.depth + 1 for step in steps)
    seen: set[tuple[str, ...]] = {()}
    for step in steps:
        assert step.path[:-1] in seen, "a parent must come before its children"
        seen.add(step.path)
    return {step.subject: step for step in steps}


class TestWalk:
    async def test_three_hops_and_no_more(self, tables: str) -> None:
        steps = await chain([("a", "b", 1), ("b", "c", 0.5), ("c", "d", 1), ("d", "e", 1)])
        assert {subject: step.depth for subject, step in steps.items()} == {"a": 0, "b": 1, "c": 2, "d": 3}
        assert steps["d"].path == ("a", "b", "c", "d")

    async def test_the_confidence_is_that_of_the_whole_path(self, tables: str) -> None:
        steps = await chain([("a", "b", 0.5), ("b", "c", 0.5), ("c", "d", 0.25), ("a", "e", 0)])
        assert {subject: step.confidence for subject, step in steps.items()} == {
            "a": None,
            "b": 0.5,
            "c": 0.25,
            "d": 0.0625,
            "e": 0,
        }

    async def test_a_cycle_ends_and_the_shortest_path_wins(self, tables: str) -> None:
        steps = await chain(
            [("a", "b", 1), ("b", "c", 1), ("c", "d", 1), ("d", "a", 1), ("a", "c", 0.1), ("b", "a", 1)]
        )
        assert list(steps) == ["a", "b", "c", "d"]
        assert steps["d"].path == ("a", "c", "d")

    async def test_of_paths_of_one_length_the_surest_wins(self, tables: str) -> None:
        steps = await chain([("a", "b", 0.9), ("b", "d", 0.5), ("a", "c", 0.6), ("c", "d", 0.8)])
        assert steps["d"].path == ("a", "c", "d")
        assert steps["d"].confidence == pytest.approx(0.48)

    async def test_of_equals_the_first_by_name(self, tables: str) -> None:
        steps = await chain([edge for middle in "fdbec" for edge in (("a", middle, 1.0), (middle, f"{middle}z", 0.5))])
        assert list(steps) == ["a", *(subject for middle in "bcdef" for subject in (middle, f"{middle}z"))]

    async def test_a_hub_does_not_flood(self, tables: str) -> None:
        edges = [("a", f"h{number:03}", number / 1000) for number in range(200)]
        steps = await chain([*edges, *[(target, "a", 1.0) for _, target, _ in edges]], limit=5)
        assert list(steps) == ["a", "h199", "h198", "h197", "h196", "h195"]

    @pytest.mark.parametrize(
        ("limit", "expected"),
        [(1, ["a", "c"]), (2, ["a", "c", "b"]), (3, ["a", "c", "b", "d"]), (4, ["a", "c", "e", "b", "d"])],
    )
    async def test_the_nearest_are_reached_then_the_surest_then_the_first_by_name(
        self, tables: str, limit: int, expected: list[str]
    ) -> None:
        edges = [("a", "b", 0.9), ("a", "c", 1), ("b", "d", 1), ("c", "e", 0.9), ("e", "f", 1)]
        assert list(await chain(edges, limit=limit)) == expected

    async def test_parents_come_before_their_children(self, tables: str) -> None:
        steps = list(await chain([("a", "b", 0.9), ("a", "c", 1), ("b", "d", 1), ("c", "e", 1)]))
        assert steps == ["a", "c", "e", "b", "d"]

    async def test_forgotten_memories_end_the_walk(self, tables: str, connection: Connection) -> None:
        edges = [("a", "b", 1.0), ("b", "c", 1.0), ("a", "d", 1.0), ("d", "e", 1.0), ("a", "f", 0.1)]
        assert set(await chain(edges)) == {"a", "b", "c", "d", "e", "f"}
        await connection.execute("UPDATE memory_records SET is_deleted = true WHERE content_text IN ('b', 'd')")
        assert set(await chain(edges)) == {"a", "f"}

    async def test_another_tenants_memory_is_nowhere(self, tables: str) -> None:
        await chain([("a", "b", 1.0)])
        start = (await MemoryRecord.get(content_text="a")).memory_id
        async with tenant_scope("umbrella"):
            assert await python_docs.walk(start) == []

    async def test_from_nowhere(self, tables: str) -> None:
        async with tenant_scope(python_docs.TENANT_ID):
            assert await python_docs.walk(uuid4()) == []
