"""The search's own tables keep tenants apart as the five tables do."""

from __future__ import annotations

from uuid import UUID

import asyncpg
import pytest

import memory_guild as guild
from memory_guild.database.scope import current_scope
from memory_guild.errors import MemoryGuildError
from tests.search.words import Connection

_COLUMNS = "tenant_id, memory_id, lexemes, pivot, is_question, names_time, starts, is_forgotten, is_complete, words"
WORDS = f"memory_words ({_COLUMNS})"
SECRETS = [
    "SELECT * FROM memory_words WHERE tenant_id = 'umbrella'",
    "SELECT * FROM memory_words, unnest(lexemes) WHERE lexeme LIKE 'xyl%'",
    "SELECT * FROM memory_word_counts WHERE tenant_id = 'umbrella'",
    "UPDATE memory_words SET lexemes = '' WHERE tenant_id = 'umbrella' RETURNING 1",
    "DELETE FROM memory_words WHERE tenant_id <> 'acme' RETURNING 1",
    "DELETE FROM memory_word_counts WHERE tenant_id <> 'acme' RETURNING 1",
    "SELECT memory_guild_recount_words('umbrella') FROM memory_words WHERE tenant_id = 'umbrella'",
]
REFUSED = [
    *(f"SELECT * FROM memory_words_{number}" for number in range(8)),
    f"INSERT INTO {WORDS} SELECT 'umbrella', gen_random_uuid(), '', 1, false, false, true, false, true, words"
    " FROM memory_words",
    "UPDATE memory_words SET tenant_id = 'umbrella'",
    "INSERT INTO memory_word_counts VALUES ('umbrella', 5, 5)",
    "TRUNCATE memory_words",
]


STORE_WORDS = f"""
INSERT INTO {WORDS} VALUES ('acme', $1, 'xylophon:1', 1, false, false, true, false, true, '{{1:1}}/536870912')
RETURNING tenant_id
"""


@pytest.fixture
async def strangers(search: str, past_scopes: Connection) -> list[asyncpg.Record]:
    """Another tenant's words, and one memory of our own."""
    async with guild.tenant_scope("umbrella", agent_id="spy"):
        await guild.remember_many(
            {"content_text": f"xylophone {number}", "source_type": "document"} for number in range(30)
        )
    async with guild.tenant_scope("acme", agent_id="scribe"):
        await guild.remember("A door.", source_type="document")
    return await everything(past_scopes)


async def everything(connection: Connection) -> list[asyncpg.Record]:
    """The other tenant's rows, as they are."""
    return await connection.fetch(
        "SELECT tenant_id, memory_id::text, lexemes::text, words::text FROM memory_words WHERE tenant_id = 'umbrella'"
        " UNION ALL"
        " SELECT tenant_id, word::text, memories::text, '' FROM memory_word_counts WHERE tenant_id = 'umbrella'"
        " ORDER BY 1, 2"
    )


@pytest.mark.parametrize("statement", SECRETS)
async def test_plain_sql_sees_and_changes_no_strangers_words(
    strangers: list[asyncpg.Record], past_scopes: Connection, statement: str
) -> None:
    async with guild.tenant_scope("acme"):
        assert await current_scope().transaction.execute_query_dict(statement) == []
    assert await everything(past_scopes) == strangers


@pytest.mark.parametrize("statement", REFUSED)
async def test_plain_sql_cannot_write_a_strangers_words(
    strangers: list[asyncpg.Record], past_scopes: Connection, statement: str
) -> None:
    with pytest.raises((MemoryGuildError, asyncpg.PostgresError)):
        async with guild.tenant_scope("acme"):
            await current_scope().transaction.execute_query_dict(statement)
    assert await everything(past_scopes) == strangers


async def test_a_refresh_that_names_a_stranger_changes_nothing(
    strangers: list[asyncpg.Record], past_scopes: Connection
) -> None:
    ids = [row["memory_id"] for row in strangers if len(row["memory_id"]) == 36]
    async with guild.tenant_scope("acme"):
        run = current_scope().transaction.execute_query_dict
        await run("SELECT memory_guild_own_words($1::uuid[])", [ids])
        await run("SELECT memory_guild_refresh_words('umbrella', $1::uuid[], '{}', '{}')", [ids])
        await run("SELECT memory_guild_refresh_words('acme', $1::uuid[], '{}', '{}')", [ids])
        assert list(await guild.recall("xylophone")) == []
    assert await everything(past_scopes) == strangers


