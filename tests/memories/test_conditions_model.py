"""Conditions on random metadata find what a model in plain Python says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_guild.database.connecting import connect
from memory_guild.tenancy import tenant_scope
from tests.memories.metadata_model import fulfils
from tests.memories.reading import Undone, found_by, store, use_utc


@pytest.fixture
async def in_utc(database_url: str) -> AsyncIterator[None]:
    """Connected to a database whose time zone is UTC, as the model's is."""
    await use_utc(database_url)
    async with connect(database_url):
        yield


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.sampled_from([0.0, -0.0, 0.5, 1.0, 3.0, 1e300, 5e-324]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "a", "A", "3", "true", "null", "é"]),
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=5),
)
MOMENTS = st.datetimes(
    datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.sampled_from([UTC, ZoneInfo("Etc/GMT-5")])
)
NEAR_MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2024, 1, 1, 0, 0, 3), timezones=st.just(UTC))
DATE_TEXTS = st.one_of(
    st.one_of(MOMENTS, NEAR_MOMENTS).map(datetime.isoformat),
    st.one_of(MOMENTS, NEAR_MOMENTS).map(lambda moment: str(moment.astimezone(UTC)).replace("+00:00", "Z")),
    NEAR_MOMENTS.map(lambda moment: moment.replace(tzinfo=None).isoformat(timespec="milliseconds")),
    NEAR_MOMENTS.map(lambda moment: str(moment.date())),
)
VALUES = st.one_of(
    SCALARS,
    DATE_TEXTS,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
        max_leaves=4,
    ),
)
NUMBERS_OR_MOMENTS = st.one_of(
    st.integers(-3, 3), st.integers(), st.floats(allow_nan=False, allow_infinity=False), MOMENTS, NEAR_MOMENTS
)
OPERATORS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("$eq", "$ne", "$contains"), VALUES),
        **dict.fromkeys(("$in", "$nin", "$contains_any", "$contains_all"), st.lists(VALUES, max_size=3)),
        "$exists": st.booleans(),
        **dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), NUMBERS_OR_MOMENTS),
    },
)
METADATA = st.none() | st.dictionaries(st.sampled_from(["k", "l", "k.a", "0"]), VALUES, max_size=3)
STEPS = st.sampled_from(["k", "l", "a", "b", "0", "1", "-1", ""])
FIELDS = st.sampled_from("kl") | st.lists(STEPS, min_size=1, max_size=3).map(".".join)
CONDITIONS = st.dictionaries(FIELDS, VALUES | OPERATORS, max_size=2)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.long
async def test_what_is_found_is_what_the_model_says(in_utc: None, data: st.DataObject) -> None:
    stored = data.draw(st.lists(METADATA, min_size=1, max_size=8))
    used = [value for metadata in stored for value in (metadata or {}).values()]
    wanted = [data.draw(CONDITIONS) for _ in range(4)] + [{"k": value} for value in used] + [{"l": {"$in": used}}]
    for value in used:
        match value:
            case [item, *_]:
                wanted += [{"k": {"$contains": item}}, {"k": {"$contains_all": value}}, {"k.0": item}]
            case {"a": item}:
                wanted += [{"k.a": item}, {"k.a": {"$ne": item}}, {"k.a.0": {"$exists": True}}]
    with pytest.raises(Undone):
        async with tenant_scope("model"):
            await store(*({"content_text": str(n), "metadata": metadata} for n, metadata in enumerate(stored)))
            for conditions in wanted:
                expected = {str(n) for n, metadata in enumerate(stored) if fulfils(metadata, conditions)}
                assert await found_by(conditions) == expected, conditions
            raise Undone
