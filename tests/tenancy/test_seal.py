"""Sealed scopes: a statement may be what it likes, it cannot become another tenant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import memory_guild as guild
from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.database.seal import read_seal
from memory_guild.database.session import Session
from memory_guild.errors import InvalidInputError, IsolationError, MemoryGuildError, PermissionDeniedError, SealError
from memory_guild.models import MemoryRecord
from memory_guild.schema import doctor, seal, unseal, validate
from memory_guild.tenancy import admin_scope, tenant_scope
from tests.citus import SpareSchemas
from tests.databases import SpareDatabases, run_statement, spare_databases_prepared
from tests.tenancy.count import COUNT
from tests.tenancy.counting_proxy import counting_proxy
from tests.tenancy.logins import AGENT, connected, login, owner, user_of
from tests.tenancy.outcomes import secrets_in
from tests.tenancy.pgbouncer import PROGRAM, pgbouncer, through
from tests.tenancy.pool import assert_pool_is_clean
from tests.tenancy.worlds import ATTACKER, STRANGER, STRANGERS_ROWS, Witness

ATTEMPTS = (Path(__file__).parent / "sealed.sql").read_text().strip().split("\n\n")[1:]
MOST_TAKE_LONG = [*ATTEMPTS[:10], *(pytest.param(attempt, marks=pytest.mark.long) for attempt in ATTEMPTS[10:])]

KEY = "5e" * 32


@pytest.fixture(scope="module")
def sealed_databases(server_url: str, template: str) -> Iterator[SpareDatabases | SpareSchemas]:
    """Copies of a database that is sealed with the key."""
    with spare_databases_prepared(server_url, template, partial(seal, key=KEY)) as spare:
        yield spare


@pytest.fixture
async def sealed_url(sealed_databases: SpareDatabases | SpareSchemas) -> AsyncIterator[str]:
    """A superuser's URL of the test's own sealed database."""
    url = await sealed_databases.take()
    yield url
    await sealed_databases.give_back(url)


@pytest.fixture
async def agent_url(sealed_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """An agents' login, which has the key."""
    monkeypatch.setenv("MEMORY_GUILD_SEAL_KEY", KEY)
    async with login(sealed_url, AGENT) as url:
        yield url


@pytest.fixture
async def witness(sealed_url: str) -> AsyncIterator[Witness]:
    """The attacker's rows and the strangers'."""
    async with connected(sealed_url) as superuser:
        witness = Witness(superuser)
        await witness.populate(crowded=True)
        yield witness


