"""What an embedder gets of a memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from memory_guild.models import MemoryRecord
from memory_guild.search.embedders import text_to_embed
from memory_guild.search.embedders.texts import readable
from memory_guild.types import SourceType

AUTUMN = datetime(2026, 11, 27, 9, 5, 59, tzinfo=UTC)


def memory(**values: Any) -> MemoryRecord:
    given = {
        "agent_id": "scribe",
        "content_text": "The door is {red}.",
        "created_at": AUTUMN,
        "source_type": "document",
    }
    return MemoryRecord(**given | values)


def test_agent_and_date_stand_before_the_text() -> None:
    assert text_to_embed(memory()) == "scribe 2026-11-27 09:05: The door is {red}."


def test_the_moment_is_in_utc() -> None:
    eastern = AUTUMN.astimezone(timezone(timedelta(hours=-5)))

    assert text_to_embed(memory(created_at=eastern)) == text_to_embed(memory())


def test_the_last_moment_that_python_has_is_a_moment() -> None:
    """What lies beyond reads so too: see memory_guild/moments.py."""
    never = datetime.max.replace(tzinfo=UTC)

    assert text_to_embed(memory(created_at=never)) == "scribe 9999-12-31 23:59: The door is {red}."


def test_a_memory_without_a_date_is_embedded_without_one() -> None:
    assert text_to_embed(memory(created_at=None)) == "scribe : The door is {red}."


def test_the_setting_says_what_is_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_EMBEDDER_TEXT", "passage: {content_text} {{{source_type}}}")

    assert text_to_embed(memory()) == "passage: The door is {red}. {document}"
    assert text_to_embed(memory(source_type=SourceType.DOCUMENT)) == text_to_embed(memory())


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", "a"), (" ", " "), ("", " "), ("a\ud800b", "a?b"), ("\udfff", "?"), ("漢🙂\0", "漢🙂\0")],
)
def test_every_text_becomes_readable(text: str, expected: str) -> None:
    assert readable(text) == expected
