from __future__ import annotations

import asyncio
import random
from typing import Any, TypeAlias

import asyncpg
import pytest

from memory_guild import tenancy
from memory_guild.errors import InvalidInputError, TenantMismatchError, TransactionConflictError
from memory_guild.memories.drafts import Item
from memory_guild.memories.report import ItemOutcome, StoreReport
from memory_guild.memories.storing import remember, remember_many
from memory_guild.models import MemoryRecord, hash_content
from memory_guild.serializers import MemoryRecordCreate
from memory_guild.tenancy import tenant_scope
from memory_guild.types import SourceType, StoreOutcome

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


def memory(text: str, **changed: Any) -> dict[str, Any]:
    return {"agent_id": "scribe", "source_type": "document", "content_text": text, "metadata": {}} | changed


async def store(items: list[Item], tenant_id: str = "acme") -> StoreReport:
    async with tenant_scope(tenant_id):
        return await remember_many(items)


async def count(connection: Connection) -> int:
    number: int = await connection.fetchval("SELECT count(*) FROM memory_records")
    return number


class TestStoring:
    async def test_every_column_arrives(self, database: str) -> None:
        text = "héllo 'wörld' \U0001f40d\r\n\\x00 \ufeff"
        (outcome,) = await store([memory(text, metadata={"a": [1, None, "ü"]})])
        async with tenant_scope("acme"):
            record = await MemoryRecord.get(memory_id=outcome.memory_id)
        assert outcome.outcome is StoreOutcome.CREATED
        assert (record.agent_id, record.tenant_id, record.source_type) == ("scribe", "acme", SourceType.DOCUMENT)
        assert (record.content_text, record.content_hash) == (text, hash_content(text))
        assert record.metadata == {"a": [1, None, "ü"]}
        assert (record.is_deleted, record.deleted_at) == (False, None)
        assert record.created_at is not None
        assert record.created_at == record.updated_at

    async def test_many_at_once_arrive_as_few_do(self, database: str) -> None:
        """Many go another way than few."""
        odd = [
            "tab\t",
            "line\nfeed\r\n",
            "back\\slash \\N \\.",
            "quote\"'",
            "",
            "\x01\x7f",
            "\U0001f40d",
            "null",
            "NULL",
        ]
        items: list[Item] = [
            memory(f"{number} {odd[number % len(odd)]}", metadata={odd[number % 9]: odd}) for number in range(3000)
        ]
        report = await store(items)
        async with tenant_scope("acme"):
            records = {record.memory_id: record for record in await MemoryRecord.all()}
        assert report.created == len(records) == 3000
        for item, outcome in zip(items, report, strict=True):
            assert outcome.memory_id
            record = records[outcome.memory_id]
            assert isinstance(item, dict)
            assert (record.content_text, record.metadata) == (item["content_text"], item["metadata"])
            assert record.content_hash == hash_content(record.content_text)

    async def test_where_no_temporary_table_may_be_made_many_arrive_too(
        self, database: str, connection: Connection
    ) -> None:
        name = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
        assert (await store([memory(f"text {number}") for number in range(2000)])).created == 2000
        assert await count(connection) == 2000

    async def test_takes_dicts_and_serializers_in_one_batch(self, database: str) -> None:
        serializer = MemoryRecordCreate(**memory("two", tenant_id="acme", content_hash=hash_content("two")))
        report = await store([memory("one"), serializer])
        assert [outcome.outcome for outcome in report] == ["created", "created"]
        async with tenant_scope("acme"):
            texts = [(await MemoryRecord.get(memory_id=outcome.memory_id)).content_text for outcome in report]
        assert texts == ["one", "two"]

    async def test_metadata_may_be_missing_or_none(self, database: str) -> None:
        item = memory("one")
        del item["metadata"]
        report = await store([item, memory("two", metadata=None)])
        async with tenant_scope("acme"):
            for outcome in report:
                assert (await MemoryRecord.get(memory_id=outcome.memory_id)).metadata == {}

    async def test_an_empty_batch_and_an_empty_text(self, database: str) -> None:
        assert list(await store([])) == []
        assert (await store([memory("")])).created == 1

    async def test_the_same_text_twice_in_a_batch_is_created_once(self, database: str, connection: Connection) -> None:
        one, two, one_again, one_more = await store([memory(text) for text in ("one", "two", "one", "one")])
        assert (one.outcome, two.outcome) == ("created", "created")
        assert one_again == one_more == ItemOutcome(StoreOutcome.EXISTING, one.memory_id, None)
        assert await count(connection) == 2

    async def test_agents_and_tenants_keep_their_own_copies(self, database: str, connection: Connection) -> None:
        for tenant_id in ("y", "x", "z"):
            items: list[Item] = [memory("one", agent_id=agent) for agent in "ab"]
            for item, outcome in zip(items, await store(items, tenant_id), strict=True):
                owner = await connection.fetchrow(
                    "SELECT agent_id, tenant_id FROM memory_records WHERE memory_id = $1", outcome.memory_id
                )
                assert owner is not None
                assert isinstance(item, dict)
                assert tuple(owner) == (item["agent_id"], tenant_id)
        assert await count(connection) == 6

    async def test_outcomes_are_in_the_order_of_the_items(self, database: str, connection: Connection) -> None:
        chosen = random.Random(7)
        items = [memory(f"text {chosen.randrange(2000)}", agent_id=chosen.choice("abc")) for _ in range(10_000)]
        await store([*items[3000:5000]])
        report = await store([*items])
        assert report.created + report.existing == 10_000
        await check_ids(connection, items, report)

    async def test_inside_an_open_scope_it_is_a_part_of_it(self, database: str, connection: Connection) -> None:
        with pytest.raises(ZeroDivisionError):
            async with tenant_scope("acme"):
                await remember_many([memory("one")])
                with pytest.raises(InvalidInputError):
                    await remember_many([memory("two"), memory("three", agent_id="")])
                await remember_many([memory("four")])
                assert await MemoryRecord.all().count() == 2
                raise ZeroDivisionError
        assert await count(connection) == 0

    async def test_inside_another_tenants_scope_nothing_is_stored(self, database: str, connection: Connection) -> None:
        with pytest.raises(TenantMismatchError):
            await store([memory("one", tenant_id="acme")], "umbrella")
        assert await count(connection) == 0


