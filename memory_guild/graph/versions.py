"""The history of memories: a new version beside the old one, and what was known at some moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from memory_guild.errors import InvalidInputError
from memory_guild.graph.edges import relate
from memory_guild.memories.arguments import MemoryArgument, current_tenant
from memory_guild.memories.reading import get
from memory_guild.memories.storing import Remembered, remember
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import tenant_scope
from memory_guild.types import RelationshipType, SourceType
from memory_guild.values.checks import check_aware


async def supersede(
    old: MemoryArgument,
    new_text: str,
    *,
    source_type: SourceType | str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Remembered:
    """Remember a new version of a memory, with an edge that says that it follows the old one.

    The old version stays as it is. Both happen, or neither.

    Args:
        old: The version that is out of date; it must be live.
        new_text: The new version's text; it belongs to the same agent.
        source_type: Where it comes from; by default from where the old one does.
        metadata: Its metadata; by default the old one's.

    Returns:
        The new version; it may have been there before, see :func:`memory_guild.remember`.

    Raises:
        MemoryNotFoundError: This tenant has no such memory, or it is forgotten.
        InvalidInputError: The text is the old one's, or cannot be stored.
    """
    async with tenant_scope(current_tenant()):
        before = await get(old)
        if new_text == before.content_text:
            raise InvalidInputError("new_text", "is the text that the memory has already")
        remembered = await remember(
            new_text,
            source_type=before.source_type if source_type is None else source_type,
            metadata=before.metadata if metadata is None else metadata,
            agent_id=before.agent_id,
        )
        await relate(remembered.memory, before, RelationshipType.FOLLOWS)
        return remembered


def as_of(moment: datetime) -> QuerySet[MemoryRecord]:
    """The memories that were live at some moment, as a queryset: filter, order and count it further.

    A memory that was forgotten and has come back since counts as never forgotten, and a text that was changed in place
    is the new one: ``supersede`` keeps versions. Times are those of the statements, which others see from the end of
    their scopes on.

    Args:
        moment: When; an aware datetime.

    Raises:
        InvalidInputError: The datetime is naive.
    """
    check_aware("moment", moment)
    current_tenant()
    still_live = Q(is_deleted=False) | Q(is_deleted__isnull=True) | Q(deleted_at__gt=moment)
    return MemoryRecord.filter(still_live, created_at__lte=moment)
