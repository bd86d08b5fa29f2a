"""An error never repeats what the row said, whichever part of the machinery noticed."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest

from memory_guild.database.engine import client
from memory_guild.errors import InvalidInputError
from memory_guild.models import MemoryRecord
from tests.rows import SECRET, valid_row

STATEMENTS: list[tuple[str, list[Any]]] = [
    (f"SELECT '{SECRET}'::uuid", []),
    (f"SELECT '{SECRET}'::timestamptz", []),
    (f"SELECT '{SECRET}'::double precision", []),
    ("SELECT $1::jsonb", [f'{{"a": {SECRET}}}']),
    ("SELECT $1::jsonb", [f'{{"a": "{SECRET}\\u0000"}}']),
    ("SELECT $1::text", [f"{SECRET}\x00"]),
    ("SELECT $1::text", [f"{SECRET}\ud800"]),
    ("SELECT $1::uuid", [SECRET]),
    ("SELECT $1::timestamptz", [SECRET]),
    ("SELECT $1::int", [SECRET]),
    ("INSERT INTO data_sources (source_name, source_type) VALUES ($1, 'api')", [SECRET * 20]),
]


@pytest.mark.parametrize(("statement", "values"), STATEMENTS)
async def test_value_that_the_server_or_the_driver_refuses(statement: str, values: list[Any]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await client().execute_query(statement, values)

    assert "swordfish" not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"content_text": f"{SECRET}\x00"},
        {"content_text": f"{SECRET}\ud800"},
        {"content_text": SECRET.encode()},
        {"agent_id": SECRET * 20},
        {"source_type": SECRET},
        {"metadata": {"note": f"{SECRET}\x00"}},
        {"metadata": {"note": {SECRET}}},
        {"metadata": [SECRET]},
        {"memory_id": SECRET},
        {"created_at": SECRET},
        {"is_deleted": SECRET},
    ],
    ids=repr,
)
async def test_value_that_the_model_refuses(change: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    row = await valid_row(MemoryRecord)

    with caplog.at_level(logging.DEBUG, logger="memory_guild"), pytest.raises(InvalidInputError) as caught:
        await MemoryRecord.create(**{**row, **change})

    assert caught.value.field.startswith(next(iter(change)))
    shown = "".join(traceback.format_exception(caught.value))
    assert "swordfish" not in shown + repr(caught.value) + caplog.text
    assert "During handling of" not in shown