async def check_ids(connection: Connection, items: list[dict[str, Any]], report: StoreReport) -> None:
    rows = await connection.fetch("SELECT agent_id, content_text, memory_id FROM memory_records")
    ids = {(row["agent_id"], row["content_text"]): row["memory_id"] for row in rows}
    assert len(ids) == len(rows)
    assert [outcome.memory_id for outcome in report] == [ids[item["agent_id"], item["content_text"]] for item in items]


class TestConcurrency:
    async def test_overlapping_batches_in_every_order(self, database: str, connection: Connection) -> None:
        """Unsorted, most of these would deadlock; with the lookup in the same statement, many would lose ids."""
        texts = [memory(f"text {number}", agent_id=f"agent {number % 3}") for number in range(300)]

        async def store_some(seed: int) -> tuple[list[dict[str, Any]], StoreReport]:
            batch = random.Random(seed).sample(texts, 250)
            return batch, await store([*batch])

        results = await asyncio.gather(*(store_some(seed) for seed in range(20)))
        for batch, report in results:
            await check_ids(connection, batch, report)
        assert sum(report.created for _, report in results) == await count(connection) == 300


SWALLOW = """
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER swallow BEFORE INSERT ON memory_records FOR EACH ROW EXECUTE FUNCTION swallow()
"""


async def test_a_trigger_that_swallows_rows_is_an_error_and_no_endless_loop(
    database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenancy, "_LONGEST_FIRST_PAUSE_SECONDS", 0.0)
    await connection.execute(SWALLOW)
    with pytest.raises(TransactionConflictError, match="were deleted at the same time"):
        await store([memory("one")])
    async with tenant_scope("acme", "scribe"):
        with pytest.raises(TransactionConflictError, match="stored and deleted by others all the time"):
            await remember("one", source_type="document")
