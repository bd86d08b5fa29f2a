"""The report of a batch: a sequence like any other, small however long it is."""

from __future__ import annotations

import sys
from uuid import UUID, uuid4

import pytest

from memory_guild.errors import InvalidInputError, MemoryGuildError
from memory_guild.memories.report import ItemOutcome, StoreReport
from memory_guild.types import StoreOutcome

IDS = [uuid4() for _ in range(3)]
ERROR = InvalidInputError("content_text", "no")
EXPECTED = [
    ItemOutcome(StoreOutcome.CREATED, IDS[0], None),
    ItemOutcome(StoreOutcome.REFUSED, None, ERROR),
    ItemOutcome(StoreOutcome.EXISTING, IDS[1], None),
    ItemOutcome(StoreOutcome.RESTORED, IDS[2], None),
    ItemOutcome(StoreOutcome.CREATED, IDS[0], None),
]


@pytest.fixture
def report() -> StoreReport:
    report = StoreReport()
    report.refuse(1, ERROR)
    for number in (4, 0, 3, 2):
        _, memory_id, _ = EXPECTED[number]
        assert memory_id
        report.record(number, EXPECTED[number].outcome, memory_id)
    return report


def test_it_is_a_sequence(report: StoreReport) -> None:
    assert list(report) == EXPECTED
    assert len(report) == 5
    assert [report[number] for number in range(-5, 5)] == EXPECTED * 2
    assert list(reversed(report)) == EXPECTED[::-1]
    assert EXPECTED[2] in report
    assert report.index(EXPECTED[3]) == 3
    assert report.count(EXPECTED[0]) == 2


@pytest.mark.parametrize("part", [slice(None), slice(1, 3), slice(-2, None), slice(None, None, -2), slice(9, 12)])
def test_a_part_of_it_is_a_list(report: StoreReport, part: slice) -> None:
    assert report[part] == EXPECTED[part]


@pytest.mark.parametrize("number", [5, -6])
def test_there_is_no_other_item(report: StoreReport, number: int) -> None:
    with pytest.raises(IndexError):
        report[number]


def test_it_counts(report: StoreReport) -> None:
    assert (report.created, report.existing, report.restored, report.refused) == (2, 1, 1, 1)
    assert report.errors == {1: ERROR}
    assert repr(report) == "<StoreReport: created 2, existing 1, restored 1, refused 1>"


def test_what_is_recorded_last_counts(report: StoreReport) -> None:
    report.record(1, StoreOutcome.EXISTING, IDS[1])
    report.refuse(0, ERROR)
    assert report[1] == EXPECTED[2]
    assert report[0] == EXPECTED[1]
    assert report.errors == {0: ERROR}
    assert (report.created, report.refused) == (1, 1)


def test_an_error_is_kept_without_what_was_at_hand() -> None:
    report = StoreReport()
    try:
        try:
            UUID("no")
        except ValueError as error:
            raise InvalidInputError("memory_id", "is not a UUID") from error
    except MemoryGuildError as error:
        report.refuse(0, error)
    kept = report.errors[0]
    assert (kept.__traceback__, kept.__cause__, kept.__context__) == (None, None, None)


def test_it_takes_17_bytes_an_item() -> None:
    report = StoreReport()
    for number in range(100_000):
        report.record(number, StoreOutcome.CREATED, IDS[0])
    size = sum(sys.getsizeof(part) for part in vars(report).values())
    assert 17 * 100_000 <= size < 18 * 100_000