async def test_nobody_finds_out_whether_another_tenant_has_an_id(
    strangers: list[asyncpg.Record], past_scopes: Connection
) -> None:
    theirs = await past_scopes.fetchval("SELECT memory_id FROM memory_words WHERE tenant_id = 'umbrella' LIMIT 1")
    outcomes = []
    for memory_id in (theirs, UUID(int=5)):
        async with guild.tenant_scope("acme"):
            run = current_scope().transaction.execute_query_dict
            outcomes.append(await run(STORE_WORDS, [memory_id]))
            assert len(await guild.recall("xylophone door")) == 1
    assert outcomes[0] == outcomes[1]
    assert await everything(past_scopes) == strangers


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE memory_words NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE memory_word_counts DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant_isolation ON memory_words",
        "CREATE POLICY everybody ON memory_word_counts USING (true)",
        "GRANT TRUNCATE ON memory_words TO memory_guild_app",
        "ALTER TABLE memory_vectors NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant_isolation ON memory_vectors",
        "DROP TRIGGER memory_guild_vector_guard ON memory_vectors",
        "ALTER TABLE memory_own_vectors NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant_isolation ON memory_vector_models",
        "ALTER TABLE memory_vector_outbox NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant_isolation ON memory_vector_outbox",
    ],
)
async def test_the_doctor_looks_at_the_searchs_tables_too(
    search_url: str, past_scopes: Connection, change: str
) -> None:
    assert not [finding for finding in await guild.schema.doctor(search_url) if finding.level == "broken"]
    await past_scopes.execute(change)
    (broken,) = (finding for finding in await guild.schema.doctor(search_url) if finding.level == "broken")
    assert any(name in broken.detail for name in ("memory_word", "memory_vector", "memory_own_vectors"))


async def test_upgrade_gives_the_roles_again_what_they_lack_on_the_searchs_tables(
    search_url: str, past_scopes: Connection
) -> None:
    await past_scopes.execute(
        "REVOKE ALL ON memory_words FROM memory_guild_app; REVOKE ALL ON memory_word_counts FROM memory_guild_admin;"
        " DROP POLICY maintenance ON memory_words; REVOKE INSERT ON memory_vectors FROM memory_guild_app;"
        " REVOKE ALL ON memory_vector_outbox, memory_vector_indexes FROM memory_guild_app"
    )
    mended: list[str] = []
    assert await guild.upgrade(search_url, granted=mended.append) == []
    assert [statement.partition(" USING")[0] for statement in mended] == [
        "CREATE POLICY maintenance ON public.memory_words AS PERMISSIVE FOR ALL TO memory_guild_admin",
        "GRANT DELETE, INSERT, SELECT, UPDATE ON TABLE public.memory_vector_outbox TO memory_guild_app",
        "GRANT DELETE, INSERT, SELECT, UPDATE ON TABLE public.memory_word_counts TO memory_guild_admin",
        "GRANT DELETE, INSERT, SELECT, UPDATE ON TABLE public.memory_words TO memory_guild_app",
        "GRANT INSERT ON TABLE public.memory_vectors TO memory_guild_app",
        "GRANT SELECT ON TABLE public.memory_vector_indexes TO memory_guild_app",
    ]
    assert (await guild.schema.validate(search_url)).differences == ()


@pytest.mark.parametrize("sealed_first", [True, False])
async def test_in_a_sealed_database_no_statement_sees_strangers_words(
    database_url: str, has_vectors: bool, monkeypatch: pytest.MonkeyPatch, *, sealed_first: bool
) -> None:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    if not sealed_first:
        await guild.upgrade(database_url, search=True)
    monkeypatch.setenv("MEMORY_GUILD_SEAL_KEY", await guild.schema.seal(database_url))
    if sealed_first:
        await guild.upgrade(database_url, search=True)
    async with guild.connect(database_url):
        async with guild.tenant_scope("umbrella", agent_id="spy"):
            await guild.remember("xylophone", source_type="document")
        async with guild.tenant_scope("acme", agent_id="scribe"):
            await guild.remember("a door", source_type="document")
            run = current_scope().transaction.execute_query_dict
            await run("SELECT set_config('memory_guild.tenant_id', 'umbrella', true)")
            assert await run("SELECT * FROM memory_words") == []
            assert await run("SELECT * FROM memory_word_counts") == []
        async with guild.tenant_scope("acme", agent_id="scribe"):
            (door,) = await guild.recall("xylophone doors")
            await guild.update(door, content_text="a window")
            (window,) = await guild.recall("windows and doors")
            assert window.own_words == ("window",)
            await guild.forget(window)
            assert await guild.recall("windows") == []
    assert (await guild.schema.validate(database_url)).differences == ()
    await guild.schema.unseal(database_url)
    monkeypatch.delenv("MEMORY_GUILD_SEAL_KEY")
    assert (await guild.schema.validate(database_url)).differences == ()
    async with guild.connect(database_url), guild.tenant_scope("umbrella"):
        assert len(await guild.recall("xylophones")) == 1
