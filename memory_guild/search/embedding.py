"""Embedding: what calls a model. While a transaction is open, only one on this machine is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import UUID

from memory_guild.database.engine import client
from memory_guild.database.scope import is_in_scope
from memory_guild.database.sqlstate import SEARCH_NOT_INSTALLED
from memory_guild.database.statements import Statement
from memory_guild.errors import EmbedderError, InvalidInputError, ScopeError
from memory_guild.memories.arguments import check_whole_number
from memory_guild.models import MemoryRecord
from memory_guild.protocols import Embedder
from memory_guild.rows import memories_from
from memory_guild.search.embedders import embedder_of, text_to_embed
from memory_guild.search.embeddings import Embedded, check_model, require_dimensions, store
from memory_guild.search.vectors.numbers import Vector, check_vector
from memory_guild.tenancy import tenant_scope
from memory_guild.values.checks import check_name

_TO_EMBED = Statement("search/memories_to_embed", planned_for_values=True, explanations=SEARCH_NOT_INSTALLED)
_READ = Statement("memories/get_memories")

_MEMORIES_A_ROUND = 10_000


class QuestionVector(NamedTuple):
    """The vector of a question.

    Attributes:
        model: The model that made it.
        vector: The vector.
    """

    model: str
    vector: Vector


async def embed_pending(
    tenant_id: str,
    *,
    embedder: Embedder | str | None = None,
    batch_size: int = 100,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Bring a tenant's vectors up to date: embed the memories that have none of the text that they have now.

    Call it outside scopes. It reads a batch in a short scope, embeds it with no transaction open, and stores it in a
    short scope, where the memories still have the same text and are not forgotten. So agents go on working, and if it
    is interrupted, what was stored stays: call it again. It ends when no memory is left, those included that were
    stored or changed meanwhile.

    Args:
        tenant_id: The tenant.
        embedder: What embeds the memories, or its name; by default that of the database, see :func:`connect`.
        batch_size: The most memories to read and store at a time, 1 to 10,000.
        progress: Called after each batch with how many vectors have been stored by this call.

    Returns:
        How many vectors were stored.

    Raises:
        InvalidInputError: An argument is invalid, there is no embedder, or the model had other dimensions before.
        ScopeError: A scope is open around the call.
        SettingsError: There is no embedder of this name, or its extra is not installed.
        EmbedderError: The embedder made no vectors.
        SearchNotInstalledError: The database has no search tables.
    """
    check_name("tenant_id", tenant_id)
    check_whole_number("batch_size", batch_size)
    chosen = _embedder("embedder", embedder)
    if chosen is None:
        raise InvalidInputError(
            "embedder", "is none: name one here, in connect(embedder=…) or in MEMORY_GUILD_EMBEDDER"
        )
    model = check_model(chosen.model)
    if is_in_scope():
        raise ScopeError("embed_pending calls a model, and a scope is open meanwhile; call it outside the scope")
    stored = 0
    while ids := await _without_vector(tenant_id, model):
        for first in range(0, len(ids), batch_size):
            memories = await _read(tenant_id, ids[first : first + batch_size])
            vectors = await _embed(chosen, memories)
            async with tenant_scope(tenant_id):
                stored += await store(tenant_id, model, vectors, refuse_missing=False)
            if progress is not None:
                progress(stored)
    return stored


async def embed_question(query: str) -> QuestionVector | None:
    """The vector of a question by the database's embedder; None where there is no embedder.

    Raises:
        ScopeError: The embedder is called over the network, and a scope is open.
        EmbedderError: It made no vector.
    """
    embedder = embedder_of_database()
    if embedder is None:
        return None
    if not embedder.is_local and is_in_scope():
        raise ScopeError(
            f"{embedder.model} is called over the network, and a scope is open meanwhile; embed the question before and"
            " pass vector=, or call recall outside the scope with tenant_id="
        )
    return QuestionVector(check_model(embedder.model), _usable(embedder, await embedder.embed_query(query)))


async def refuse_other_dimensions(tenant_id: str, question: QuestionVector) -> None:
    """Raise where the vectors of the model have other dimensions than that of the question."""
    await require_dimensions(tenant_id, question.model, [question.vector.dimensions], "vector")


def embedder_of_database() -> Embedder | None:
    """The embedder that ``connect(embedder=…)`` or ``MEMORY_GUILD_EMBEDDER`` chose; None for words only."""
    pool = client().pool
    if pool.embedder is None:
        pool.embedder = embedder_of(pool.settings.embedder)
    return pool.embedder


def _embedder(field: str, embedder: Embedder | str | None) -> Embedder | None:
    if embedder is None:
        return embedder_of_database()
    if isinstance(embedder, str):
        return embedder_of(embedder)
    if not isinstance(embedder, Embedder):
        raise InvalidInputError(field, f"must be an embedder or its name, not {type(embedder).__name__}")
    return embedder


async def _without_vector(tenant_id: str, model: str) -> list[UUID]:
    async with tenant_scope(tenant_id):
        rows = await _TO_EMBED.fetch(tenant_id, model, _MEMORIES_A_ROUND)
    return [row["memory_id"] for row in rows]


async def _read(tenant_id: str, memory_ids: Sequence[UUID]) -> list[MemoryRecord]:
    """Those of the memories that are not forgotten meanwhile."""
    async with tenant_scope(tenant_id):
        rows = await _READ.fetch(memory_ids)
    return [memory for memory in memories_from(rows) if not memory.is_deleted]


async def _embed(embedder: Embedder, memories: Sequence[MemoryRecord]) -> list[Embedded]:
    if not memories:
        return []
    vectors = await embedder.embed([text_to_embed(memory) for memory in memories])
    if len(vectors) != len(memories):
        raise EmbedderError(embedder.model, f"made {len(vectors):,} vectors of {len(memories):,} texts")
    return [
        Embedded(memory.memory_id, memory.content_hash, _usable(embedder, vector))
        for memory, vector in zip(memories, vectors, strict=True)
    ]


def _usable(embedder: Embedder, numbers: Sequence[float]) -> Vector:
    try:
        return check_vector("vector", numbers)
    except InvalidInputError as error:
        raise EmbedderError(embedder.model, f"made a vector that cannot be used: it {error.reason}") from None
