"""Words are read in the language that the database has chosen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest
from typer.testing import CliRunner

import memory_guild as guild
from memory_guild.cli import app
from memory_guild.errors import InvalidInputError
from tests.memories.reading import texts_of
from tests.search.words import Connection, assert_vectors_are_true
from tests.tenancy.logins import AGENT, login

pytestmark = pytest.mark.long

HOUSE = "Am Rand der Stadt steht ein altes Haus."
PARTY = "Am letzten Dienstag haben wir dort gefeiert."
QUESTION = "Wann wart ihr in den Häusern?"
TEXTS = [HOUSE, PARTY, QUESTION, "Über Bäume und Vögel."]


@pytest.fixture
async def chosen_url(search_url: str) -> AsyncIterator[str]:
    """A database whose language a test may choose; it is English again afterwards."""
    yield search_url
    connection = await asyncpg.connect(search_url)
    await connection.execute("DELETE FROM memory_records")
    await connection.close()
    await guild.upgrade(search_url, search=True, text_search="english")


async def store_german(tenant: str = "acme") -> None:
    """Some German memories: an answer that follows a question, and more."""
    async with guild.tenant_scope(tenant, agent_id="scribe"):
        report = await guild.remember_many(
            {"content_text": text, "source_type": "conversation", "created_at": datetime(2026, 12, 5, tzinfo=UTC)}
            for text in TEXTS
        )
        await guild.relate(report[1], report[2], "follows")


async def test_german_memories_are_recalled_in_german(chosen_url: str, past_scopes: Connection) -> None:
    assert await guild.upgrade(chosen_url, text_search="german") == []
    async with guild.connect(chosen_url):
        await store_german("umbrella")
        await store_german()
        async with guild.tenant_scope("acme"):
            houses = await guild.recall("die Häuser")
            assert texts_of([result.memory for result in houses])[0] == HOUSE
            assert {result.content_text for result in houses} == {HOUSE, PARTY, QUESTION}
            by_text = {result.content_text: result for result in await guild.recall("Wann war es im Haus?")}
            assert by_text[HOUSE].own_words == ("haus",)
            assert "time" not in by_text[HOUSE].flags
            assert by_text[PARTY].flags["time"] == 0.1
            assert by_text[QUESTION].flags == {"question": -0.15, "beginning": 0.1}
            assert "time" not in {flag for result in houses for flag in result.flags}
            assert texts_of(await guild.find(text="häusern -wann")) == [HOUSE]
            assert texts_of(await guild.find(text="baum vogel")) == [TEXTS[3]]
            assert len(await guild.recall("im Dezember")) == len(TEXTS)
            assert list(await guild.recall("der die das")) == []
    await assert_vectors_are_true(past_scopes, "acme", "german")
    assert (await guild.schema.validate(chosen_url)).differences == ()


async def test_a_change_indexes_all_memories_anew(chosen_url: str, past_scopes: Connection) -> None:
    async with guild.connect(chosen_url):
        await store_german()
        await store_german("umbrella")
        async with guild.tenant_scope("acme"):
            gone, *_ = await guild.find(text="Vögel")
            await guild.forget(gone)
            assert texts_of([result.memory for result in await guild.recall("Häuser")]) == []
        for language in ("german", "simple", "german"):
            counted: list[int] = []
            await guild.upgrade(chosen_url, search=True, text_search=language, progress=counted.append)
            assert counted == [2 * len(TEXTS)] * len(counted) != []
            for tenant in ("acme", "umbrella"):
                await assert_vectors_are_true(past_scopes, tenant, language)
            assert (await guild.schema.validate(chosen_url)).differences == ()
        async with guild.tenant_scope("acme"):
            assert (await guild.recall("Häuser"))[0].content_text == HOUSE


async def test_a_language_without_patterns_has_words_and_no_flags_of_time(
    chosen_url: str, past_scopes: Connection
) -> None:
    await guild.upgrade(chosen_url, search=True, text_search="simple")
    async with guild.connect(chosen_url), guild.tenant_scope("acme", agent_id="scribe"):
        await guild.remember("Yesterday we met the dogs.", source_type="conversation")
        (result,) = await guild.recall("When did we meet the dogs?")
        assert result.flags == {"beginning": 0.1}
        assert result.own_words == ("dogs", "the", "we")
        assert list(await guild.recall("dog")) == []
    await assert_vectors_are_true(past_scopes, "acme", "simple")


async def test_an_interrupted_change_goes_on(
    chosen_url: str, past_scopes: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with guild.connect(chosen_url):
        await store_german()

        async def interrupted(*_: object) -> None:
            raise asyncio.CancelledError

        with monkeypatch.context() as patch, pytest.raises(asyncio.CancelledError):
            patch.setattr("memory_guild.schema.migrating._index_words", interrupted)
            await guild.upgrade(chosen_url, search=True, text_search="german")
        async with guild.tenant_scope("acme", agent_id="scribe"):
            (old,) = await guild.recall("Stadt")
            assert old.content_text == HOUSE
            await guild.remember("Neue Häuser.", source_type="document")
            (new,) = await guild.recall("Haus", source_type="document")
            assert new.content_text == "Neue Häuser."
        await guild.upgrade(chosen_url, search=True)
        await assert_vectors_are_true(past_scopes, "acme", "german")


async def test_who_writes_during_a_change_is_waited_for(chosen_url: str, past_scopes: Connection) -> None:
    """A memory whose words were made with the old language is never left behind."""
    async with guild.connect(chosen_url):
        async with guild.tenant_scope("acme", agent_id="scribe"):
            await guild.remember(HOUSE, source_type="document")
            changing = asyncio.create_task(guild.upgrade(chosen_url, search=True, text_search="german"))
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'memory_words'::regclass"
            while not await past_scopes.fetchval(waiting):  # noqa: ASYNC110 - another process waits
                await asyncio.sleep(0.01)
            await guild.remember(PARTY, source_type="document")
        await changing
        await assert_vectors_are_true(past_scopes, "acme", "german")


async def test_an_unknown_language_is_refused_with_those_that_there_are(search_url: str) -> None:
    for unknown in ("klingon", "", "pg_catalog.klingon", "german; --", "a.b.c.d", "a\0b"):
        with pytest.raises(InvalidInputError, match=r"english.*german.*simple") as refused:
            await guild.upgrade(search_url, search=True, text_search=unknown)
        assert refused.value.field == "text_search"


async def test_a_language_is_refused_where_there_is_no_search(database_url: str) -> None:
    with pytest.raises(InvalidInputError, match="search=True"):
        await guild.upgrade(database_url, text_search="german")


async def test_the_setting_and_the_command_choose_it(
    chosen_url: str, past_scopes: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", chosen_url)
    text_search = "SELECT memory_guild_text_search()::text"
    run = ["upgrade", "--search", "--text-search", "pg_catalog.german"]
    assert (await asyncio.to_thread(CliRunner().invoke, app, run)).exit_code == 0
    assert await past_scopes.fetchval(text_search) == "german"
    await guild.upgrade(chosen_url, search=True)
    assert await past_scopes.fetchval(text_search) == "german"
    monkeypatch.setenv("MEMORY_GUILD_TEXT_SEARCH", "simple")
    await guild.upgrade(chosen_url)
    assert await past_scopes.fetchval(text_search) == "simple"


async def test_agents_cannot_change_it(search_url: str) -> None:
    async with login(search_url, AGENT) as url:
        connection = await asyncpg.connect(url)
        for statement in (
            "CREATE OR REPLACE FUNCTION memory_guild_text_search() RETURNS regconfig LANGUAGE sql IMMUTABLE"
            " AS $$ SELECT 'pg_catalog.german'::regconfig $$",
            "DROP FUNCTION memory_guild_text_search()",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
        await connection.execute("SET memory_guild.text_search = 'german'")
        assert await connection.fetchval("SELECT memory_guild_text_search()::text") == "english"
        await connection.close()