@pytest.fixture
async def one_connection(agent_url: str, witness: Witness, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Tortoise, connected as agents, by one connection: what one scope leaves there, the next one finds."""
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "1")
    async with connect(agent_url):
        yield


# --- whatever the text -------------------------------------------------------------------------------------------


async def _at_once(connection: Any, text: str) -> list[Any]:
    """As one text in the simple protocol, where only the error can tell anything; then look."""
    await connection.execute(text)
    return await connection.fetch("SELECT * FROM memory_records")  # type: ignore[no-any-return]


async def _one_by_one(connection: Any, text: str) -> list[Any]:
    """Each statement by itself, with its rows."""
    rows = []
    for statement in text.split("; ") if "$$" not in text else [text]:
        rows += await connection.fetch(statement)
    return rows


@pytest.mark.parametrize("send", [_at_once, pytest.param(_one_by_one, marks=pytest.mark.long)])
@pytest.mark.parametrize("attempt", MOST_TAKE_LONG)
async def test_no_text_becomes_another_tenant(one_connection: None, witness: Witness, attempt: str, send: Any) -> None:
    COUNT.operations += 1
    text = attempt.replace("{tenant_id}", STRANGER)
    told: list[str] = []
    with suppress(MemoryGuildError):
        async with tenant_scope(ATTACKER) as scope:
            try:
                told = [str(row) for row in await send(scope.transaction._connection, text)]
            except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                told = [str(error)]

    assert secrets_in("\n".join(told)) == []
    assert await witness.others_are_unchanged()
    # The next scope on this connection is the stranger's: it works, and finds nothing that would tell on it.
    async with tenant_scope(STRANGER) as scope:
        assert (await guild.get(STRANGERS_ROWS.memory_id)).content_text == STRANGERS_ROWS.content_text
        assert await guild.count() > 20
        assert await scope.transaction._connection.fetchval("SELECT count(*) FROM pg_cursors WHERE is_holdable") == 0
    async with tenant_scope(ATTACKER):
        assert {row.tenant_id for row in await MemoryRecord.all()} <= {ATTACKER}
    await assert_pool_is_clean(1)


async def test_the_owners_of_these_attempts_would_get_through_without_a_seal(
    sealed_url: str, agent_url: str, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What proves nothing where it would fail anyway: without the seal the first attempts succeed."""
    await unseal(sealed_url)
    monkeypatch.delenv("MEMORY_GUILD_SEAL_KEY")
    async with connect(agent_url):
        for attempt in ATTEMPTS[:4]:
            async with tenant_scope(ATTACKER) as scope:
                told = await _one_by_one(scope.transaction._connection, attempt.replace("{tenant_id}", STRANGER))
            assert secrets_in(str(told))


# --- openings that somebody has seen -----------------------------------------------------------------------------


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the scopes send to begin."""
    sent: list[str] = []
    control = Session.control

    async def recorded(self: Session, statement: str) -> str:
        if "memory_guild_open" in statement:
            sent.append(next(part for part in statement.split("; ") if "memory_guild_open" in part))
        return await control(self, statement)

    monkeypatch.setattr(Session, "control", recorded)
    return sent


REPLAYS = ("{}", "SELECT memory_guild_challenge(); {}", "DISCARD SEQUENCES; {}", "COMMIT; BEGIN; {}", "RESET ROLE; {}")


@pytest.mark.parametrize("replay", REPLAYS)
async def test_an_opening_opens_once(one_connection: None, witness: Witness, openings: list[str], replay: str) -> None:
    for _ in range(3):
        async with tenant_scope(STRANGER):
            pass
    captured = [one for one in openings if f"'{STRANGER}'" in one]
    assert len(captured) == 3

    for opening in captured:
        with suppress(MemoryGuildError):
            async with tenant_scope(ATTACKER) as scope:
                connection = scope.transaction._connection
                with pytest.raises(asyncpg.PostgresError) as refused:
                    await connection.execute(replay.format(opening))
                assert refused.value.sqlstate in ("MG004", "55000")
    async with tenant_scope(STRANGER):
        assert await guild.count() > 20


async def test_an_opening_opens_no_other_session(
    agent_url: str, sealed_url: str, witness: Witness, openings: list[str]
) -> None:
    """Seen by another connection of the same login while the scope that it opened is still open."""
    async with connect(agent_url), tenant_scope(STRANGER), connected(agent_url) as attacker:
        await attacker.execute("BEGIN")
        await attacker.execute("SELECT memory_guild_challenge(); SAVEPOINT mine")
        with pytest.raises(asyncpg.PostgresError, match="the proof does not open this tenant"):
            await attacker.execute(openings[-1])
        await attacker.execute("ROLLBACK TO mine")
        await attacker.execute(f"SET memory_guild.tenant_id = '{STRANGER}'")
        with suppress(asyncpg.ObjectNotInPrerequisiteStateError):
            assert await attacker.fetch("SELECT * FROM memory_records") == []


async def test_what_was_opened_ends_with_its_transaction(one_connection: None, witness: Witness) -> None:
    """Outside scopes the login's own statements find nothing, also where the last scope was the stranger's."""
    async with tenant_scope(STRANGER):
        assert await guild.count() > 20
    rows = await client().execute_query_dict(
        f"SELECT set_config('memory_guild.tenant_id', '{STRANGER}', false), (SELECT count(*) FROM memory_records) AS n"
    )
    assert rows[0]["n"] == 0


POISON = """
DO $$
DECLARE
    statement record;
BEGIN
    FOR statement IN SELECT name FROM pg_prepared_statements WHERE NOT from_sql LOOP
        EXECUTE format('DEALLOCATE %I', statement.name);
        EXECUTE format('PREPARE %I AS SELECT lo_from_bytea(0, convert_to(string_agg(metadata::text, $1::text), $2))
                        FROM memory_records', statement.name);
    END LOOP;
END $$
"""

PREPARED = "SELECT name FROM pg_prepared_statements WHERE from_sql"


@pytest.mark.parametrize("ending", [None, ZeroDivisionError])
async def test_no_statement_is_left_prepared_for_the_next_tenant(
    one_connection: None, sealed_url: str, ending: type[Exception] | None
) -> None:
    """Under the name of a statement of the driver's it would run in the next scope, and leave there what it read."""
    async with tenant_scope(STRANGER):
        await MemoryRecord.get(memory_id=STRANGERS_ROWS.memory_id)
        await guild.get(STRANGERS_ROWS.memory_id)
    with suppress(ZeroDivisionError):
        async with tenant_scope(ATTACKER) as scope:
            await scope.transaction._connection.execute(POISON)
            if ending is not None:
                raise ending
    async with tenant_scope(STRANGER) as scope:
        assert (await MemoryRecord.get(memory_id=STRANGERS_ROWS.memory_id)).content_text == STRANGERS_ROWS.content_text
        assert (await guild.get(STRANGERS_ROWS.memory_id)).content_text == STRANGERS_ROWS.content_text
        assert not await scope.transaction._connection.fetchval(
            "SELECT count(*) FROM pg_prepared_statements WHERE from_sql"
        )
    await client().execute_query("PREPARE outside AS SELECT 1")
    assert await client().execute_query_dict("SELECT name FROM pg_prepared_statements WHERE from_sql") == []
    async with connected(sealed_url) as superuser:
        assert await superuser.fetchval("SELECT count(*) FROM pg_largeobject_metadata") == 0


# --- scopes go on working ----------------------------------------------------------------------------------------


async def test_scopes_nest_and_their_savepoints_undo(one_connection: None) -> None:
    async with tenant_scope(ATTACKER, agent_id="scribe"):
        before = await guild.count()
        with suppress(ZeroDivisionError):
            async with tenant_scope(ATTACKER):
                await guild.remember("undone", source_type="document")
                assert await guild.count() == before + 1
                raise ZeroDivisionError
        async with tenant_scope(ATTACKER):
            await guild.remember("kept", source_type="document")
        assert await guild.count() == before + 1


@pytest.mark.parametrize(
    "disturbance",
    [
        "DISCARD SEQUENCES",
        "SELECT memory_guild_challenge()",
        "SET search_path = pg_temp",
        "SET TimeZone = 'Asia/Kabul'",
    ],
)
async def test_a_scope_can_be_opened_whatever_the_one_before_did(one_connection: None, disturbance: str) -> None:
    async with tenant_scope(ATTACKER) as scope:
        await scope.transaction._connection.execute(disturbance)
        assert await scope.transaction._connection.fetchval("SELECT 1") == 1
    for _ in range(3):
        async with tenant_scope(STRANGER):
            assert await guild.count() > 20


async def test_a_cancelled_opening_leaves_a_connection_that_opens_the_next(one_connection: None) -> None:
    async def work() -> int:
        async with tenant_scope(STRANGER):
            return await guild.count()

    for turns in range(12):
        task = asyncio.create_task(work())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert await work() > 20


async def test_many_scopes_at_once(agent_url: str, witness: Witness) -> None:
    async def work(tenant_id: str) -> set[str]:
        async with tenant_scope(tenant_id):
            return {row.tenant_id for row in await MemoryRecord.all()}

    async with connect(agent_url):
        found = await asyncio.gather(*(work([ATTACKER, STRANGER][number % 2]) for number in range(60)))
    assert found == [{ATTACKER}, {STRANGER}] * 30


async def test_a_plan_with_workers_sees_the_tenants_rows_alone(one_connection: None, sealed_url: str) -> None:
    async with tenant_scope(STRANGER) as scope:
        connection = scope.transaction._connection
        force = "debug_parallel_query" if connection.get_server_version().major >= 16 else "force_parallel_mode"
        await connection.execute(
            f"SET LOCAL {force} = on; SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL parallel_setup_cost = 0;"
            " SET LOCAL parallel_tuple_cost = 0; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off"
        )
        plan = await connection.fetch("EXPLAIN (ANALYZE, COSTS OFF) SELECT metadata FROM memory_records")
        assert "Gather" in str(plan)
        rows = await connection.fetch("SELECT DISTINCT tenant_id FROM memory_records")
    assert [row["tenant_id"] for row in rows] == [STRANGER]


async def test_admin_scope_needs_no_key(sealed_url: str, witness: Witness) -> None:
    async with login(sealed_url, "IN ROLE memory_guild_admin") as url, connect(url), admin_scope("the test"):
        assert {ATTACKER, STRANGER} < set(await MemoryRecord.all().values_list("tenant_id", flat=True))


NAMING_NO_TENANT = [[], ["SET memory_guild.tenant_id = ''"], ["SET memory_guild.tenant_id = ''", "RESET ALL"]]


@pytest.mark.parametrize("settings", NAMING_NO_TENANT, ids=["never", "empty", "reset"])
async def test_a_session_that_names_no_tenant_works_as_its_role(
    sealed_url: str, witness: Witness, settings: list[str]
) -> None:
    """As a DBA's in psql: the admin sees all tenants, agents see nothing and can store nothing."""
    async with connected(sealed_url) as session:
        for setting in settings:
            await session.execute(setting)
        await session.execute("SET ROLE memory_guild_admin")
        assert await session.fetchval("SELECT count(DISTINCT tenant_id) FROM memory_records") > 1
        await session.execute("UPDATE memory_records SET metadata = '{}'; DELETE FROM memory_relationships")
        await session.execute("SET ROLE memory_guild_app")
        for table in ("memory_records", "memory_embeddings", "memory_relationships"):
            assert await session.fetchval(f"SELECT count(*) FROM {table}") == 0
        with pytest.raises(asyncpg.PostgresError) as refused:
            await session.execute(
                "INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash)"
                f" VALUES ('a', '{STRANGER}', 'document', 'x', md5('x'))"
            )
        assert refused.value.sqlstate == "MG003"


async def test_the_tenant_is_asked_for_once_a_statement(one_connection: None) -> None:
    async with tenant_scope(STRANGER) as scope:
        plan = await scope.transaction._connection.fetch("EXPLAIN SELECT * FROM memory_records WHERE NOT is_deleted")
    assert "InitPlan" in str(plan)


# --- through a pooler ---------------------------------------------------------------------------------------------


@pytest.fixture
async def pooled_url(agent_url: str, witness: Witness, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The agents' login through pgbouncer in transaction mode."""
    if PROGRAM is None:
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    monkeypatch.setenv("MEMORY_GUILD_POOLER", "1")
    with pgbouncer(agent_url, [user_of(agent_url)]) as folder:
        yield through(folder, agent_url)


async def test_scopes_open_through_a_pooler(pooled_url: str) -> None:
    async def work(tenant_id: str) -> set[str]:
        async with tenant_scope(tenant_id):
            await guild.remember(f"text of {tenant_id}", source_type="document", agent_id="scribe")
            return {row.tenant_id for row in await MemoryRecord.all()}

    async with connect(pooled_url):
        found = await asyncio.gather(*(work([ATTACKER, STRANGER][number % 2]) for number in range(60)))
    assert found == [{ATTACKER}, {STRANGER}] * 30


async def test_an_opening_opens_once_through_a_pooler_too(pooled_url: str, openings: list[str]) -> None:
    async with connect(pooled_url):
        for _ in range(8):
            async with tenant_scope(STRANGER):
                pass
        for opening in [one for one in openings if f"'{STRANGER}'" in one]:
            with suppress(MemoryGuildError):
                async with tenant_scope(ATTACKER) as scope:
                    with pytest.raises(asyncpg.PostgresError, match="does not open this tenant"):
                        await scope.transaction._connection.execute(opening)


async def test_a_scope_through_a_pooler_takes_one_more_round_trip(pooled_url: str) -> None:
    async with counting_proxy(pooled_url) as (url, trips), connect(url):
        async with tenant_scope(STRANGER):
            trips.since_last()
        assert trips.since_last() == 1
        async with tenant_scope(STRANGER):
            assert trips.since_last() == 2


async def test_a_sealed_scope_begins_in_one_round_trip(agent_url: str, witness: Witness) -> None:
    async with counting_proxy(agent_url) as (url, trips), connect(url):
        async with tenant_scope(STRANGER):
            assert trips.since_last() >= 2  # the session is asked once
        for _ in range(3):
            trips.since_last()
            async with tenant_scope(STRANGER):
                assert trips.since_last() == 1
                await guild.get(STRANGERS_ROWS.memory_id)
            trips.since_last()


# --- the key ------------------------------------------------------------------------------------------------------


async def test_without_the_key_nothing_opens(agent_url: str, witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEMORY_GUILD_SEAL_KEY")
    with pytest.raises(IsolationError, match="sealed, and this process has no key"):
        async with connect(agent_url):
            pytest.fail("connected")
    async with connect(agent_url, check_schema=False):
        with pytest.raises(SealError, match="set MEMORY_GUILD_SEAL_KEY"):
            async with tenant_scope(STRANGER):
                pytest.fail("opened")
    assert {"seal"} == {finding.subject for finding in await doctor(agent_url) if finding.level == "broken"}


async def test_with_a_wrong_key_nothing_opens(agent_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_SEAL_KEY", "ab" * 32)
    async with connect(agent_url):
        for _ in range(2):
            with pytest.raises(SealError, match="the key does not open this database"):
                async with tenant_scope(STRANGER):
                    pytest.fail("opened")
        await assert_pool_is_clean(1)


async def test_a_key_does_no_harm_where_nothing_is_sealed(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So agents can have it before the database is sealed."""
    monkeypatch.setenv("MEMORY_GUILD_SEAL_KEY", "cd" * 32)
    async with login(database_url, AGENT) as url, connect(url):
        async with tenant_scope("acme", agent_id="scribe"):
            await guild.remember("text", source_type="document")
        assert await seal(database_url) == "cd" * 32
        async with tenant_scope("acme"):
            assert await guild.count() == 1


async def test_a_pool_that_is_older_than_the_seal_says_so(database_url: str) -> None:
    async with login(database_url, AGENT) as url, connect(url):
        async with tenant_scope("acme", agent_id="scribe"):
            memory, _ = await guild.remember("text", source_type="document")
        key = await seal(database_url)
        for use in (
            guild.count,
            MemoryRecord.all,
            lambda: guild.get(memory),
            lambda: guild.remember("new", source_type="document"),
        ):
            with pytest.raises(SealError, match="sealed after this process connected; set MEMORY_GUILD_SEAL_KEY"):
                async with tenant_scope("acme", agent_id="scribe"):
                    await use()
        await unseal(database_url)
        async with tenant_scope("acme"):
            assert await guild.count() == 1
    assert len(key) == 64


async def test_the_owner_and_a_superuser_need_no_setting(sealed_url: str, witness: Witness) -> None:
    async with connect(sealed_url), tenant_scope(STRANGER):
        assert await guild.count() > 20
    async with owner(sealed_url) as url:
        await run_statement(sealed_url, f"GRANT memory_guild_app TO {user_of(url)}")
        await run_statement(sealed_url, f"ALTER TABLE memory_guild_seal OWNER TO {user_of(url)}")
        async with connect(url), tenant_scope(STRANGER):
            assert await guild.count() > 20


async def test_sealing_again_keeps_the_key_and_a_new_one_replaces_it(sealed_url: str) -> None:
    assert await seal(sealed_url) == KEY
    assert await seal(sealed_url, key="ef" * 32) == "ef" * 32
    assert await seal(sealed_url) == "ef" * 32
    async with connected(sealed_url) as superuser:
        assert await superuser.fetchval("SELECT count(*) FROM memory_guild_seal") == 1
    with pytest.raises(InvalidInputError, match="64 hexadecimal digits"):
        await seal(sealed_url, key="short")


async def test_only_the_owner_seals_and_unseals(agent_url: str) -> None:
    for change in (seal, unseal):
        with pytest.raises(PermissionDeniedError):
            await change(agent_url)


async def test_processes_that_seal_at_once_make_one_key(database_url: str) -> None:
    keys = await asyncio.gather(*(seal(database_url) for _ in range(5)))

    assert len(set(keys)) == 1


async def test_a_sealed_database_is_valid_and_so_is_one_that_no_longer_is(sealed_url: str) -> None:
    assert (await validate(sealed_url)).differences == ()
    await unseal(sealed_url)
    assert (await validate(sealed_url)).differences == ()
    async with connected(sealed_url) as superuser:
        assert not (await read_seal(superuser, "public")).is_sealed


async def test_validate_notices_a_seal_that_checks_nothing(sealed_url: str) -> None:
    await run_statement(
        sealed_url,
        "CREATE OR REPLACE FUNCTION memory_guild_tenant() RETURNS TEXT LANGUAGE sql STABLE"
        " AS $$ SELECT current_setting('memory_guild.tenant_id', true) $$",
    )
    assert [(one.problem, one.kind, one.name) for one in (await validate(sealed_url)).differences] == [
        ("different", "function", "memory_guild_tenant()")
    ]


async def test_the_doctor_says_which_mode_is_on(sealed_url: str, agent_url: str) -> None:
    async def said() -> tuple[str, str]:
        found = next(finding for finding in await doctor(agent_url) if finding.subject == "seal")
        return found.level, found.detail

    assert await said() == ("ok", "sealed: no statement can become another tenant, whatever its text")
    await unseal(sealed_url)
    level, detail = await said()
    assert level == "notice"
    assert detail.startswith("not sealed")


async def test_the_doctor_says_what_the_login_could_become(sealed_url: str, agent_url: str) -> None:
    await run_statement(sealed_url, f"GRANT pg_read_all_data TO {user_of(agent_url)}")

    found = next(finding for finding in await doctor(agent_url) if finding.subject == "other roles")
    assert (found.level, found.mend) == ("notice", f"REVOKE pg_read_all_data FROM {user_of(agent_url)}")
    await run_statement(sealed_url, found.mend)
    assert "other roles" not in {finding.subject for finding in await doctor(agent_url)}


async def test_the_doctor_sees_that_the_role_could_forge_the_proof(sealed_url: str, agent_url: str) -> None:
    await run_statement(sealed_url, "GRANT UPDATE ON SEQUENCE memory_guild_seal_opened TO memory_guild_app")

    found = next(finding for finding in await doctor(agent_url) if finding.subject == "the seal's privileges")
    assert found.level == "broken"
    await run_statement(sealed_url, found.mend)
    async with connect(agent_url):
        pass


def test_the_key_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_SEAL_KEY", "0f" * 32)
    from memory_guild.settings import TORTOISE_ORM

    assert "0f0f" not in repr(TORTOISE_ORM)
