"""Which text of a memory is embedded, and texts that no model trips over."""

from __future__ import annotations

from datetime import UTC

from memory_guild.models import MemoryRecord
from memory_guild.settings import embedder_text


def text_to_embed(memory: MemoryRecord) -> str:
    """What an embedder gets of a memory: ``MEMORY_GUILD_EMBEDDER_TEXT``, filled in.

    Raises:
        SettingsError: The setting cannot be used.
    """
    created_at = memory.created_at
    return embedder_text().format(
        agent_id=memory.agent_id,
        content_text=memory.content_text,
        created_at="" if created_at is None else f"{created_at.astimezone(UTC):%Y-%m-%d %H:%M}",
        source_type=memory.source_type,
    )


def readable(text: str) -> str:
    """The text with a question mark for each lone surrogate, which is not UTF-8, and a space if it is empty.

    A text without a token has no direction, and endpoints refuse it.
    """
    return text.encode("utf-8", "replace").decode() or " "
