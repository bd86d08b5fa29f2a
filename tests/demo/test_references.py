"""Which passages name which others, and how sure that is."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from memory_guild import demo as python_docs
from memory_guild.demo import Passage, find_references
from memory_guild.demo.references import MAX_REFERENCES, last_part


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
def test_what_counts_in_a_docstring(text: str, expected: dict[str, float]) -> None:
    assert references(text, *OTHERS) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('the "with" in "len()", "queue", not "queue()"', {"with": 1.0, "queue": 1.0, "builtins.len": 0.9}),
        ('a "ValueError" or "str.format()"', {"builtins.ValueError": 0.9, "builtins.str.format": 0.9}),
        ('with "unquoted len and "queue of', {}),
    ],
)
def test_what_counts_in_a_topic(text: str, expected: dict[str, float]) -> None:
    assert references(text, *OTHERS, subject="STRINGS", kind="topic") == expected


def test_related_topics() -> None:
    topic = Passage("STRINGS", "language", "topic", "… TYPES, len", ("TYPES", "len", "unknown"))
    found = find_references([topic, *OTHERS])
    assert {(found.target, found.confidence_score) for found in found} == {("TYPES", 1.0), ("builtins.len", 0.9)}


def test_an_ambiguous_name_means_nothing_by_itself() -> None:
    queue = Passage("queue.SimpleQueue", "queue", "class", "")
    text = Passage("shop", "shop", "module", "a SimpleQueue")
    assert find_references([text, queue], ambiguous={"SimpleQueue"}) == []


def test_the_surest_are_kept() -> None:
    functions = [Passage(f"shop.f_{number}", "shop", "function", "") for number in range(30)]
    text = " ".join(f"f_{number}" for number in range(30)) + " shop.f_29"
    found = references(text, *functions)
    assert len(found) == MAX_REFERENCES
    assert list(found)[:3] == ["shop.f_29", "shop.f_0", "shop.f_1"]


@pytest.mark.long
def test_every_reference_is_in_its_text(corpus: python_docs.Corpus) -> None:
    texts = {passage.subject: passage.text for passage in corpus.passages}
    for reference in corpus.references:
        text = texts[reference.source]
        assert reference.target in texts
        assert reference.source != reference.target
        assert re.search(rf"(?<!\w){re.escape(last_part(reference.target))}(?!\w)", text), reference
        if reference.confidence_score == 1:
            assert reference.target in text, reference


@pytest.mark.long
def test_of_the_whole_library(corpus: python_docs.Corpus) -> None:
    edges = [(reference.source, reference.target) for reference in corpus.references]
    assert len(edges) > 2000
    assert len(set(edges)) == len(edges)
    assert max(Counter(source for source, _ in edges).values()) == MAX_REFERENCES
    assert {reference.confidence_score for reference in corpus.references} == {1.0, 0.9, 0.8, 0.6}
    assert {("with", "EXCEPTIONS"), ("with", "try"), ("asyncio.Queue", "asyncio.Queue.get")} <= set(edges)
