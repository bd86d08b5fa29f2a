"""The condition on words, in every verb that takes conditions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

import memory_guild as guild
from memory_guild.database.statements import Statement
from memory_guild.errors import InvalidInputError, MemoryGuildError, SearchNotInstalledError
from memory_guild.memories.conditions import condition_arguments
from memory_guild.types import WORDS_MAX_BYTES
from tests.memories.reading import Undone, all_texts, texts_of
from tests.search.words import Connection

TIMEOUT = "pgbouncer reports a timeout."
TIMEOUTS = "Timeouts of pgbouncer, in November."
DOOR = "The pgbouncer at the door."
TEXTS = (TIMEOUT, TIMEOUTS, DOOR, "Nothing of it.", "It's 'quoted' \\ twice: \\'")


@pytest.fixture
async def stored(search: str) -> AsyncIterator[None]:
    """Memories of two tenants, in a scope of the first; all are of November 2026."""
    for tenant in ("umbrella", "acme"):
        async with guild.tenant_scope(tenant, agent_id="scribe"):
            await guild.remember_many(
                {
                    "content_text": text if tenant == "acme" else f"{text} Umbrella.",
                    "source_type": "document",
                    "created_at": datetime(2026, 11, 5, tzinfo=UTC),
                }
                for text in TEXTS
            )
    async with guild.tenant_scope("acme", agent_id="reader"):
        yield


FOUND = {
    "pgbouncer timeout": {TIMEOUT, TIMEOUTS},
    "TIMEOUT": {TIMEOUT, TIMEOUTS},
    '"pgbouncer reports"': {TIMEOUT},
    "reports the timeout": {TIMEOUT},
    "pgbouncer -timeout": {DOOR},
    "door or november": {DOOR, TIMEOUTS},
    "-pgbouncer": set(TEXTS[3:]),
    "pgbouncer -november": {TIMEOUT, DOOR},
    "-november": set(TEXTS) - {TIMEOUTS},
    "2026": set(),
    "pgbouncer 2026": set(),
    "umbrella": set(),
    "the": set(),
    "-the": set(),
    "?!": set(),
    "it's quoted": {TEXTS[4]},
    "\\ 'quoted' \\": {TEXTS[4]},
    "x" * 5000: set(),
}


async def test_words_are_found_in_the_text_alone(stored: None) -> None:
    """Not in the date, in neighbors or in what another tenant said."""
    for text, found in FOUND.items():
        with pytest.raises(Undone):
            async with guild.tenant_scope("acme"):
                assert set(texts_of(await guild.find(text=text))) == found, text
                assert set(await all_texts(text=text)) == found, text
                assert await guild.count(text=text) == len(found), text
                assert await guild.forget_where(text=text) == len(found), text
                assert set(await all_texts()) == set(TEXTS) - found, text
                raise Undone


async def test_the_text_joins_the_other_conditions(stored: None) -> None:
    await guild.remember("An external timeout of pgbouncer", source_type="external", metadata={"page": 3})
    assert await guild.count(text="timeout", source_type="document") == 2
    assert await guild.count(text="timeout", metadata={"page": {"$gt": 2}}) == 1
    assert await guild.count(text="timeout", metadata={"page": {"$gt": 3}}) == 0
    assert await guild.count(text="timeout", created_before=datetime(2026, 11, 5, tzinfo=UTC)) == 0
    page = await guild.find(text="pgbouncer", limit=1)
    texts = texts_of(page)
    while page.next_cursor is not None:
        page = await guild.find(text="pgbouncer", limit=1, cursor=page.next_cursor)
        texts += texts_of(page)
    assert texts == texts_of(await guild.find(text="pgbouncer")) != []
    assert len(texts) == 4


async def test_recall_is_narrowed_by_a_text(stored: None) -> None:
    results = await guild.recall("pgbouncer", text="timeout")
    assert {result.content_text for result in results} == {TIMEOUT, TIMEOUTS}
    ids = [memory.memory_id for memory in await guild.find(text="-timeout")]
    await guild.embeddings.attach([(memory_id, [1.0, 0.0]) for memory_id in ids], model="m")
    results = await guild.recall("pgbouncer", vector=[1.0, 0.0], model="m", text="door")
    assert [result.content_text for result in results] == [DOOR]


async def test_neighbors_and_forgotten_memories_lend_no_words(stored: None) -> None:
    timeout, nothing = await guild.find(text="reports"), await guild.find(text="nothing")
    await guild.relate(timeout[0], nothing[0], "follows")
    assert len(await guild.recall("reports")) == 2
    assert texts_of(await guild.find(text="reports")) == [TIMEOUT]
    await guild.forget(timeout[0])
    assert await guild.count(text="reports") == 0
    assert await guild.count(text="-door") == 3
    await guild.restore(timeout[0])
    await guild.update(timeout[0], content_text="Now about a window.")
    assert await guild.count(text="reports") == 0
    assert texts_of(await guild.find(text="windows")) == ["Now about a window."]


NO_TEXTS: list[dict[str, Any]] = [
    *({"text": text} for text in ("", " \n", "a\0b", "\ud800", 5, b"x", ["x"], "x" * (WORDS_MAX_BYTES + 1))),
    {"text": "door", "include_forgotten": True},
]


async def test_what_is_no_text_to_look_for_is_refused(stored: None) -> None:
    for conditions in NO_TEXTS:
        with pytest.raises(InvalidInputError) as refused:
            await guild.count(**conditions)
        assert refused.value.field == "text"


async def test_a_very_long_text_is_searched_or_refused(search: str) -> None:
    for text in ("-b or " * 16_000, '"a b" ' * 16_000, "doors " * 16_000, "((!&|<->'" * 9_000, "a " * 50_000):
        with suppress(MemoryGuildError):  # the server's stack may not be deep enough
            async with guild.tenant_scope("acme"):
                assert await guild.count(text=text) == 0


async def test_without_the_search_the_error_says_how_to_install_it(database: str) -> None:
    for verb in (guild.find, guild.count, guild.forget_where):
        with pytest.raises(SearchNotInstalledError, match="--search"):
            async with guild.tenant_scope("acme"):
                await verb(text="door")
    with pytest.raises(SearchNotInstalledError):
        async with guild.tenant_scope("acme"):
            await all_texts(text="door")
    async with guild.tenant_scope("acme"):
        assert list(await guild.find()) == []


TENANTS_OF_ONE_PARTITION = """
SELECT 'tenant-' || n FROM generate_series(1, 1000) AS n
WHERE satisfies_hash_partition('memory_words'::regclass, 8, 0, ('tenant-' || n)::varchar) LIMIT 2
"""


async def test_a_tenants_words_are_found_by_key_among_those_of_a_giant(search: str, past_scopes: Connection) -> None:
    giant, tiny = (row[0] for row in await past_scopes.fetch(TENANTS_OF_ONE_PARTITION))
    for tenant, number in ((giant, 3000), (tiny, 30)):
        async with guild.tenant_scope(tenant, agent_id="scribe"):
            await guild.remember_many(
                {"content_text": f"a door of {tenant} {n}", "source_type": "document"} for n in range(number)
            )
    await past_scopes.execute("ANALYZE memory_records; ANALYZE memory_words")
    replacing = (("memories/matching_memories", "memories/worded_memories"),)
    async with guild.tenant_scope(tiny) as scope:
        explain = f"EXPLAIN (COSTS OFF) {Statement('memories/count_memories', replacing=replacing).text}"
        arguments = condition_arguments(tiny, {"text": "door"})
        plan = "\n".join(row[0] for row in await scope.transaction.session.connection.fetch(explain, *arguments))
        assert "Seq Scan" not in plan, plan
        assert await guild.count(text="door") == 30
