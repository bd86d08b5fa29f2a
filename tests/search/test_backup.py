"""A dump has the search's tables, and a database restored from it recalls as before."""

from __future__ import annotations

import os
from uuid import UUID

import pytest

import memory_guild as guild
from memory_guild.schema.health import doctor
from memory_guild.schema.validation import validate
from memory_guild.search.recalling import RecalledMemories
from tests.tenancy.logins import AGENT, connected, login
from tests.tenancy.pgbouncer import address_of
from tests.tenancy.server_programs import program, run

SEARCH_ROWS = """
SELECT string_agg(row_text, ' ' ORDER BY row_text) FROM (
    SELECT words::text FROM memory_words AS words
    UNION ALL SELECT counts::text FROM memory_word_counts AS counts
    UNION ALL SELECT vectors::text FROM memory_vectors AS vectors
) AS rows (row_text)
"""


def scores(results: RecalledMemories) -> list[tuple[UUID, float]]:
    return [(result.memory_id, result.score) for result in results]


async def test_a_restored_database_recalls_by_words_and_vectors_as_before(search: str, empty_database_url: str) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        question = await guild.remember("Who painted the door?", source_type="conversation")
        answer = await guild.remember("Melanie did.", source_type="conversation")
        await guild.relate(answer, question, "follows")
        await guild.embeddings.attach([(answer, [1, 0]), (question, [0.6, 0.8])], model="mine")
        before = scores(await guild.recall("a painted door", vector=[1, 0], model="mine"))
    async with guild.tenant_scope("bolt", agent_id="scribe"):
        await guild.remember("The door of bolt is painted.", source_type="conversation")
    async with connected(search) as connection:
        rows = await connection.fetchval(SEARCH_ROWS)
        version = connection.get_server_version().major
    pg_dump, pg_restore = program("pg_dump", version), program("pg_restore", version)
    if pg_dump is None or pg_restore is None:
        assert "CI" not in os.environ, f"pg_dump {version} is not installed"
        pytest.skip(f"pg_dump {version} is not installed")

    dump = await run(pg_dump, search, "--format=custom")
    options = ("--dbname", address_of(empty_database_url).database, "--exit-on-error", "--single-transaction")
    restored = await run(pg_restore, empty_database_url, *options, given=dump.output)

    assert (dump.code, restored.code, restored.errors) == (0, 0, "")
    assert (await validate(empty_database_url)).differences == ()
    assert [finding for finding in await doctor(empty_database_url) if finding.level == "broken"] == []
    async with connected(empty_database_url) as connection:
        assert await connection.fetchval(SEARCH_ROWS) == rows
    async with (
        login(empty_database_url, AGENT) as url,
        guild.connect(url),
        guild.tenant_scope("acme", agent_id="scribe"),
    ):
        assert scores(await guild.recall("a painted door", vector=[1, 0], model="mine")) == before
        await guild.forget(question)
        assert "door" not in str([found.neighbor_words for found in await guild.recall("a painted door")])
