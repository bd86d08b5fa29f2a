"""Recalling: the memories that answer a question, best first, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Unpack
from uuid import UUID

import asyncpg

from memory_guild.database.scope import is_in_scope
from memory_guild.database.sqlstate import SEARCH_NOT_INSTALLED
from memory_guild.database.statements import Statement
from memory_guild.errors import InvalidInputError, TenantMismatchError
from memory_guild.memories.arguments import MAX_LIMIT, check_whole_number, current_tenant
from memory_guild.memories.conditions import (
    ConditionArguments,
    Conditions,
    MatchingStatement,
    condition_arguments,
    narrows,
)
from memory_guild.memories.origin import refuse_unknown_sources
from memory_guild.memories.permitting import permitted_by_id, readable_rows
from memory_guild.memories.results import MemoryResult, Results
from memory_guild.models import MemoryRecord
from memory_guild.policies.enforcing import are_enforced
from memory_guild.rows import memories_from
from memory_guild.search.embedding import (
    QuestionVector,
    embed_question,
    embedder_of_database,
    refuse_other_dimensions,
)
from memory_guild.search.embeddings import check_model
from memory_guild.search.external import hits_outside
from memory_guild.search.vectors.numbers import Numbers, check_vector
from memory_guild.tenancy import tenant_scope
from memory_guild.types import PolicyAction
from memory_guild.values.checks import check_name, check_words

_MATCHING = (("search/closest", "search/closest_matching"), ("search/nearest", "search/nearest_matching"))

# Without conditions one plan suits all tenants, and making it anew would take longer than most of the statement.
_BY_WORDS = Statement("search/recall_memories", explanations=SEARCH_NOT_INSTALLED)
_BY_WORDS_OF_SOME = MatchingStatement("search/recall_memories", explanations=SEARCH_NOT_INSTALLED, replacing=_MATCHING)
_BY_VECTORS_TOO = Statement("search/recall_memories_and_vectors", explanations=SEARCH_NOT_INSTALLED)
_BY_VECTORS_OF_SOME = MatchingStatement(
    "search/recall_memories_and_vectors", explanations=SEARCH_NOT_INSTALLED, replacing=_MATCHING
)


class Recalled(
    MemoryResult,
    NamedTuple(
        "Recalled",
        [
            ("memory", MemoryRecord),
            ("score", float),
            ("lexical", float),
            ("vector", float),
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
        lexical: The part of the words: 1 for the memory whose words, its own and its neighbors', answer best, and 0.7
            where vectors are compared, too.
        vector: The part of the vectors: 0.3 for the memory whose vector is most like the question's, 0 for the
            hundred and fiftieth and all others. 0 where no vectors are compared.
        flags: The other parts that are not 0: ``agent`` (the question names the memory's agent), ``question`` (the
            memory is itself a short question), ``beginning`` (it follows no other memory), ``time`` (the question asks
            when, and the memory names a time).
        own_words: The words of the question that the memory's own text has, stemmed.
        neighbor_words: The words of the question that its neighbors have, stemmed, by the neighbors' ids.
    """

    __slots__ = ()


class RecalledMemories(Results[Recalled]):
    """What :func:`recall` found, best first."""


async def recall(
    query: str,
    *,
    vector: Numbers | None = None,
    model: str | None = None,
    tenant_id: str | None = None,
    limit: int = 10,
    **conditions: Unpack[Conditions],
) -> RecalledMemories:
    """Recall the memories that answer a question best.

    Memories are compared by their words and by those of their neighbors: what they follow, what follows them, and what
    they reference. So an answer such as "Yes, on Tuesday" is found by the words of the question before it. What was
    stored and committed is found at once.

    If the database has an embedder, or you give the question's vector, memories that have a vector by that model are
    compared by it, too. Inside a scope the embedder must be one that works on this machine.

    If the database has a vector index outside PostgreSQL, a call with ``tenant_id`` outside scopes asks it which
    vectors are most alike. Whatever it says, PostgreSQL decides what is returned and with which score; and where it
    fails, is far behind, or does not know a condition, PostgreSQL's own vectors are compared, as they always are inside
    a scope.

    Args:
        query: The question, or any words. It is read in the language of the database, as the memories are.
        vector: The question's vector, if you computed it; by default the database's embedder makes it.
        model: The name of the model that made ``vector``; by default that of the database's embedder.
        tenant_id: The tenant, for a call outside scopes: the question is embedded first, and then searched in a short
            scope of its own.
        limit: The most memories to return, 1 to 10,000.
        **conditions: Which memories may be returned, see :class:`memory_guild.memories.conditions.Conditions`.
            Forgotten memories are never returned.

    Returns:
        The results, best first. Memories that share no word with the question, and whose vectors are not among the
        most alike, are left out.

    Raises:
        InvalidInputError: The question is empty, too long or not text, the vector cannot be used, or a condition is
            invalid.
        ScopeError: The embedder is called over the network, and a scope is open.
        EmbedderError: The embedder made no vector.
        TenantNotSetError: There is no scope, and no ``tenant_id``.
        TenantMismatchError: The scope is another tenant's.
        UnknownSourceError: No source has a name that is asked for.
        SearchNotInstalledError: The database has no search tables.
    """
    query = check_words("query", query)
    check_whole_number("limit", limit)
    tenant = None if tenant_id is None else check_name("tenant_id", tenant_id)
    is_outside = tenant is not None and not is_in_scope()
    searched = tenant if tenant is not None and is_outside else current_tenant()
    if tenant not in (None, searched):
        raise TenantMismatchError("the scope is another tenant's; leave tenant_id out, or recall outside the scope")
    arguments = condition_arguments(searched, conditions)
    if arguments.include_forgotten:
        asked = "held" if conditions.get("held") else "include_forgotten"
        raise InvalidInputError(asked, "is not for recall: forgotten and held memories have no words")
    question = _given(vector, model) or await embed_question(query)
    if not is_outside:
        return await _recall(query, question, limit, arguments, narrows(conditions))
    hits = None if question is None else await hits_outside(question, arguments, limit)
    async with tenant_scope(searched):
        return await _recall(query, question, limit, arguments, narrows(conditions), hits)


