"""The documentation as memories and edges: read it, store it, walk it, ask it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from memory_guild.demo.passages import Passage, library, topics
from memory_guild.demo.references import MAX_REFERENCES, Reference, find_references, last_part
from memory_guild.errors import MemoryNotFoundError
from memory_guild.graph.edges import relate_many
from memory_guild.graph.walks import traverse
from memory_guild.memories.reading import get
from memory_guild.memories.storing import remember_many
from memory_guild.models import MemoryRecord
from memory_guild.search.recalling import recall
from memory_guild.tenancy import tenant_scope
from memory_guild.types import RelationshipType, SourceType

TENANT_ID = "python-docs"

QUESTIONS = (
    "Which function sorts a list in place?",
    "How do I parse a date from a string?",
    "How can several threads wait for each other?",
)
"""What somebody who learns Python might ask."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Python's own documentation.

    Attributes:
        passages: The texts; no two have the same subject.
        references: Which passage names the subject of which other.
        has_topics: Whether Python was installed with the topics of ``help()``; it always has docstrings.
    """

    passages: list[Passage]
    references: list[Reference]
    has_topics: bool

    @property
    def subjects(self) -> list[str]:
        """The subjects in the order of the passages."""
        return [passage.subject for passage in self.passages]

    def similar_subjects(self, topic: str) -> list[str]:
        """Up to eight subjects that somebody who typed ``topic`` could have meant."""
        wanted = topic.lower()
        same_last_part = [subject for subject in self.subjects if last_part(subject).lower() == wanted]
        by_lower_case = {subject.lower(): subject for subject in self.subjects}
        similar = [by_lower_case[name] for name in difflib.get_close_matches(wanted, by_lower_case, n=8)]
        return list(dict.fromkeys(same_last_part + similar))[:8]


@dataclass(frozen=True, slots=True)
class StoredCorpus:
    """The result of storing a corpus.

    Attributes:
        memory_ids: The memory of each subject; passages of one agent with the same text share one.
        stored: New memories.
        already_there: Memories that an earlier run stored.
        merged: Passages with the same text as another passage of the same agent.
        edges: How many edges the corpus has.
        new_edges: How many of them are new.
    """

    memory_ids: dict[str, UUID]
    stored: int
    already_there: int
    merged: int
    edges: int
    new_edges: int


@dataclass(frozen=True, slots=True)
class Step:
    """A memory that a walk reached.

    Attributes:
        memory_id: The memory.
        subject: What it is about.
        depth: How many edges away it is; 0 for the start.
        path: The subjects from the start to this memory, both included.
        confidence: The product of the confidences along the path; None for the start.
    """

    memory_id: UUID
    subject: str
    depth: int
    path: tuple[str, ...]
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A memory that answers a question.

    Attributes:
        subject: What it is about.
        score: How well it answers.
        own_words: The words of the question that it has itself, stemmed.
        neighbor_words: Those that only its neighbors have, stemmed.
    """

    subject: str
    score: float
    own_words: tuple[str, ...]
    neighbor_words: tuple[str, ...]


def read(top_level_modules: Iterable[str] | None = None) -> Corpus:
    """Read the documentation of this interpreter; the result is the same each time.

    Args:
        top_level_modules: The modules of the library to read; by default all of them. Topics are always read.
    """
    about_the_language = topics()
    about_the_library = library(top_level_modules)
    passages = about_the_language + about_the_library.passages
    return Corpus(passages, find_references(passages, about_the_library.ambiguous), bool(about_the_language))


async def store(corpus: Corpus, *, progress: Callable[[int], None] | None = None) -> StoredCorpus:
    """Store the passages and the edges between them, all or none. What exists stays as it is, forgotten or not.

    Args:
        corpus: What to store.
        progress: Called from time to time with the number of passages and references that are done.
    """
    async with tenant_scope(TENANT_ID):
        report = await remember_many(map(_memory, corpus.passages), on_forgotten="keep", progress=progress)
        memory_ids = {
            passage.subject: outcome.memory_id
            for passage, outcome in zip(corpus.passages, report, strict=True)
            if outcome.memory_id is not None
        }
        edges = await relate_many(_edges(corpus.references, memory_ids))
    if progress is not None:
        progress(len(corpus.passages) + len(corpus.references))
    distinct = len(set(memory_ids.values()))
    return StoredCorpus(
        memory_ids=memory_ids,
        stored=report.created,
        already_there=distinct - report.created,
        merged=len(report) - distinct,
        edges=len(edges),
        new_edges=sum(edge.created for edge in edges),
    )


