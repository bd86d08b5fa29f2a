"""Values that cannot be parameters are written as literals, and the server reads them as they were."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from memory_guild.database.rendering import _literal
from memory_guild.errors import InvalidInputError
from memory_guild.types import SourceType

VALUES: dict[str, tuple[Any, str, Any]] = {
    "nothing": (None, "text", None),
    "true": (True, "boolean", True),
    "an enum": (SourceType.DOCUMENT, "text", "document"),
    "a text with quotes and a backslash": ('it\'s \\ "so"', "text", 'it\'s \\ "so"'),
    "a number": (-7, "int", -7),
    "a fraction": (0.1, "float", 0.1),
    "infinity": (float("-inf"), "float", float("-inf")),
    "a day": (date(2026, 2, 3), "date", date(2026, 2, 3)),
    "a moment": (datetime(2026, 2, 3, 4, tzinfo=UTC), "timestamptz", datetime(2026, 2, 3, 4, tzinfo=UTC)),
    "an hour": (time(4, 5), "time", time(4, 5)),
    "an id": (UUID(int=7), "uuid", UUID(int=7)),
    "bytes": (b"\x00'\xff", "bytea", b"\x00'\xff"),
    "a list": (["a", "it's"], "text[]", ["a", "it's"]),
    "a decimal": (Decimal("1.50"), "numeric", Decimal("1.50")),
}


@pytest.mark.parametrize(("value", "kind", "expected"), VALUES.values(), ids=VALUES)
async def test_a_literal_is_read_as_its_value(
    value: Any, kind: str, expected: Any, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    assert await connection.fetchval(f"SELECT {_literal(value)}::{kind}") == expected


async def test_an_object_is_read_as_json(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    value = {"it's": [1, None, {"a": "\\"}]}
    assert json.loads(await connection.fetchval(f"SELECT {_literal(value)}::jsonb")) == value


def test_what_no_text_can_hold_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        _literal("a\x00b")
