"""Changing a memory in place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from memory_guild.database.statements import Statement
from memory_guild.errors import ConflictError, InvalidInputError, MemoryNotFoundError
from memory_guild.memories.arguments import MemoryArgument, column_value, current_tenant, memory_id_of
from memory_guild.memories.screening import screen_of_database, screened
from memory_guild.models import MemoryRecord, hash_content
from memory_guild.policies.enforcing import are_enforced, require
from memory_guild.protocols import Candidate
from memory_guild.rows import model_from
from memory_guild.types import PolicyAction, SourceType
from memory_guild.values.checks import check_aware, check_text

_UPDATE = Statement("memories/update_memory")
_GET = Statement("memories/get_memory")
_LOCK = Statement("memories/lock_memories")


async def update(
    memory: MemoryArgument,
    *,
    content_text: str | None = None,
    source_type: SourceType | str | None = None,
    metadata: Mapping[str, Any] | None = None,
    expected_updated_at: datetime | None = None,
) -> MemoryRecord:
    """Change a memory in place. To keep the old version, use ``supersede``.

    The hash follows the text. Embeddings do not: compute those of a changed text again.

    Args:
        memory: The memory. If it is a model, the model is not changed.
        content_text: The new text.
        source_type: The new source type.
        metadata: The new metadata, which replaces all of the old.
        expected_updated_at: The ``updated_at`` of the version that you read. If somebody has changed the memory since,
            the update fails. Without it, the memory is changed whatever its version is.

    Returns:
        The memory as it is stored now; its ``updated_at`` is later than before.

    Raises:
        AccessDeniedError: The access policies do not allow to read the memory, to change it, or to change it so;
            nothing was written.
        ContentRefusedError: The screen refuses the change; nothing was written.
        ConflictError: The memory has another version; nothing was written.
        MemoryNotFoundError: The memory does not exist in this tenant, or it is forgotten.
        DuplicateMemoryError: The agent has another memory with this text. The scope must be rolled back.
        InvalidInputError: A value cannot be stored, or no value is given.
    """
    memory_id = memory_id_of("memory", memory)
    if content_text is None and source_type is None and metadata is None:
        raise InvalidInputError("content_text", "(or source_type, or metadata) is required: there is nothing to change")
    expected = None if expected_updated_at is None else check_aware("expected_updated_at", expected_updated_at)
    if (screen := screen_of_database()) is not None and (content_text is not None or metadata is not None):
        text = "" if content_text is None else check_text("content_text", content_text)
        given = metadata if isinstance(metadata, Mapping) else None  # anything else is refused below
        seen = screened(screen, Candidate(text, given, None, current_tenant(), source_type))
        content_text = None if content_text is None else seen.content_text
        metadata = metadata if given is None and seen.metadata is None else seen.metadata
    changes = [
        None if value is None else column_value(MemoryRecord, column, value)
        for column, value in (("content_text", content_text), ("source_type", source_type), ("metadata", metadata))
    ]
    changes.insert(1, None if content_text is None else hash_content(content_text))
    current_tenant()
    if are_enforced():
        await _require_both_versions(memory_id, source_type=changes[2], metadata=metadata)
    row = await _UPDATE.fetch_row(memory_id, *changes, expected)
    if row is None:
        raise await _not_updated(memory_id, expected)
    return model_from(MemoryRecord, row)


async def _require_both_versions(memory_id: UUID, *, source_type: Any, metadata: Mapping[str, Any] | None) -> None:
    """Ask the access policies about the memory as it is, and as it would be."""
    await _LOCK.fetch([memory_id], 1)  # what is asked about stays as it is
    row = await _GET.fetch_row(memory_id)
    if row is None or row["is_deleted"]:
        raise MemoryNotFoundError(memory_id)
    before, after = model_from(MemoryRecord, row), model_from(MemoryRecord, row)
    after.source_type = after.source_type if source_type is None else SourceType(source_type)
    after.metadata = after.metadata if metadata is None else dict(metadata)
    await require(PolicyAction.READ, [before])  # its text is returned
    await require(PolicyAction.UPDATE, [before, after])


async def _not_updated(memory_id: UUID, expected: datetime | None) -> Exception:
    row = await _GET.fetch_row(memory_id)
    if row is None or row["is_deleted"] or expected is None:
        return MemoryNotFoundError(memory_id)
    return ConflictError(memory_id, expected, row["updated_at"])
