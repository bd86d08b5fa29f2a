"""Rows that go in other ways than by a verb lend nothing any more, and leave nothing.

Where the tables belong to a login without privileges, what a delete cascades to runs as that login, without a tenant.
"""

from __future__ import annotations

import pytest

import memory_guild as guild
from tests.search.words import Connection
from tests.tenancy.logins import MAINTAINER, connected, login, user_of

OWNED = """
SELECT oid::regclass::text FROM pg_class
WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace AND relowner <> to_regrole($1)
"""
SAID = "SELECT lexemes::text || words::text FROM memory_words WHERE NOT is_forgotten ORDER BY 1"
MEANT = "SELECT round((embedding::vector::real[])[1]::numeric, 2)::float FROM memory_vectors WHERE is_current"


@pytest.mark.parametrize("role", ["memory_guild_admin", "superuser"])
async def test_what_is_deleted_without_a_tenant_lends_nothing_whoever_owns_the_tables(
    search: str, past_scopes: Connection, role: str
) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        question = await guild.remember("Where is the pottery?", source_type="conversation")
        answer = await guild.remember("Downtown.", source_type="conversation")
        await guild.embeddings.attach([(question, [1, 0]), (answer, [0, 1])], model="mine")
    alone = await past_scopes.fetch(SAID)
    async with guild.tenant_scope("acme"):
        await guild.relate(answer, question, "follows")
    assert await past_scopes.fetch(SAID) != alone
    async with login(search, "") as owner:
        for row in await past_scopes.fetch(OWNED, user_of(owner)):
            await past_scopes.execute(f"ALTER TABLE {row[0]} OWNER TO {user_of(owner)}")
        delete = f"DELETE FROM memory_records WHERE memory_id = '{question.memory_id}'"
        if role == "superuser":
            await past_scopes.execute(delete)
        else:
            async with login(search, MAINTAINER) as maintainer, connected(maintainer) as connection:
                await connection.execute(f"SET ROLE memory_guild_admin; {delete}")
        for row in await past_scopes.fetch(OWNED, "postgres"):
            await past_scopes.execute(f"ALTER TABLE {row[0]} OWNER TO CURRENT_USER")
    (left,) = await past_scopes.fetch(SAID)
    assert left in alone
    assert await past_scopes.fetchval(MEANT) == 0
    assert await past_scopes.fetchval("SELECT count(*) FROM memory_own_vectors") == 1


@pytest.mark.parametrize(
    ("truncate", "left"),
    [("TRUNCATE memory_records CASCADE", []), ("TRUNCATE memory_vectors", ["memory_word_counts", "memory_words"])],
)
async def test_what_is_truncated_leaves_nothing_of_it(
    search: str, past_scopes: Connection, truncate: str, left: list[str]
) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        question = await guild.remember("Where is the pottery?", source_type="conversation")
        await guild.embeddings.attach([(question, [1, 0])], model="mine")
    await past_scopes.execute("SELECT memory_guild_recount_words('acme')")
    await past_scopes.execute(truncate)
    tables = ("memory_own_vectors", "memory_vector_models", "memory_vectors", "memory_word_counts", "memory_words")
    counts = {table: await past_scopes.fetchval(f"SELECT count(*) FROM {table}") for table in tables}
    assert [table for table, count in counts.items() if count] == left
