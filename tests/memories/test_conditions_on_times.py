"""Conditions that compare the metadata's texts as points in time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_guild.database.connecting import connect
from memory_guild.tenancy import tenant_scope
from tests.databases import copied_database
from tests.memories.reading import Undone, found_by, insert_metadata, store, use_utc

NOON = datetime(2024, 5, 4, 12, tzinfo=UTC)
EARLIER = [
    "2024-05-04T11:59:59Z",
    "2024-05-04T11:59:59.999999Z",
    "2024-05-04T13:59:59+02:00",
    "2024-05-04",
    "0001-01-01",
]
AT_NOON = [
    "2024-05-04T12:00:00Z",
    "2024-05-04T12:00:00z",
    "2024-05-04T12:00:00.000Z",
    "2024-05-04T12:00:00.000000999Z",
    "2024-05-04T12:00Z",
    "2024-05-04 12:00:00+00:00",
    "2024-05-04T12:00:00-00:00",
    "2024-05-04T14:00:00+02:00",
    "2024-05-04T14:00:00.000+02",
    "2024-05-04T14:00+02:00",
    "2024-05-04T06:30:00-05:30",
    "2024-05-04T14:00:00+0200",
    "2024-05-04T06:30:00.000-0530",
    "2024-05-04T12:00+0000",
    "2024-05-04T12:00:00",
    "2024-05-04 12:00",
]
LATER = [
    "2024-05-04T12:00:01Z",
    "2024-05-04T12:00:00.000001Z",
    "2024-05-04T12:00:00.1Z",
    "2024-05-04T12:00:00.100000001Z",
    "2024-05-04T11:00:00-02:00",
    "2024-05-05",
    "9999-12-31T23:59:59.999999Z",
]
NO_DATES = [
    *(
        "",
        "Z",
        "noon",
        "now",
        "today",
        "infinity",
        "2024",
        "12:00:00",
        "12:00:00Z",
        "2024-13-01",
        "2024-02-30T00:00:00Z",
    ),
    *("2024-05-04T25:00:00Z", "2024-05-04T12:00:00+99:00", "2024-05-04T12:00:00ZZ", "2024-05-04T12:00:00Z and more"),
    *("999999999-01-01", "294277-01-01T00:00:00Z", "2024-05-04T12:00:00+", "'; --", "😀", "2024-05-04T12:00:00.Z"),
    *(0, 20240504, 1714824000, True, None, ["2024-05-04"], {"2024-05-04": "2024-05-04"}),
]


@pytest.fixture(scope="module")
def dated_url(server_url: str, template: str) -> Iterator[str]:
    with copied_database(server_url, template) as url:
        values = [*EARLIER, *AT_NOON, *LATER, *NO_DATES]
        asyncio.run(insert_metadata(url, {json.dumps(value): json.dumps({"v": value}) for value in values}))
        yield url


@pytest.fixture
async def dated(dated_url: str) -> AsyncIterator[str]:
    """Connected to a database of texts that are dates, and of some that are not; its time zone is UTC."""
    await use_utc(dated_url)
    async with connect(dated_url, check_schema=False):
        yield dated_url


@pytest.mark.parametrize(
    ("operator", "expected"),
    [("$gt", LATER), ("$gte", AT_NOON + LATER), ("$lt", EARLIER), ("$lte", EARLIER + AT_NOON)],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
async def test_texts_are_compared_as_points_in_time(dated: str, operator: str, expected: list[str], zone: str) -> None:
    async with tenant_scope("acme"):
        assert await found_by({"v": {operator: NOON.astimezone(ZoneInfo(zone))}}) == set(map(json.dumps, expected))


async def test_a_range_of_time_and_a_number_beside_it(dated: str) -> None:
    second = timedelta(seconds=1)
    async with tenant_scope("acme"):
        both = {"$gte": NOON, "$lt": NOON + second}
        assert await found_by({"v": both}) == set(map(json.dumps, [*AT_NOON, *LATER[1:4]]))
        assert await found_by({"v": {"$gte": NOON, "$lt": 10**10}}) == set()
        assert await found_by({"v": {**both, "$in": [AT_NOON[0], LATER[0], 0]}}) == {json.dumps(AT_NOON[0])}


async def test_an_offset_of_seconds_is_one_too(dated: str) -> None:
    """As Berlin's was until 1893, of which the server's jsonpath knows nothing."""
    moment = datetime(1, 1, 1, 0, 53, 28, tzinfo=ZoneInfo("Europe/Berlin"))
    async with tenant_scope("acme"):
        assert await found_by({"v": {"$lte": moment}}) == {'"0001-01-01"'}


async def test_a_text_without_an_offset_is_in_the_servers_time_zone(dated: str) -> None:
    async with tenant_scope("acme") as scope:
        await scope.transaction.execute_script("SET LOCAL timezone = 'Europe/Berlin'")

        later = await found_by({"v": {"$gte": NOON}})
        assert not later & {'"2024-05-04T12:00:00"', '"2024-05-04 12:00"'}
        assert '"2024-05-05"' in later
        assert len(later) == len(AT_NOON) + len(LATER) - 2


DATE_LIKE = st.from_regex(r"[0-9]{0,6}-?[0-9]{1,3}-?[0-9]{1,2}[T ]?[0-9:.]{0,12}[-+Zz]?[0-9:]{0,5}", fullmatch=True)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(DATE_LIKE | st.text("0123456789-:.+TZ ", max_size=30), min_size=50, max_size=50))
@pytest.mark.long
async def test_no_text_makes_a_comparison_fail(dated: str, texts: list[str]) -> None:
    with pytest.raises(Undone):
        async with tenant_scope("model"):
            await store(*({"content_text": str(n), "metadata": {"v": text}} for n, text in enumerate(texts)))

            later, earlier = await found_by({"v": {"$gte": NOON}}), await found_by({"v": {"$lt": NOON}})
            assert not later & earlier
            raise Undone
