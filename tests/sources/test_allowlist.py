"""The allowlist: who changes it, what it refuses, and what the verbs then store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import memory_guild as guild
from memory_guild.errors import (
    ConstraintError,
    DuplicateNameError,
    InactiveSourceError,
    InvalidInputError,
    ScopeError,
    SourceRequiredError,
    UnknownSourceError,
)
from memory_guild.models import DataSource
from memory_guild.tenancy import admin_scope, tenant_scope

TEXTS = [{"content_text": f"text {number}", "source_type": "external"} for number in range(5)]


async def test_register_again_with_the_same_values_changes_nothing(database: str) -> None:
    async with admin_scope("test"):
        first = await guild.sources.register("crm", source_type="api", source_uri="https://crm", metadata={"trust": 1})
        assert await guild.sources.deactivate("crm")
        again = await guild.sources.register(
            "crm", source_type="api", source_uri="https://crm", metadata={"trust": 1.0}
        )
        assert again.source_id == first.source_id
        assert again.is_active is False
        assert [source.source_name for source in await guild.sources.list_all()] == ["crm"]


@pytest.mark.parametrize(
    "other", [{"source_type": "manual"}, {"source_uri": "https://elsewhere"}, {"metadata": {"trust": 0.1}}]
)
async def test_register_with_other_values_is_refused(two_sources: str, other: dict[str, Any]) -> None:
    async with admin_scope("test"):
        with pytest.raises(DuplicateNameError, match="'crm' is registered already"):
            await guild.sources.register("crm", **{"source_type": "api", "metadata": {"trust": 0.8}, **other})
        await guild.sources.register("crm", source_type="api", metadata={"trust": 0.8})


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"source_type": "rumor"},
        {"is_active": "yes"},
        *({"metadata": {"trust": trust}} for trust in (-0.1, 1.1, True, "high", float("nan"))),
        {"metadata": {"quarantine": "yes"}},
        {"metadata": {"quarantine": None}},
        {"metadata": []},
    ],
    ids=repr,
)
async def test_register_refuses_values_that_mean_nothing(database: str, wrong: dict[str, Any]) -> None:
    async with admin_scope("test"):
        with pytest.raises(InvalidInputError) as refused:
            await guild.sources.register(**{"name": "crm", "source_type": "api", **wrong})
        assert refused.value.field.split(".")[0] in wrong
        assert await guild.sources.list_all() == []


async def test_activity_is_changed_and_read(two_sources: str) -> None:
    async with admin_scope("test"):
        assert await guild.sources.deactivate("crm")
        assert not await guild.sources.deactivate("crm")
    async with tenant_scope("acme", agent_id="scribe"):
        assert not await guild.sources.is_active("crm")
        assert await guild.sources.is_active("feed")
        with pytest.raises(InactiveSourceError, match="'crm' is not active"):
            await guild.remember("text", source_type="external", source="crm")
        with pytest.raises(InactiveSourceError):
            await guild.remember_many(TEXTS, source="crm")
        assert await guild.count() == 0
    async with admin_scope("test"):
        assert await guild.sources.activate("crm")
    async with tenant_scope("acme", agent_id="scribe"):
        assert (await guild.remember("text", source_type="external", source="crm")).outcome == "created"


CALLS: dict[str, Callable[[], Awaitable[object]]] = {
    "register": lambda: guild.sources.register("crm", source_type="api"),
    "update": lambda: guild.sources.update("crm", metadata={}),
    "activate": lambda: guild.sources.activate("crm"),
    "deactivate": lambda: guild.sources.deactivate("crm"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_tenant_cannot_change_the_allowlist(two_sources: str, call: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(ScopeError, match="admin_scope"):
        await call()
    async with tenant_scope("acme"):
        with pytest.raises(ScopeError, match="admin_scope"):
            await call()


async def test_a_misspelt_source_is_told_with_the_nearest_name(two_sources: str) -> None:
    async with tenant_scope("acme", agent_id="scribe"):
        for storing in (
            guild.remember("text", source_type="external", source="crn"),
            guild.remember_many(TEXTS, source="crn"),
            guild.sources.is_active("crn"),
            guild.sources.release("crn"),
        ):
            with pytest.raises(UnknownSourceError) as refused:
                await storing
            assert (refused.value.source, refused.value.nearest) == ("crn", "crm")
        with pytest.raises(UnknownSourceError) as refused:
            await guild.remember("text", source_type="external", source="CRM")
        assert refused.value.nearest == "crm"
        with pytest.raises(UnknownSourceError) as refused:
            await guild.remember("text", source_type="external", source="weather")
        assert refused.value.nearest is None
        assert await guild.count() == 0


async def test_a_misspelt_source_in_a_condition_is_told_too_and_nothing_changes(two_sources: str) -> None:
    async def all_found(**conditions: Any) -> list[guild.MemoryRecord]:
        return [memory async for memory in guild.find_all(**conditions)]

    verbs: list[Callable[..., Awaitable[object]]] = [
        *(guild.find, guild.count, all_found, guild.forget_where, guild.erase_where)
    ]
    async with tenant_scope("acme", agent_id="scribe"):
        await guild.remember("text", source_type="external", source="crm")
        for verb in verbs:
            for names in ("crn", ["crm", "crn"]):
                with pytest.raises(UnknownSourceError) as refused:
                    await verb(source=names)
                assert (refused.value.source, refused.value.nearest) == ("crn", "crm")
        assert await guild.count(source="crm") == 1


async def test_storing_without_a_source_is_refused_where_sources_must_be_named(
    two_sources: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_SOURCES", "named")
    async with tenant_scope("acme", agent_id="scribe"):
        with pytest.raises(SourceRequiredError) as refused:
            await guild.remember("text", source_type="external")
        assert refused.value.field == "source"
        with pytest.raises(SourceRequiredError):
            await guild.remember_many(TEXTS)
        assert await guild.count() == 0
        await guild.remember("text", source_type="external", source="crm")


async def test_what_came_from_a_source_is_found_counted_and_forgotten(two_sources: str) -> None:
    async with tenant_scope("bolt", agent_id="scribe"):
        await guild.remember_many(TEXTS, source="crm")
    async with tenant_scope("acme", agent_id="scribe"):
        await guild.remember_many([{**text, "metadata": {"source": "crm"}} for text in TEXTS])
        one = await guild.remember("from the crm", source_type="external", source="crm")
        assert await guild.find(source="crm") == [one.memory]
        assert [memory async for memory in guild.find_all(source=["crm", "feed"])] == [one.memory]
        assert await guild.count(min_trust=0.8) == 1
        assert await guild.count(min_trust=0.81) == 0
        assert await guild.count(source="feed") == 0
        assert await guild.forget_where(source="crm") == 1
        assert await guild.count() == len(TEXTS)
        assert await guild.count(source="crm", include_forgotten=True) == 1
    async with tenant_scope("bolt"):
        assert await guild.count(source="crm") == len(TEXTS)


@pytest.mark.parametrize("trust", [-1, 2, True, "0.5", float("nan")])
async def test_a_trust_that_means_nothing_is_refused(two_sources: str, trust: Any) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError, match="min_trust"):
            await guild.count(min_trust=trust)


async def test_a_memory_keeps_the_source_that_it_came_from(two_sources: str) -> None:
    async with admin_scope("test"):
        await guild.sources.register("wiki", source_type="api")
    async with tenant_scope("acme", agent_id="scribe"):
        memory = await guild.remember("text", source_type="external", source="crm")
        for again in (None, "wiki", "feed"):
            assert (await guild.remember("text", source_type="external", source=again)).outcome == "existing"
        assert await guild.find(source="crm") == [memory.memory]
        await guild.forget(memory)
        assert (await guild.remember("text", source_type="external", source="wiki")).outcome == "restored"
        assert (await guild.count(source="crm"), await guild.count(source="wiki")) == (0, 1)


async def test_a_quarantined_source_does_not_change_what_is_there(two_sources: str) -> None:
    async with tenant_scope("acme", agent_id="scribe"):
        known = await guild.remember("known", source_type="external", metadata={"kept": True})
        gone = await guild.remember("gone", source_type="external")
        await guild.forget(gone)
        bad: dict[str, Any] = {"source_type": "external", "metadata": {"kept": False}}
        for name in ("known", "gone"):
            result = await guild.remember(name, **bad, source="feed", on_existing="replace")
            assert result.outcome == "existing"
            report = await guild.remember_many(
                [{"content_text": name, **bad}], source="feed", on_existing="merge", on_forgotten="restore"
            )
            assert report.existing == 1
        assert (await guild.get(known)).metadata == {"kept": True}
        assert (await guild.get(gone, include_forgotten=True)).is_deleted


async def test_the_time_of_the_last_ingestion_moves_and_nobody_waits_for_it(two_sources: str) -> None:
    all_have_stored = asyncio.Barrier(5)

    async def store(name: str) -> None:
        async with tenant_scope("acme", agent_id="scribe"):
            await guild.remember(name, source_type="external", source="crm")
            await all_have_stored.wait()  # while all are open

    async with asyncio.timeout(20):
        await asyncio.gather(*(store(f"text {number}") for number in range(5)))
    async with admin_scope("test"):
        assert (await DataSource.get(source_name="crm")).last_ingestion_at is not None
        assert (await DataSource.get(source_name="feed")).last_ingestion_at is None


async def test_the_time_of_the_last_ingestion_moves_with_what_is_restored_and_not_with_a_release(
    two_sources: str,
) -> None:
    async with tenant_scope("acme", agent_id="scribe"):
        await guild.forget(await guild.remember("text", source_type="external", source="crm"))
        await guild.remember("text", source_type="external", source="feed")
        await guild.remember("held", source_type="external", source="feed")
    before = {source.source_name: source.last_ingestion_at for source in await sources_now()}
    await asyncio.sleep(0.15)
    async with tenant_scope("acme", agent_id="scribe"):
        assert (await guild.remember("text", source_type="external", source="crm")).outcome == "restored"
        assert await guild.sources.release("feed") == 1
    after = {source.source_name: source.last_ingestion_at for source in await sources_now()}
    assert before["crm"] is not None
    assert after["crm"] is not None
    assert before["crm"] < after["crm"]
    assert before["feed"] == after["feed"]


async def test_a_source_that_memories_came_from_is_not_deleted_and_the_error_says_so(two_sources: str) -> None:
    async with tenant_scope("acme", agent_id="scribe"):
        await guild.remember("text", source_type="external", source="crm")
    with pytest.raises(ConstraintError, match="memories came from the data source") as refused:
        async with admin_scope("test"):
            await DataSource.filter(source_name="crm").delete()
    assert type(refused.value) is ConstraintError
    async with admin_scope("test"):
        assert await DataSource.filter(source_name="feed").delete() == 1


async def sources_now() -> list[DataSource]:
    async with admin_scope("test"):
        return await guild.sources.list_all()
