"""What a refused row must look like to the caller, and the check of it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

import pytest
from tortoise.exceptions import IntegrityError

from memory_guild.errors import CheckError, ConstraintError, MemoryGuildError
from memory_guild.models import StrictModel
from tests.rows import SECRET, Row, Write, counts, through_bulk_create, through_model, through_sql

WRITES = [through_model, pytest.param(through_bulk_create, marks=pytest.mark.long), through_sql]
"""The ways to write a row."""


@dataclass(frozen=True)
class Refusal:
    """The error that a row must raise.

    Attributes:
        kind: Its exact type.
        sqlstate: PostgreSQL's code.
        message: The whole message; None where it depends on who noticed, the model or the database.
        constraint: The constraint's name; None for NOT NULL.
        field: The column that the error names, for the kinds that name one.
    """

    kind: type[ConstraintError]
    sqlstate: str
    message: str | None
    constraint: str | None = None
    field: str | None = None


async def assert_refused(write: Write, model: type[StrictModel], row: Row, expected: Refusal) -> ConstraintError:
    """Write the row and check the error; nothing may be stored, and nothing that the row says may be repeated."""
    before = await counts()
    with pytest.raises(MemoryGuildError) as caught:
        await write(model, row)
    error = caught.value
    assert type(error) is expected.kind
    assert isinstance(error, ConstraintError)
    assert isinstance(error, IntegrityError)
    assert error.table == model._meta.db_table
    assert (error.constraint, error.sqlstate) == (expected.constraint, expected.sqlstate)
    if isinstance(error, CheckError):
        assert error.field == expected.field
    if expected.message is not None:
        assert str(error) == expected.message
    assert SECRET not in "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert await counts() == before
    return error