async def _recall(
    query: str,
    question: QuestionVector | None,
    limit: int,
    arguments: ConditionArguments,
    is_narrowed: bool,
    hits: list[UUID] | None = None,
) -> RecalledMemories:
    await refuse_unknown_sources(arguments)
    if are_enforced():
        return await _recall_readable(query, question, limit, arguments, is_narrowed, hits)
    return _recalled(await _rows(query, question, limit, arguments, is_narrowed, hits))


async def _recall_readable(
    query: str,
    question: QuestionVector | None,
    limit: int,
    arguments: ConditionArguments,
    is_narrowed: bool,
    hits: list[UUID] | None,
) -> RecalledMemories:
    """The best ones that may be read: where others are among the best, more are asked for."""
    asked = limit
    while True:
        rows = await _rows(query, question, asked, arguments, is_narrowed, hits)
        found = await readable_rows(rows)
        if len(found) >= limit or len(rows) < asked or asked == MAX_LIMIT:
            neighbors = {neighbor for row in found[:limit] for neighbor in row["neighbors"]}
            return _recalled(found[:limit], set(await permitted_by_id(PolicyAction.READ, list(neighbors))))
        asked = min(4 * asked, MAX_LIMIT)


async def _rows(
    query: str,
    question: QuestionVector | None,
    limit: int,
    arguments: ConditionArguments,
    is_narrowed: bool,
    hits: list[UUID] | None,
) -> list[asyncpg.Record]:
    asked = (*arguments, query, is_narrowed, limit)
    if question is None:
        by_words = _BY_WORDS_OF_SOME.for_conditions(arguments) if is_narrowed else _BY_WORDS
        return await by_words.fetch(*asked)
    is_of_some = is_narrowed or hits is not None
    by_vectors = _BY_VECTORS_OF_SOME.for_conditions(arguments) if is_of_some else _BY_VECTORS_TOO
    rows = await by_vectors.fetch(*asked, question.model, *question.vector, hits)
    if not any(row["vector"] for row in rows):
        await refuse_other_dimensions(arguments.tenant_id, question)
    return rows


def _recalled(rows: list[asyncpg.Record], known_neighbors: set[UUID] | None = None) -> RecalledMemories:
    """The results of rows; of the neighbors' words only those of the given ones, or of all."""
    return RecalledMemories(
        Recalled(
            memory,
            row["score"],
            row["lexical"],
            row.get("vector", 0.0),
            {name: float(row[name]) for name in ("agent", "question", "beginning", "time") if row[name]},
            tuple(row["own_words"]),
            _by_neighbor(row["neighbors"], row["neighbor_words"], known_neighbors),
        )
        for row, memory in zip(rows, memories_from(rows), strict=True)
    )


def _given(vector: Numbers | None, model: str | None) -> QuestionVector | None:
    """The vector that the caller gives; None without one."""
    if vector is None:
        if model is not None:
            raise InvalidInputError("model", "names the model of a vector; give vector= too, or leave both out")
        return None
    if model is None:
        embedder = embedder_of_database()
        if embedder is None:
            raise InvalidInputError("model", "is required: the name of the model that made the vector")
        model = embedder.model
    return QuestionVector(check_model(model), check_vector("vector", vector))


def _by_neighbor(neighbors: list[UUID], words: list[str], known: set[UUID] | None) -> dict[UUID, tuple[str, ...]]:
    said: dict[UUID, tuple[str, ...]] = {}
    for neighbor, word in zip(neighbors, words, strict=True):
        if known is None or neighbor in known:
            said[neighbor] = (*said.get(neighbor, ()), word)
    return said
