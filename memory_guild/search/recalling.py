"""Recalling: the memories that answer a question, best first, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, Unpack
from uuid import UUID

from memory_guild.database.sqlstate import UNDEFINED_FUNCTION, UNDEFINED_TABLE
from memory_guild.database.statements import Statement
from memory_guild.errors import InvalidInputError, SearchNotInstalledError
from memory_guild.memories.arguments import check_whole_number, current_tenant
from memory_guild.memories.conditions import Conditions, condition_arguments, narrows
from memory_guild.memories.results import MemoryResult, Results
from memory_guild.models import MemoryRecord
from memory_guild.rows import memories_from
from memory_guild.values.checks import check_text, plain

_NOT_INSTALLED = {
    UNDEFINED_TABLE: lambda _: SearchNotInstalledError(),
    UNDEFINED_FUNCTION: lambda _: SearchNotInstalledError(),
}
_RECALL = Statement("search/recall_memories", planned_for_values=True, explanations=_NOT_INSTALLED)

MOST_QUESTION_BYTES = 100_000
"""The longest question, in bytes of UTF-8."""

_ASKS_FOR_TIME = re.compile(
    r"\b(when|how long|what (date|time|month|year|day)|which (month|year|day))\b", re.IGNORECASE
)


class Recalled(
    MemoryResult,
    NamedTuple(
        "Recalled",
        [
            ("memory", MemoryRecord),
            ("score", float),
            ("lexical", float),
            ("flags", Mapping[str, float]),
            ("own_words", tuple[str, ...]),
            ("neighbor_words", Mapping[UUID, tuple[str, ...]]),
        ],
    ),
):
    """A memory that answers a question, and why. Use it as the memory.

    Attributes:
        memory: The memory.
        score: How well it answers, beside the other results of the same call; larger is better.
        lexical: The part of the words: 1 for the memory whose words, its own and its neighbors', answer best.
        flags: The other parts that are not 0: ``agent`` (the question names the memory's agent), ``question`` (the
            memory is itself a short question), ``beginning`` (it follows no other memory), ``time`` (the question asks
            when, and the memory names a time).
        own_words: The words of the question that the memory's own text has, stemmed.
        neighbor_words: The words of the question that its neighbors have, stemmed, by the neighbors' ids.
    """

    __slots__ = ()


class RecalledMemories(Results[Recalled]):
    """What :func:`recall` found, best first."""


async def recall(query: str, *, limit: int = 10, **conditions: Unpack[Conditions]) -> RecalledMemories:
    """Recall the memories that answer a question best.

    Memories are compared by their words and by those of their neighbors: what they follow, what follows them, and what
    they reference. So an answer such as "Yes, on Tuesday" is found by the words of the question before it. It needs no
    embedding model. What was stored and committed is found at once.

    Args:
        query: The question, or any words. It is read as English, as the memories are.
        limit: The most memories to return, 1 to 10,000.
        **conditions: Which memories may be returned, see :class:`memory_guild.memories.conditions.Conditions`.
            Forgotten memories are never returned.

    Returns:
        The results, best first; memories that share no word with the question are left out.

    Raises:
        InvalidInputError: The question is empty, too long or not text, or a condition is invalid.
        SearchNotInstalledError: The database has no search tables.
    """
    query = plain(check_text("query", query))
    if not query.strip():
        raise InvalidInputError("query", "must not be empty")
    if len(query.encode()) > MOST_QUESTION_BYTES:
        raise InvalidInputError("query", f"must be at most {MOST_QUESTION_BYTES:,} bytes of UTF-8")
    check_whole_number("limit", limit)
    arguments = condition_arguments(current_tenant(), conditions)
    if arguments.include_forgotten:
        raise InvalidInputError("include_forgotten", "is not for recall: forgotten memories have no words")
    rows = await _RECALL.fetch(
        *arguments,
        query,
        narrows(conditions),
        limit,
        _ASKS_FOR_TIME.search(query) is not None,
    )
    return RecalledMemories(
        Recalled(
            memory,
            row["score"],
            row["lexical"],
            {name: float(row[name]) for name in ("agent", "question", "beginning", "time") if row[name]},
            tuple(row["own_words"]),
            _by_neighbor(row["neighbors"], row["neighbor_words"]),
        )
        for row, memory in zip(rows, memories_from(rows), strict=True)
    )


def _by_neighbor(neighbors: list[UUID], words: list[str]) -> dict[UUID, tuple[str, ...]]:
    said: dict[UUID, tuple[str, ...]] = {}
    for neighbor, word in zip(neighbors, words, strict=True):
        said[neighbor] = (*said.get(neighbor, ()), word)
    return said
