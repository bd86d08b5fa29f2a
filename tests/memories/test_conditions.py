"""Conditions on the metadata: what each operator finds, and what is refused."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from types import MappingProxyType
from typing import Any

import pytest

from memory_guild.database.connecting import connect
from memory_guild.errors import InvalidInputError
from memory_guild.memories.conditions import condition_arguments
from memory_guild.memories.forgetting import forget_where
from memory_guild.memories.reading import count, find
from memory_guild.tenancy import tenant_scope
from memory_guild.types import SourceType
from tests.databases import copied_database
from tests.memories.reading import found_by, insert_metadata, store, texts_of

# The metadata's "v" of one memory each, as JSON text; named by what it is.
STORED = {
    "3": "3",
    "3.0": "3.0",
    "300e-2": "300e-2",
    "text 3": '"3"',
    "10": "10",
    "-0.5": "-0.5",
    "0.1": "0.1",
    "0": "0",
    "true": "true",
    "false": "false",
    "null": "null",
    "empty text": '""',
    "text": '"text"',
    "Text": '"Text"',
    "smile": '"\\ud83d\\ude00"',
    "list": "[1, 2]",
    "list reversed": "[2, 1]",
    "list longer": "[1, 2, 3]",
    "list of text": '["text"]',
    "empty list": "[]",
    "object": '{"a": 1, "b": [true]}',
    "object more": '{"a": 1, "b": [true], "c": null}',
    "empty object": "{}",
    "operators": '{"$gt": 1}',
    "2**53": str(2**53),
    "2**53+1": str(2**53 + 1),
    "googol": str(10**100),
    "1e300": "1e300",
    "1e-300": "1e-300",
}
NUMBERS = ["3", "3.0", "300e-2", "10", "-0.5", "0.1", "0", "2**53", "2**53+1", "googol", "1e300", "1e-300"]
EVERYTHING = list(STORED)
THREES = ["3", "3.0", "300e-2"]
SOMEWHERE = ["no such key", "NULL", "an array"]

FOUND: dict[str, tuple[Any, list[str]]] = {
    "an int": (3, THREES),
    "a float": (3.0, THREES),
    "$eq": ({"$eq": 3}, THREES),
    "a decimal fraction": (0.1, ["0.1"]),
    "minus zero": (-0.0, ["0"]),
    "beyond a float": (2**53 + 1, ["2**53+1"]),
    "as large as a float": (float(2**53), ["2**53"]),
    "huge int": (10**100, ["googol"]),
    "huge float": (1e100, ["googol"]),
    "text of digits": ("3", ["text 3"]),
    "text": ("text", ["text"]),
    "emoji": ("😀", ["smile"]),
    "empty text": ("", ["empty text"]),
    "text with quotes": ("' OR true --", []),
    "member of an enum": (SourceType.DOCUMENT, []),
    "true": (True, ["true"]),
    "false": (False, ["false"]),
    "null is a value": (None, ["null"]),
    "list": ([1, 2], ["list"]),
    "tuple": ((1, 2.0), ["list"]),
    "empty list": ([], ["empty list"]),
    "object in another order": ({"b": [True], "a": 1.0}, ["object"]),
    "another kind of mapping": (MappingProxyType({"a": 1, "b": (True,)}), ["object"]),
    "nested mapping": ({"$in": [OrderedDict(a=1, b=[True])]}, ["object"]),
    "empty object": ({}, ["empty object"]),
    "object of operators": ({"$eq": {"$gt": 1}}, ["operators"]),
    "$in": ({"$in": [3, "text", None, [2, 1], {"a": 1}]}, [*THREES, "text", "null", "list reversed"]),
    "$in a set": ({"$in": {"text", "Text"}}, ["text", "Text"]),
    "$in keys": ({"$in": {"text": 1}.keys()}, ["text"]),
    "$in nothing": ({"$in": []}, []),
    "$exists": ({"$exists": True}, EVERYTHING),
    "not $exists": ({"$exists": False}, SOMEWHERE),
    "$ne": ({"$ne": 3}, [name for name in [*EVERYTHING, *SOMEWHERE] if name not in THREES]),
    "$ne null": ({"$ne": None}, [name for name in [*EVERYTHING, *SOMEWHERE] if name != "null"]),
    "$ne of what is there": ({"$ne": "text", "$exists": True}, [name for name in EVERYTHING if name != "text"]),
    "$ne an object": ({"$ne": {"b": [True], "a": 1}, "$in": [{"a": 1, "b": [True]}, {}]}, ["empty object"]),
    "$nin": ({"$nin": [3, "text"]}, [name for name in [*EVERYTHING, *SOMEWHERE] if name not in [*THREES, "text"]]),
    "$nin nothing": ({"$nin": []}, [*EVERYTHING, *SOMEWHERE]),
    "$contains": ({"$contains": 1.0}, ["list", "list reversed", "list longer"]),
    "$contains text": ({"$contains": "text"}, ["list of text"]),
    "$contains a part of a text": ({"$contains": "tex"}, []),
    "$contains a key": ({"$contains": "a"}, []),
    "$contains a list": ({"$contains": [1, 2]}, []),
    "$contains_any": ({"$contains_any": [3, "text"]}, ["list longer", "list of text"]),
    "$contains_any of nothing": ({"$contains_any": []}, []),
    "$contains_all": ({"$contains_all": [2, 1, 1]}, ["list", "list reversed", "list longer"]),
    "$contains_all of a set": ({"$contains_all": {1, 2, 3}}, ["list longer"]),
    "$contains_all of nothing": (
        {"$contains_all": []},
        ["list", "list reversed", "list longer", "list of text", "empty list"],
    ),
    "an object with a key that looks like an operator": ({"$eq": {"gte": 2}}, []),
    "$gt": ({"$gt": 3}, ["10", "2**53", "2**53+1", "googol", "1e300"]),
    "$gte": ({"$gte": 3.0}, [*THREES, "10", "2**53", "2**53+1", "googol", "1e300"]),
    "$lt": ({"$lt": 0.1}, ["-0.5", "0", "1e-300"]),
    "$lte": ({"$lte": 0.1}, ["-0.5", "0.1", "0", "1e-300"]),
    "only numbers are compared": ({"$gt": -(10**200)}, NUMBERS),
    "compared exactly": ({"$gt": 2**53}, ["2**53+1", "googol", "1e300"]),
    "a range": ({"$gte": 3, "$lt": 10}, THREES),
    "an empty range": ({"$gt": 3, "$lt": 3}, []),
    "operators together": ({"$in": [3, 10, "text"], "$gt": 3, "$exists": True, "$eq": 10.0}, ["10"]),
    "not there and equal": ({"$exists": False, "$eq": 3}, []),
    "not there and less": ({"$exists": False, "$lt": 3}, []),
}
REFUSED: dict[str, tuple[Any, str]] = {
    "unknown operator": ({"v": {"$regex": "x"}}, "metadata.v"),
    "almost an operator": ({"v": {"$GT": 1}}, "metadata.v"),
    "our own operator": ({"v": {"time $gt": 1, "$gt": 1}}, "metadata.v"),
    "operators and keys": ({"v": {"$gt": 1, "a": 1}}, "metadata.v"),
    "just a dollar": ({"v": {"$": 1}}, "metadata.v"),
    "$exists with a number": ({"v": {"$exists": 1}}, "metadata.v"),
    "$exists with None": ({"v": {"$exists": None}}, "metadata.v"),
    "an operator without its dollar": ({"v": {"gte": 2}}, "metadata.v"),
    "an operator without its dollar beside a key": ({"v": {"a": 1, "in": [2]}}, "metadata.v"),
    "an operator in capitals": ({"v": {"GTE": 2}}, "metadata.v"),
    "an operator as Django writes it": ({"v": {"__gte": 2}}, "metadata.v"),
    "an operator with a blank before it": ({"v": {" $gte": 2}}, "metadata.v"),
    "an operator as a sign": ({"v": {">=": 2}}, "metadata.v"),
    "an operator of another store": ({"v": {"contains": "a"}}, "metadata.v"),
    "an operator instead of a key": ({"$gte": 2}, "metadata.$gte"),
    "$or, which there is not": ({"$or": [{"v": 1}, {"v": 2}]}, "metadata.$or"),
    "$not, which there is not": ({"v": {"$not": 3}}, "metadata.v"),
    "$nin with text": ({"v": {"$nin": "text"}}, "metadata.v"),
    "$contains_any with text": ({"v": {"$contains_any": "text"}}, "metadata.v"),
    "$contains with a datetime": ({"v": {"$contains": datetime(2024, 1, 1, tzinfo=UTC)}}, "metadata.v"),
    "$ne with NaN": ({"v": {"$ne": float("nan")}}, "metadata.v"),
    "$in with text": ({"v": {"$in": "text"}}, "metadata.v"),
    "$in with bytes": ({"v": {"$in": b"text"}}, "metadata.v"),
    "$in with a dict": ({"v": {"$in": {"a": 1}}}, "metadata.v"),
    "$in with a number": ({"v": {"$in": 3}}, "metadata.v"),
    "$in with an iterator": ({"v": {"$in": iter([3])}}, "metadata.v"),
    "$in with a set in it": ({"v": {"$in": [3, {3}]}}, "metadata.v[1]"),
    "$gt with text": ({"v": {"$gt": "3"}}, "metadata.v"),
    "$gt with True": ({"v": {"$gt": True}}, "metadata.v"),
    "$gt with None": ({"v": {"$gt": None}}, "metadata.v"),
    "$gt with a date": ({"v": {"$gt": datetime(2024, 1, 1, tzinfo=UTC).date()}}, "metadata.v"),
    "$lte with a list": ({"v": {"$lte": [1]}}, "metadata.v"),
    "$lt with NaN": ({"v": {"$lt": float("nan")}}, "metadata.v"),
    "$gte with a naive datetime": ({"v": {"$gte": datetime(2024, 1, 1)}}, "metadata.v"),
    "$gte with too early a datetime": (
        {"v": {"$gte": datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))}},
        "metadata.v",
    ),
    "infinity": ({"v": float("inf")}, "metadata.v"),
    "infinity inside": ({"v": {"a": [float("inf")]}}, "metadata.v.a[0]"),
    "a datetime": ({"v": datetime(2024, 1, 1, tzinfo=UTC)}, "metadata.v"),
    "a set": ({"v": {1}}, "metadata.v"),
    "bytes": ({"v": b"text"}, "metadata.v"),
    "a key inside": ({"v": {1: 2}}, "metadata.v"),
    "NUL": ({"v": "a\x00"}, "metadata.v"),
    "lone surrogate": ({"v": ["\ud800"]}, "metadata.v[0]"),
    "too many digits": ({"v": 10**5000}, "metadata.v"),
    "key of another type": ({3: 3}, "metadata"),
    "NUL in a key": ({"\x00": 3}, "metadata (a key)"),
    "a list": ([], "metadata"),
    "pairs": ([("v", 3)], "metadata"),
    "text": ("", "metadata"),
    "zero": (0, "metadata"),
}
KEYS = [
    "it's",
    'a "quoted" one',
    "a.b",
    "$.v",
    "$v",
    "a..b",
    ".",
    "a->>b",
    "größe",
    "😀",
    "",
    " ",
    "v'; --",
    "{v}",
    "\\",
    "0",
    "%s",
    "?",
]


@pytest.fixture(scope="module")
def stored_url(server_url: str, template: str) -> Iterator[str]:
    with copied_database(server_url, template) as url:
        memories: dict[str, str | None] = {name: f'{{"v": {text}, "n": 1}}' for name, text in STORED.items()}
        memories |= {"no such key": "{}", "NULL": None, "an array": '["v"]'}
        asyncio.run(insert_metadata(url, memories))
        yield url


@pytest.fixture
async def stored(stored_url: str) -> AsyncIterator[None]:
    async with connect(stored_url, check_schema=False):
        yield


@pytest.mark.parametrize(("wanted", "expected"), FOUND.values(), ids=FOUND)
async def test_what_a_condition_finds(stored: None, wanted: Any, expected: list[str]) -> None:
    async with tenant_scope("acme"):
        assert await found_by({"v": wanted}) == set(expected)
        assert await found_by({"n": 1, "v": wanted}) == set(expected) - set(SOMEWHERE)
        assert await found_by({"n": 2, "v": wanted}) == set()
        assert await count(metadata={"v": wanted}) == len(expected)


@pytest.mark.parametrize(("metadata", "field"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused(stored: None, metadata: Any, field: str) -> None:
    async with tenant_scope("acme"):
        for read in (find, count, forget_where):
            with pytest.raises(InvalidInputError) as caught:
                await read(metadata=metadata)
            assert caught.value.field == field
        assert await count() == len(STORED) + len(SOMEWHERE)


async def test_an_unknown_operator_names_those_that_there_are(stored: None) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError, match=r"\$eq, \$in, \$exists, \$gt, \$gte, \$lt, \$lte"):
            await find(metadata={"v": {"$near": 3}})


def test_no_message_shows_a_value() -> None:
    for metadata in ({"v": {"$gt": "swordfish"}}, {"v": {"$exists": "swordfish"}}, {"v": {"$in": "swordfish"}}):
        with pytest.raises(InvalidInputError) as caught:
            condition_arguments("acme", {"metadata": metadata})
        assert "swordfish" not in str(caught.value)


class Operator(str, Enum):  # noqa: UP042 - whose text, other than a StrEnum's, is not its value
    """Operators, as a caller may name them."""

    GT, NE, IN, NEAR = "$gt", "$ne", "$in", "$near"


async def test_operators_may_be_members_of_an_enum(stored: None) -> None:
    async with tenant_scope("acme"):
        greater = await found_by(metadata={"v": {Operator.GT: 3}})
        assert greater == await found_by(metadata={"v": {"$gt": 3}})
        assert "10" in greater
        assert await found_by(metadata={"v": {Operator.IN: [3], "$gt": 2}}) == set(THREES)
        assert await found_by(metadata={"v": {Operator.NE: 3}}) == await found_by(metadata={"v": {"$ne": 3}})
        with pytest.raises(InvalidInputError, match="unknown operator"):
            await find(metadata={"v": {Operator.NEAR: 3}})


async def test_a_key_may_be_any_text(database: str) -> None:
    async with tenant_scope("acme"):
        await store(*({"content_text": repr(key), "metadata": {key: number}} for number, key in enumerate(KEYS)))

        for number, key in enumerate(KEYS):
            assert await found_by({key: number}) == await found_by({key: {"$exists": True}}) == {repr(key)}


NESTED = {
    "author": {"name": "Ann", "born": {"year": 1950}},
    "tags": ["red", {"shade": "dark"}],
    "a.b": 1,
    "a": {"b": 2},
}
PATHS: dict[str, dict[str, Any]] = {
    "a key of an object": {"author.name": "Ann"},
    "deeper": {"author.born.year": {"$gte": 1950, "$lt": 1951}},
    "an object": {"author.born": {"year": 1950.0}},
    "an item of a list": {"tags.0": "red"},
    "the last item": {"tags.-1": {"$exists": True}},
    "into an item": {"tags.1.shade": {"$in": ["light", "dark"]}},
    "is not there": {"author.name.first": {"$exists": False}},
    "not equal": {"author.name": {"$ne": "Bob"}, "author.nobody": {"$ne": "Ann"}},
    "the key with the dot comes first": {"a.b": 1},
}


@pytest.mark.parametrize("conditions", PATHS.values(), ids=PATHS)
async def test_dots_lead_into_nested_metadata(database: str, conditions: dict[str, Any]) -> None:
    async with tenant_scope("acme"):
        other = {"author": {"name": "Bob"}, "author name": "Ann", "a": {"b": 1, "c": 2}}
        await store({"content_text": "nested", "metadata": NESTED}, {"content_text": "other", "metadata": other})
        await store({"content_text": "none", "metadata": None}, {"content_text": "text", "metadata": {"author": "Ann"}})
        found = await found_by(conditions)
        assert "nested" in found
        assert found <= ({"nested", "other"} if "a.b" in conditions else {"nested", "none", "text"} | {"other"})
        assert await found_by(conditions | {"author.name": "Ann"}) == ({"nested"} if found else set())
        assert await found_by({"a.c": 2}) == {"other"}
        assert await found_by({"author": "Ann"}) == {"text"}


@pytest.mark.parametrize("agents", [["agent-1", "agent-3"], ("agent-3", "agent-1"), {"agent-1", "agent-3"}])
async def test_one_agent_or_several(database: str, agents: Any) -> None:
    async with tenant_scope("acme"):
        await store(*({"content_text": f"text {n}", "agent_id": f"agent-{n}"} for n in range(5)))
        assert set(texts_of((await find(agent_id=agents)).memories)) == {"text 1", "text 3"}
        assert await count(agent_id=agents) == 2
        assert await count(agent_id=["agent-4"]) == await count(agent_id="agent-4") == 1
        assert await count(agent_id=[]) == 0
        assert await forget_where(agent_id=agents) == 2
        assert await count() == 3
        for refused in (["agent-1", ""], ["agent-1", 5], 5, ["\x00"]):
            with pytest.raises(InvalidInputError) as caught:
                await find(agent_id=refused)  # type: ignore[arg-type]
            assert caught.value.field == "agent_id"


async def test_as_many_conditions_as_there_are_keys(database: str) -> None:
    metadata = {f"key {number}": number for number in range(300)}
    async with tenant_scope("acme"):
        await store({"content_text": "many", "metadata": metadata}, {"content_text": "few", "metadata": {"key 1": 1}})

        assert await found_by(metadata) == {"many"}
