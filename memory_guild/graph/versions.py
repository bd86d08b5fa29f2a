"""Versions of memories: a new version beside the old one, and the memories as of some moment."""

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
    source: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    created_at: datetime | None = None,
) -> Remembered:
    """Remember a new version of a memory, and relate it to the old one: it ``follows`` it.

    The old version stays as it is. Both statements succeed, or neither.

    Args:
        old: The version that is out of date. It must not be forgotten.
        new_text: The text of the new version, which belongs to the same agent.
        source_type: Where it comes from; by default the old version's source type.
        source: The name of the data source that the new version comes from. If it is in quarantine, the new version is
            held, and its edge leads nowhere until the release.
        metadata: By default the old version's metadata.
        created_at: When the new version came to be, for history that is stored later; by default now.

    Returns:
        The new version. It may have existed before, see :func:`memory_guild.remember`.

    Raises:
        MemoryNotFoundError: The memory does not exist in this tenant, or it is forgotten.
        InvalidInputError: The text is the old version's, or cannot be stored.
    """
    async with tenant_scope(current_tenant()):
        before = await get(old)
        if new_text == before.content_text:
            raise InvalidInputError("new_text", "is the text of the old version")
        remembered = await remember(
            new_text,
            source_type=before.source_type if source_type is None else source_type,
            source=source,
            metadata=before.metadata if metadata is None else metadata,
            agent_id=before.agent_id,
            created_at=created_at,
        )
        await relate(remembered.memory, before, RelationshipType.FOLLOWS)
        return remembered


def as_of(moment: datetime) -> QuerySet[MemoryRecord]:
    """The memories that were live at some moment, as a queryset to filter, order and count.

    A memory that was forgotten at that moment and restored later is included. If ``update`` changed a text, it is the
    new text; ``supersede`` keeps the old one. The times are those of the statements. Others see what a statement did
    when its scope has been committed.

    Args:
        moment: An aware datetime.

    Raises:
        InvalidInputError: The datetime is naive.
    """
    check_aware("moment", moment)
    current_tenant()
    still_live = Q(is_deleted=False) | Q(is_deleted__isnull=True) | Q(deleted_at__gt=moment)
    return MemoryRecord.filter(still_live, created_at__lte=moment)