async def is_stored() -> bool:
    """Whether the connected database has the documentation, or a part of it."""
    async with tenant_scope(TENANT_ID):
        return await MemoryRecord.exists()


async def remove() -> int:
    """Delete the documentation from the connected database, with its edges; how many memories there were."""
    async with tenant_scope(TENANT_ID):
        return await MemoryRecord.all().delete()


async def walk(memory_id: UUID, *, max_hops: int = 3, limit: int = 20) -> list[Step]:
    """Follow the edges from a memory, inside a scope: each memory once, by a shortest path, parents before children.

    Args:
        memory_id: Where to start. If the memory is forgotten or missing, the walk is empty.
        max_hops: How far to go.
        limit: The most memories to reach: the nearest, then those with the highest confidence, then by name.
    """
    try:
        start = await get(memory_id)
        reached = (await traverse(start, max_hops=max_hops)).steps
    except MemoryNotFoundError:
        return []
    subjects = {memory.memory_id: _subject(memory) for memory in (start, *(step.memory for step in reached))}
    # By name: the database decides between equals by id, and ids differ from one database to the next.
    reached.sort(key=lambda step: (step.depth, -step.confidence, subjects[step.path[-1]]))
    children: dict[UUID, list[Step]] = {}
    for memory, depth, ids, confidence in reached[:limit]:
        path = tuple(subjects[passed_id] for passed_id in ids)
        children.setdefault(ids[-2], []).append(Step(memory.memory_id, path[-1], depth, path, confidence))
    steps: list[Step] = []
    waiting = [Step(start.memory_id, subjects[start.memory_id], 0, (subjects[start.memory_id],), None)]
    while waiting:
        steps.append(waiting.pop())
        waiting += children.get(steps[-1].memory_id, [])[::-1]
    return steps


async def ask(question: str, *, limit: int = 3) -> list[Answer]:
    """Recall what answers a question, inside a scope.

    Raises:
        SearchNotInstalledError: The database has no search tables.
    """
    answers = []
    for found in await recall(question, limit=limit):
        lent = {word for words in found.neighbor_words.values() for word in words} - set(found.own_words)
        answers.append(Answer(_subject(found.memory), found.score, found.own_words, tuple(sorted(lent))))
    return answers


def _subject(memory: MemoryRecord) -> str:
    return str((memory.metadata or {}).get("subject", memory.memory_id))


def _memory(passage: Passage) -> dict[str, Any]:
    return {
        "agent_id": passage.agent_id,
        "source_type": SourceType.DOCUMENT,
        "content_text": passage.text,
        "metadata": {"subject": passage.subject, "module": passage.module, "kind": passage.kind},
    }


def _edges(references: Iterable[Reference], memory_ids: dict[str, UUID]) -> list[dict[str, Any]]:
    """The references as edges: merged memories have one edge to each target, and none to themselves."""
    scores: dict[UUID, dict[UUID, float]] = {}
    for reference in references:
        source_id, target_id = memory_ids[reference.source], memory_ids[reference.target]
        if source_id != target_id:
            targets = scores.setdefault(source_id, {})
            targets[target_id] = max(targets.get(target_id, 0), reference.confidence_score)
    return [
        {
            "source_memory_id": source_id,
            "target_memory_id": target_id,
            "relationship_type": RelationshipType.REFERENCES,
            "confidence_score": confidence_score,
        }
        for source_id, targets in scores.items()
        for target_id, confidence_score in sorted(targets.items(), key=lambda item: -item[1])[:MAX_REFERENCES]
    ]
