"""Which index outside PostgreSQL mirrors the vectors: the database's, or one that is named."""

from __future__ import annotations

import asyncio
import json
import logging
from uuid import UUID

from memory_guild.database.engine import client
from memory_guild.database.sqlstate import SEARCH_NOT_INSTALLED
from memory_guild.database.statements import Statement
from memory_guild.errors import InvalidInputError, VectorIndexError
from memory_guild.memories.conditions import ConditionArguments
from memory_guild.moments import DistantMoment
from memory_guild.protocols import IndexFilters, VectorIndex
from memory_guild.search.embedding import QuestionVector
from memory_guild.search.vectors import index_of
from memory_guild.tenancy import tenant_scope
from memory_guild.values.checks import check_name

_FEWEST_HITS, _MOST_HITS = 200, 10_000
_HITS_A_RESULT = 4
"""More than are needed: PostgreSQL drops those that are forgotten, changed or not the tenant's."""

_MOST_UNSYNCED = 1000
"""The most memories that the index may not have yet, and that are compared beside what it finds."""

_UNSYNCED = Statement("search/unsynced_memories", planned_for_values=True, explanations=SEARCH_NOT_INSTALLED)

_log = logging.getLogger("memory_guild.search.external")


def external_index() -> VectorIndex | None:
    """That of ``connect(vector_index=…)`` or ``MEMORY_GUILD_VECTOR_INDEX``; None for PostgreSQL's own vectors."""
    pool = client().pool
    if pool.vector_index is None and (made := index_of(pool.settings.vector_index)):
        pool.vector_index, pool.owns_vector_index = made, True
    return pool.vector_index


def chosen_index(index: VectorIndex | None) -> VectorIndex:
    """The index that an argument is, or else the database's.

    Raises:
        InvalidInputError: It is no index, there is none, or its name cannot be stored.
    """
    chosen = external_index() if index is None else index
    if chosen is None:
        raise InvalidInputError(
            "index", "is none: name one in connect(vector_index=…) or in MEMORY_GUILD_VECTOR_INDEX, or give one here"
        )
    if not isinstance(chosen, VectorIndex):
        raise InvalidInputError("index", f"must be a vector index, not {type(chosen).__name__}")
    check_name("index.name", chosen.name)
    return chosen


async def hits_outside(question: QuestionVector, conditions: ConditionArguments, limit: int) -> list[UUID] | None:
    """The memories whose vectors the database's external index finds most alike, and those that it may not have yet.

    None where PostgreSQL's own vectors are to be searched: there is no such index, it failed, it is far behind, or it
    does not know these conditions.
    """
    index, filters = external_index(), _filters(conditions)
    if index is None or filters is None:
        return None
    async with tenant_scope(conditions.tenant_id):
        # Before the search: what is taken out of the outbox from now on, the index has.
        unsynced = await _UNSYNCED.fetch_only_row(conditions.tenant_id, index.name, question.model, _MOST_UNSYNCED)
    if not unsynced["is_filled"] or len(unsynced["memory_ids"]) == _MOST_UNSYNCED:
        return None
    wanted = min(max(_FEWEST_HITS, _HITS_A_RESULT * limit), _MOST_HITS)
    try:
        async with asyncio.timeout(client().pool.settings.vector_timeout_seconds):
            hits = await index.search(
                conditions.tenant_id, question.model, json.loads(question.vector.text), limit=wanted, filters=filters
            )
        return [*(hit.memory_id for hit in hits), *unsynced["memory_ids"]]
    except VectorIndexError as error:
        _log.warning("%s; PostgreSQL's own vectors are searched instead", error)
    except Exception as error:  # whatever a client raises: an agent gets its memories all the same
        _log.warning("%s: %s; PostgreSQL's own vectors are searched instead", index.name, type(error).__name__)
    return None


def _filters(conditions: ConditionArguments) -> IndexFilters | None:
    """The conditions as an index knows them; None where it does not know one."""
    agents, sources = conditions.agent_ids, conditions.source_types
    times = conditions.created_from, conditions.created_before
    if conditions.metadata_keys or any(values is not None and len(values) != 1 for values in (agents, sources)):
        return None
    if any(isinstance(time, DistantMoment) for time in times):
        return None
    return IndexFilters(agents[0] if agents else None, sources[0] if sources else None, *times)
