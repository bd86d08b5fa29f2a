"""The documentation as memories and edges: read it, store it, walk it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from memory_guild.ingest import Stored, store_edges, store_memories
from memory_guild.python_docs.passages import Passage, library, topics
from memory_guild.python_docs.references import MAX_REFERENCES, Reference, find_references, last_part
from memory_guild.scope import current_scope
from memory_guild.sql import statement
from memory_guild.tenancy import tenant_scope
from memory_guild.types import RelationshipType, SourceType

TENANT_ID = "python-docs"
BATCH_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Corpus:
    """Python's own documentation.

    Attributes:
        passages: The texts; no two have the same subject.
        references: Which passage names the subject of which other.
        has_topics: Whether Python was installed with the topics of ``help()``; docstrings are there in any case.
    """

    passages: list[Passage]
    references: list[Reference]
    has_topics: bool

    @property
    def subjects(self) -> list[str]:
        """The subjects in the order of the passages."""
        return [passage.subject for passage in self.passages]

    def similar_subjects(self, topic: str) -> list[str]:
        """At most eight subjects that somebody who typed ``topic`` may have meant."""
        wanted = topic.lower()
        same_last_part = [subject for subject in self.subjects if last_part(subject).lower() == wanted]
        by_lower_case = {subject.lower(): subject for subject in self.subjects}
        similar = [by_lower_case[name] for name in difflib.get_close_matches(wanted, by_lower_case, n=8)]
        return list(dict.fromkeys(same_last_part + similar))[:8]


@dataclass(frozen=True, slots=True)
class StoredCorpus:
    """What became of a corpus.

    Attributes:
        memory_ids: The memory of each subject; passages of one agent with the same text share one.
        stored: Memories that are new.
        already_there: Memories that an earlier run stored.
        merged: Passages whose text another passage of the same agent had already.
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
        memory_id: Which one.
        subject: What it is about.
        depth: How many edges away it is; 0 for the start.
        path: The subjects from the start to this memory, both included.
        confidence_score: That of the last edge of the path; None for the start.
    """

    memory_id: UUID
    subject: str
    depth: int
    path: tuple[str, ...]
    confidence_score: float | None


def read(top_level_modules: Iterable[str] | None = None) -> Corpus:
    """Read the documentation that this interpreter carries; the same each time.

    Args:
        top_level_modules: Which modules of the library; by default all of them. The topics are always part of it.
    """
    about_the_language = topics()
    about_the_library = library(top_level_modules)
    passages = about_the_language + about_the_library.passages
    return Corpus(passages, find_references(passages, about_the_library.ambiguous), bool(about_the_language))


async def store(corpus: Corpus, *, progress: Callable[[int], None] | None = None) -> StoredCorpus:
    """Store the passages and then the edges, a batch in a transaction of its own; what is there already stays.

    Args:
        corpus: What to store.
        progress: Called after each batch with the number of its passages, and at the end with that of the references.
    """
    outcomes: list[Stored] = []
    for first in range(0, len(corpus.passages), BATCH_SIZE):
        batch = corpus.passages[first : first + BATCH_SIZE]
        outcomes += await store_memories([_memory(passage) for passage in batch])
        if progress is not None:
            progress(len(batch))
    memory_ids = {
        passage.subject: outcome.memory_id for passage, outcome in zip(corpus.passages, outcomes, strict=True)
    }
    edges = _edges(corpus.references, memory_ids)
    new_edges = 0
    for first in range(0, len(edges), BATCH_SIZE):
        async with tenant_scope(TENANT_ID):
            new_edges += await store_edges(edges[first : first + BATCH_SIZE])
    if progress is not None:
        progress(len(corpus.references))
    distinct, stored = len(set(memory_ids.values())), sum(outcome.created for outcome in outcomes)
    return StoredCorpus(memory_ids, stored, distinct - stored, len(outcomes) - distinct, len(edges), new_edges)


async def walk(memory_id: UUID, *, max_hops: int = 3, max_edges_per_memory: int = 5) -> list[Step]:
    """Follow the edges from a memory: each memory once, by a shortest path, parents before children; in a scope.

    Args:
        memory_id: Where to start; a memory that is forgotten or missing gives an empty walk.
        max_hops: How far to go.
        max_edges_per_memory: How many edges to follow from each memory, the surest first.
    """
    rows = await current_scope().transaction.execute_query_dict(
        statement("walk_references"), [memory_id, max_hops, max_edges_per_memory]
    )
    paths: dict[UUID | None, tuple[str, ...]] = {None: ()}
    for row in rows:
        paths[row["memory_id"]] = (*paths[row["via_memory_id"]], row["subject"] or str(row["memory_id"]))
    children: dict[UUID | None, list[dict[str, Any]]] = {}
    for row in rows:
        children.setdefault(row["via_memory_id"], []).append(row)
    steps: list[Step] = []
    waiting = children.get(None, [])[::-1]
    while waiting:
        row = waiting.pop()
        path = paths[row["memory_id"]]
        steps.append(Step(row["memory_id"], path[-1], row["depth"], path, row["confidence_score"]))
        waiting += children.get(row["memory_id"], [])[::-1]
    return steps


def _memory(passage: Passage) -> dict[str, Any]:
    return {
        "agent_id": passage.agent_id,
        "tenant_id": TENANT_ID,
        "source_type": SourceType.DOCUMENT,
        "content_text": passage.text,
        "metadata": {"subject": passage.subject, "module": passage.module, "kind": passage.kind},
    }


def _edges(references: Iterable[Reference], memory_ids: dict[str, UUID]) -> list[dict[str, Any]]:
    """The references between memories: what merged memories share is one edge, and none leads back to its start."""
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
