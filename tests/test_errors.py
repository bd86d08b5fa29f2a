"""The messages of the errors that have one of their own: what happened, and what to do next."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from memory_guild.errors import ConflictError, ForgottenMemoryError, MemoryNotFoundError, SearchLimitError

IDS = [UUID(int=number) for number in range(1, 6)]


@pytest.mark.parametrize(
    ("memory_ids", "message"),
    [
        (IDS[:1], f"memory {IDS[0]} does not exist in this tenant, or it is forgotten; check the id"),
        (IDS[:2], f"memories {IDS[0]}, {IDS[1]} do not exist in this tenant, or they are forgotten; check the ids"),
        (
            IDS,
            f"memories {IDS[0]}, {IDS[1]}, {IDS[2]} and 2 more do not exist in this tenant, or they are forgotten;"
            " check the ids",
        ),
    ],
    ids=["one", "two", "many"],
)
def test_missing_memories_are_named(memory_ids: list[UUID], message: str) -> None:
    error = MemoryNotFoundError(*memory_ids)
    assert str(error) == f"{message}, or use include_forgotten=True to read forgotten memories"
    assert error.memory_ids == tuple(memory_ids)


def test_a_conflict_names_both_versions() -> None:
    expected, actual = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    assert str(ConflictError(IDS[0], expected, actual)) == (
        f"memory {IDS[0]} was changed at 2026-01-02 00:00:00+00:00; you expected the version of"
        " 2026-01-01 00:00:00+00:00. Read it again and retry."
    )


def test_a_forgotten_memory_can_be_restored() -> None:
    assert str(ForgottenMemoryError(IDS[0])) == (
        f"this text is memory {IDS[0]}, which is forgotten; restore() it, or leave it forgotten"
    )


def test_a_search_names_its_limit() -> None:
    assert str(SearchLimitError(10_000)) == (
        "the search reached its limit of 10,000 memories before it was complete; raise the limit, or narrow the search"
        " by type or confidence"
    )
