"""Streams of thousands of items: they are sent with COPY if the role may create a temporary table, else as arrays."""

from __future__ import annotations

import random

import pytest

from memory_guild import remember_many, tenant_scope
from memory_guild.memories.drafts import Item
from memory_guild.models import MemoryRecord, hash_content
from tests.memories.storing import Connection, assert_ids_are_those_stored, item

ODD_TEXTS = ["tab\t", "line\nfeed\r\n", "back\\slash \\N \\.", "quote\"'", "", "\x01\x7f", "\U0001f40d", "null", "NULL"]


@pytest.mark.parametrize("may_stage", [True, False])
async def test_every_text_arrives_as_it_is(database: str, connection: Connection, may_stage: bool) -> None:
    if not may_stage:
        name = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
    items = [
        item(f"{number} {ODD_TEXTS[number % 9]}", metadata={ODD_TEXTS[number % 9]: ODD_TEXTS}) for number in range(3000)
    ]
    async with tenant_scope("acme"):
        report = await remember_many(items)
        records = {record.memory_id: record for record in await MemoryRecord.all()}

    assert report.created == len(records) == 3000
    for given, outcome in zip(items, report, strict=True):
        assert outcome.memory_id
        record = records[outcome.memory_id]
        assert (record.content_text, record.metadata) == (given["content_text"], given["metadata"])
        assert record.content_hash == hash_content(record.content_text)


async def test_each_item_gets_the_id_of_its_memory(shared_database: str, superuser: Connection) -> None:
    """Some exist before, and many occur several times."""
    chosen = random.Random(7)
    items: list[Item] = [
        item(f"text {chosen.randrange(2000)}", agent_id=chosen.choice(["a", "b", "c"])) for _ in range(10_000)
    ]
    async with tenant_scope("acme"):
        await remember_many(items[3000:5000])
        report = await remember_many(items)

    assert report.created + report.existing == 10_000
    await assert_ids_are_those_stored(superuser, items, report)
