"""Changing memories in place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from memory_guild.database.statements import Statement
from memory_guild.errors import ConflictError, InvalidInputError, MemoryNotFoundError
from memory_guild.memories.arguments import MemoryArgument, column_value, current_tenant, memory_id_of
from memory_guild.models import MemoryRecord, hash_content
from memory_guild.rows import model_from
from memory_guild.types import SourceType
from memory_guild.values.checks import check_aware

_UPDATE = Statement("memories/update_memory")
_GET = Statement("memories/get_memory")


async def update(
    memory: MemoryArgument,
    *,
    content_text: str | None = None,
    source_type: SourceType | str | None = None,
    metadata: Mapping[str, Any] | None = None,
    expected_updated_at: datetime | None = None,
) -> MemoryRecord:
    """Change a live memory in place; ``supersede`` keeps the old version instead.

    A new text takes its hash along. Embeddings stay as they are: those of a changed text must be made anew.

    Args:
        memory: Which one. A model that is given stays as it is.
        content_text: The new text.
        source_type: The new source type.
        metadata: The new metadata, all of it.
        expected_updated_at: The version that the change is meant for: the ``updated_at`` that was read. Without it,
            whatever is stored is changed.

    Returns:
        The memory as it is stored now; its ``updated_at`` is later than before.

    Raises:
        ConflictError: It is of another version; nothing was written.
        MemoryNotFoundError: This tenant has no such memory, or it is forgotten.
        DuplicateMemoryError: Another memory of the agent has the text. The scope can only be undone from here on.
        InvalidInputError: A value cannot be stored, or none is given.
    """
    memory_id = memory_id_of("memory", memory)
    if content_text is None and source_type is None and metadata is None:
        raise InvalidInputError("content_text", "or source_type or metadata must be given: there is nothing to change")
    expected = None if expected_updated_at is None else check_aware("expected_updated_at", expected_updated_at)
    changes = [
        None if value is None else column_value(MemoryRecord, column, value)
        for column, value in (("content_text", content_text), ("source_type", source_type), ("metadata", metadata))
    ]
    changes.insert(1, None if content_text is None else hash_content(content_text))
    current_tenant()
    row = await _UPDATE.fetch_row(memory_id, *changes, expected)
    if row is None:
        raise await _not_updated(memory_id, expected)
    return model_from(MemoryRecord, row)


async def _not_updated(memory_id: UUID, expected: datetime | None) -> Exception:
    row = await _GET.fetch_row(memory_id)
    if row is None or row["is_deleted"] or expected is None:
        return MemoryNotFoundError(memory_id)
    return ConflictError(memory_id, expected, row["updated_at"])
