"""The metadata of a text that is already there: kept, merged with what is given, or replaced by it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias
from uuid import UUID

from memory_guild.database.statements import Statement
from memory_guild.errors import InvalidInputError, TransactionConflictError
from memory_guild.memories.drafts import Draft
from memory_guild.values.checks import encode_json

OnExisting: TypeAlias = Literal["keep", "merge", "replace"]
"""What becomes of the metadata of a text that is already there: it stays, gets the given keys, or is replaced."""

_LOCK = Statement("memories/lock_metadata")
_CHANGE = Statement("memories/change_metadata")


def merged_too_large(max_bytes: int) -> InvalidInputError:
    """The error for metadata that would be too large once it is merged."""
    return InvalidInputError(
        "metadata",
        f"and what is stored have more than {max_bytes} bytes together (MEMORY_GUILD_METADATA_MAX_BYTES); replace it,"
        " or store less",
    )


async def change_metadata(drafts: Mapping[UUID, Sequence[Draft]], on_existing: OnExisting, max_bytes: int) -> set[int]:
    """Merge or replace the metadata of memories; what stays the same is not written.

    Args:
        drafts: For each memory the drafts of its text that have metadata, in the order of the batch.
        on_existing: ``merge`` or ``replace``.
        max_bytes: The most bytes of JSON that a memory's metadata may have.

    Returns:
        The numbers of the drafts that do not fit.
    """
    is_merged = on_existing == "merge"
    wanted = {memory_id: _together(its_drafts, is_merged=is_merged) for memory_id, its_drafts in drafts.items()}
    rows = await _LOCK.fetch(list(wanted), list(wanted.values()), is_merged)
    if len(rows) < len(wanted):
        raise TransactionConflictError("memories of the batch were deleted at the same time; run the scope again")
    changing = [row["memory_id"] for row in rows if row["changes"]]
    too_large = {row["memory_id"] for row in rows if row["changes"] and row["merged_bytes"] > max_bytes}
    if fitting := [memory_id for memory_id in changing if memory_id not in too_large]:
        await _CHANGE.fetch(fitting, [wanted[memory_id] for memory_id in fitting], is_merged)
    refused: set[int] = set()
    for memory_id in too_large:
        if len(drafts[memory_id]) == 1:
            refused.add(drafts[memory_id][0].number)
        else:  # Some of them may fit: rare enough to ask one by one.
            for draft in drafts[memory_id]:
                refused |= await change_metadata({memory_id: [draft]}, on_existing, max_bytes)
    return refused


def _together(drafts: Sequence[Draft], *, is_merged: bool) -> str | None:
    """The metadata that leads to the same result as that of the drafts one after the other."""
    if not is_merged or len(drafts) == 1:
        return drafts[-1].metadata
    together: dict[str, object] = {}
    for draft in drafts:
        together |= json.loads(draft.metadata or "{}")
    return encode_json(together)
