"""Where memories come from: the data source that a caller names, and the stamp that the database keeps of it."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from typing import NamedTuple
from uuid import UUID

import asyncpg

from memory_guild.database.statements import Statement, Step
from memory_guild.errors import InactiveSourceError, SourceRequiredError, UnknownSourceError
from memory_guild.memories.arguments import current_tenant
from memory_guild.memories.conditions import ConditionArguments, Conditions, condition_arguments
from memory_guild.settings import sources_must_be_named
from memory_guild.values.checks import check_name, plain

_SOURCE = Statement("memories/source_to_store")
_LOCKED = Statement("memories/locked_source", on_citus=(Step("memories/citus/locked_source"),))
_NAMES = Statement("memories/names_of_sources")
_STAMP = Statement(
    "memories/stamp_memories",
    on_citus=(
        Step("memories/citus/hold_memories", (3, 4)),
        Step("memories/citus/stamp_stored_memories", always=True),
    ),
)


class Origin(NamedTuple):
    """The source of what is about to be stored.

    Attributes:
        name: Its name.
        source_id: Its id.
        is_quarantined: Whether what comes from it is held until somebody releases it.
    """

    name: str
    source_id: UUID
    is_quarantined: bool


async def origin_named(source: str | None, *, changes_metadata: bool) -> Origin | None:
    """The source that a caller names, if something may be stored from it now; None if no source is named.

    Args:
        source: Its name.
        changes_metadata: Whether what is stored may be metadata of a memory that is there. That gets no stamp, which
            would check the source once more, so the source is locked now: nobody can deactivate it, or begin its
            quarantine, until the transaction ends.

    Raises:
        SourceRequiredError: No source is named, and ``MEMORY_GUILD_SOURCES`` is ``named``.
        UnknownSourceError: No source has the name.
        InactiveSourceError: The source is not active.
    """
    if source is None:
        if sources_must_be_named():
            raise SourceRequiredError
        return None
    name = plain(check_name("source", source))
    row = await (_LOCKED if changes_metadata else _SOURCE).fetch_row(name)
    if row is None:
        raise await unknown_source(name)
    if not row["is_active"]:
        raise InactiveSourceError(name)
    return Origin(name, row["source_id"], row["is_quarantined"])


async def unknown_source(name: str) -> UnknownSourceError:
    """The error for a name that no source has, with the nearest one that there is."""
    return _unknown_among(name, {row["source_name"] for row in await _NAMES.fetch()})


def _unknown_among(name: str, known: AbstractSet[str]) -> UnknownSourceError:
    # Letters that differ in case only are nearest of all.
    spelt = {each.casefold(): each for each in sorted(known, reverse=True)}
    nearest = get_close_matches(name.casefold(), sorted(spelt), n=1)
    return UnknownSourceError(name, spelt[nearest[0]] if nearest else None)


async def conditions_in_scope(conditions: Conditions) -> ConditionArguments:
    """The conditions on memories of the scope's tenant, checked and encoded.

    Raises:
        InvalidInputError: A condition is unknown or invalid; ``field`` names it.
        UnknownSourceError: No source has a name that is asked for.
    """
    arguments = condition_arguments(current_tenant(), conditions)
    await refuse_unknown_sources(arguments)
    return arguments


async def refuse_unknown_sources(arguments: ConditionArguments) -> None:
    """Ask whether there are the sources that conditions name: a misspelt one would silently match nothing.

    Raises:
        UnknownSourceError: No source has a name that is asked for.
    """
    if arguments.source_names:
        known = {row["source_name"] for row in await _NAMES.fetch()}
        for name in sorted(arguments.source_names - known):
            raise _unknown_among(name, known)


async def stamp(origin: Origin, tenant_id: str, memory_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Say which source memories came from that this transaction has just stored.

    Returns:
        The new versions of those that are held in quarantine now.

    Raises:
        InactiveSourceError: The source was deactivated meanwhile; the scope is rolled back.
    """
    return await _STAMP.fetch(tenant_id, origin.source_id, origin.is_quarantined, memory_ids)
