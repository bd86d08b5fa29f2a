"""Finding and counting the newest memories by every condition but those on the metadata."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeAlias

import pytest

from memory_guild.database.connecting import connect
from memory_guild.errors import InvalidInputError
from memory_guild.memories.reading import count, find
from memory_guild.memories.storing import remember
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import tenant_scope
from memory_guild.types import SourceType
from tests.databases import copied_database
from tests.memories.reading import all_texts, statements_of, texts_of

Case: TypeAlias = tuple[dict[str, Any], str]

# One letter each, the newest first in the alphabet; "f" is forgotten, "u" of an unknown state, "z" without a time.
LETTERS = """
INSERT INTO memory_records
    (content_text, content_hash, agent_id, tenant_id, source_type, created_at, is_deleted, metadata)
SELECT letter, md5(letter), agent, tenant, source, created_at::timestamptz, is_deleted, metadata::jsonb
FROM (VALUES
    ('a', 'scribe', 'acme', 'document', '2024-05-04 12:00:00.000001+00', false, '{"page": 1}'),
    ('b', 'scribe', 'acme', 'tool_output', '2024-05-04 12:00+00', false, '{"page": 2}'),
    ('c', 'archivist', 'acme', 'document', '2024-05-03 12:00+00', false, '{"page": 2}'),
    ('d', 'archivist', 'acme', 'conversation', '2024-05-02 12:00+00', false, '{}'),
    ('f', 'scribe', 'acme', 'document', '2024-05-01 12:00+00', true, '{"page": 1}'),
    ('u', 'scribe', 'acme', 'document', '2024-04-30 12:00+00', NULL, NULL),
    ('z', 'scribe', 'acme', 'document', NULL, false, '{"page": 1}'),
    ('s', 'scribe', 'bolt', 'document', '2024-05-04 12:00+00', false, '{"page": 1}')
) AS letters (letter, agent, tenant, source, created_at, is_deleted, metadata)
"""
NOON = datetime(2024, 5, 4, 12, tzinfo=UTC)
BERLIN = timezone(timedelta(hours=2))

CASES: dict[str, Case] = {
    "none": ({}, "abcduz"),
    "agent": ({"agent_id": "scribe"}, "abuz"),
    "unknown agent": ({"agent_id": "nobody"}, ""),
    "agent in another case": ({"agent_id": "Scribe"}, ""),
    "no agent": ({"agent_id": None}, "abcduz"),
    "source": ({"source_type": "tool_output"}, "b"),
    "source as member": ({"source_type": SourceType.CONVERSATION}, "d"),
    "sources": ({"source_type": ["tool_output", SourceType.CONVERSATION]}, "bd"),
    "sources as set": ({"source_type": {"tool_output", "external"}}, "b"),
    "no source at all": ({"source_type": []}, ""),
    "any source": ({"source_type": None}, "abcduz"),
    "from": ({"created_from": NOON}, "ab"),
    "from, elsewhere": ({"created_from": NOON.astimezone(BERLIN)}, "ab"),
    "before": ({"created_before": NOON}, "cdu"),
    "from and before": ({"created_from": NOON - timedelta(days=1), "created_before": NOON}, "c"),
    "an empty time": ({"created_from": NOON, "created_before": NOON}, ""),
    "any time": ({"created_from": datetime.min.replace(tzinfo=UTC)}, "abcdu"),
    "metadata": ({"metadata": {"page": 1}}, "az"),
    "no metadata": ({"metadata": None}, "abcduz"),
    "empty metadata": ({"metadata": {}}, "abcduz"),
    "with the forgotten": ({"include_forgotten": True}, "abcdfuz"),
    "without the forgotten": ({"include_forgotten": False}, "abcduz"),
    "agent and source": ({"agent_id": "scribe", "source_type": "document"}, "auz"),
    "all of them": (
        {
            "agent_id": "scribe",
            "source_type": ["document", "tool_output"],
            "created_from": NOON - timedelta(days=3),
            "created_before": NOON + timedelta(microseconds=1),
            "metadata": {"page": {"$in": [1, 2]}},
            "include_forgotten": True,
        },
        "bf",
    ),
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown condition": ({"agent": "scribe"}, "agent"),
    "another tenant": ({"tenant_id": "bolt"}, "tenant_id"),
    "unknown with None": ({"content_text": None}, "content_text"),
    "empty agent": ({"agent_id": ""}, "agent_id"),
    "long agent": ({"agent_id": "a" * 256}, "agent_id"),
    "NUL in the agent": ({"agent_id": "a\x00"}, "agent_id"),
    "agent of another type": ({"agent_id": 5}, "agent_id"),
    "unknown source": ({"source_type": "rumour"}, "source_type"),
    "one source unknown": ({"source_type": ["document", "rumour"]}, "source_type"),
    "None among sources": ({"source_type": ["document", None]}, "source_type"),
    "source of another type": ({"source_type": 5}, "source_type"),
    "naive from": ({"created_from": datetime(2024, 1, 1)}, "created_from"),
    "naive before": ({"created_before": datetime(2024, 1, 1)}, "created_before"),
    "text for a time": ({"created_from": "2024-01-01T00:00:00Z"}, "created_from"),
    "number for a time": ({"created_before": 5}, "created_before"),
    "before the year 1": ({"created_from": datetime.min.replace(tzinfo=BERLIN)}, "created_from"),
    "after the year 9999": (
        {"created_before": datetime.max.replace(tzinfo=timezone(-timedelta(hours=2)))},
        "created_before",
    ),
    "list for metadata": ({"metadata": []}, "metadata"),
    "text for metadata": ({"metadata": ""}, "metadata"),
}


@pytest.fixture(scope="module")
def letters_url(server_url: str, template: str) -> Iterator[str]:
    with copied_database(server_url, template, LETTERS) as url:
        yield url


@pytest.fixture
async def letters(letters_url: str) -> AsyncIterator[None]:
    async with connect(letters_url, check_schema=False):
        yield


@pytest.mark.parametrize(("conditions", "expected"), CASES.values(), ids=CASES)
async def test_find_find_all_and_count_agree_on_each_condition(
    letters: None, conditions: dict[str, Any], expected: str
) -> None:
    async with tenant_scope("acme"):
        page = await find(**conditions)

        assert "".join(texts_of(page.memories)) == expected
        assert page.next_cursor is None
        assert "".join(await all_texts(**conditions)) == expected
        assert await count(**conditions) == len(expected)


@pytest.mark.parametrize(("conditions", "field"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_a_condition_is_refused(letters: None, conditions: dict[str, Any], field: str) -> None:
    async with tenant_scope("acme") as scope, statements_of(scope) as sent:
        for read in (find, all_texts, count):
            with pytest.raises(InvalidInputError) as caught:
                await read(**conditions)
            assert caught.value.field == field

    assert sent == []


async def test_an_unknown_condition_names_those_that_there_are(letters: None) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError, match=r"agent_id, source_type, created_from, .*include_forgotten"):
            await count(agent="scribe")  # type: ignore[call-arg]


async def test_the_scopes_agent_is_not_assumed(letters: None) -> None:
    async with tenant_scope("acme", "archivist"):
        assert await count() == 6
        assert await count(agent_id="archivist") == 2


async def test_memories_of_one_moment_are_ordered_by_id(database: str) -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    async with tenant_scope("acme", "agent-1"):
        await MemoryRecord.bulk_create(
            [MemoryRecord(content_text=str(n), source_type="document", created_at=moment) for n in range(20)]
        )
        expected = sorted((memory.memory_id for memory in await MemoryRecord.all()), reverse=True)

        assert [memory.memory_id for memory in (await find()).memories] == expected


async def test_what_one_scope_stores_is_found_in_its_order(database: str) -> None:
    async with tenant_scope("acme", "agent-1"):
        for n in range(10):
            await remember(str(n), source_type="document")

        assert texts_of((await find()).memories) == [str(n) for n in range(9, -1, -1)]


@pytest.mark.parametrize("limit", [1, 2, 6])
async def test_a_limit_bounds_the_page(letters: None, limit: int) -> None:
    async with tenant_scope("acme"):
        page = await find(limit=limit)

    assert "".join(texts_of(page.memories)) == "abcduz"[:limit]
    assert (page.next_cursor is None) == (limit == 6)


@pytest.mark.parametrize("limit", [0, -1, 10_001, 1.0, "5", None, True])
async def test_a_limit_that_cannot_be_is_refused(letters: None, limit: Any) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError, match="from 1 to 10,000") as caught:
            await find(limit=limit)

    assert caught.value.field == "limit"


async def test_the_largest_page_and_an_exact_count(database: str, connection: Any) -> None:
    await connection.execute(
        "INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash)"
        " SELECT 'agent-1', 'acme', 'document', n, md5(n::text) FROM generate_series(1, 10001) AS n"
    )
    async with tenant_scope("acme"):
        page = await find(limit=10_000)

        assert len({memory.memory_id for memory in page.memories}) == 10_000
        assert len((await find(limit=10_000, cursor=page.next_cursor)).memories) == 1
        assert await count() == 10_001


async def test_by_default_a_page_has_fifty(database: str) -> None:
    async with tenant_scope("acme", "agent-1"):
        await MemoryRecord.bulk_create([MemoryRecord(content_text=str(n), source_type="document") for n in range(51)])

        assert len((await find()).memories) == 50


async def test_a_tenant_without_memories_has_none(letters: None) -> None:
    async with tenant_scope("nobody"):
        page = await find()
        assert (page, page.next_cursor) == ([], None)
        assert await all_texts() == []
        assert await count() == 0


BAD_CURSORS: list[Any] = [
    "",
    "x",
    "no cursor",
    "AAAA",
    "é",
    5,
    b"",
    base64.urlsafe_b64encode(b"7 bytes" + bytes(16)).decode(),
    base64.urlsafe_b64encode(bytes(25)).decode(),
    base64.urlsafe_b64encode(bytes(15)).decode(),
    base64.urlsafe_b64encode(b"\x7f" + bytes(23)).decode(),
    base64.urlsafe_b64encode(b"\x80" + bytes(23)).decode(),
    "'; DROP TABLE memory_records; --",
]


@pytest.mark.parametrize("cursor", BAD_CURSORS)
async def test_what_is_no_cursor_is_refused(letters: None, cursor: Any) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError, match="next_cursor") as caught:
            await find(cursor=cursor)

    assert caught.value.field == "cursor"


async def test_a_cursor_whose_end_is_cut_off_or_repeated_is_refused(letters: None) -> None:
    async with tenant_scope("acme"):
        cursor = (await find(limit=1)).next_cursor
        assert cursor is not None
        for tampered in (cursor[:-1], cursor[:-4], cursor[4:], cursor + cursor, cursor.replace("A", "!")):
            with pytest.raises(InvalidInputError):
                await find(cursor=tampered)
