"""Through pgbouncer in transaction mode: many scopes of many tenants share two connections of the server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.database.isolation import Finding
from memory_guild.errors import ConnectionFailedError, DuplicateMemoryError, MigrationsPendingError, ScopeAbortedError
from memory_guild.models import DataSource, MemoryAccessPolicy, MemoryEmbedding, MemoryRecord, MemoryRelationship
from memory_guild.schema.health import doctor
from memory_guild.schema.migrating import upgrade
from memory_guild.tenancy import admin_scope, tenant_scope
from tests.databases import run_statement
from tests.tenancy.logins import AGENT, connected, login, user_of
from tests.tenancy.pgbouncer import PROGRAM, SERVER_CONNECTIONS, pgbouncer, through

TENANTS = [f"tenant-{number}" for number in range(7)]
CLIENTS = 40
ROLES = f"{AGENT}, memory_guild_admin"


@pytest.fixture(autouse=True)
def _installed() -> None:
    """Nothing here may be skipped where it counts."""
    if PROGRAM is None and "CI" in os.environ:
        pytest.fail("pgbouncer is not installed: apt-get install pgbouncer")
    if PROGRAM is None:
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")


@pytest.fixture
async def agent_url(database_url: str) -> AsyncIterator[str]:
    """A login that may open both kinds of scopes, on the server itself."""
    async with login(database_url, ROLES) as url:
        yield url


@pytest.fixture
async def pooled_url(agent_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The same login through pgbouncer, with the setting that it needs."""
    monkeypatch.setenv("MEMORY_GUILD_POOLER", "1")
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", str(CLIENTS))
    with pgbouncer(agent_url, [user_of(agent_url)]) as folder:
        yield through(folder, agent_url)


@pytest.fixture
async def pooled(pooled_url: str) -> AsyncIterator[None]:
    """Tortoise, connected through pgbouncer."""
    async with connect(pooled_url):
        yield


async def _server_connections(database_url: str) -> int:
    async with connected(database_url) as superuser:
        count = await superuser.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE 'mg_login_%'"
        )
    return int(count)


async def _remember(text: str) -> MemoryRecord:
    return await MemoryRecord.create(agent_id="agent-1", source_type="document", content_text=text)


async def _texts() -> dict[str, set[str]]:
    async with admin_scope("the test of the pooler"):
        rows = await MemoryRecord.all().values_list("tenant_id", "content_text")
    return {tenant_id: {text for name, text in rows if name == tenant_id} for tenant_id in TENANTS}


# --- scopes -----------------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_two_hundred_scopes_over_two_connections(pooled: None, database_url: str) -> None:
    async def work(number: int) -> set[str]:
        tenant_id = TENANTS[number % len(TENANTS)]
        async with tenant_scope(tenant_id):
            memory = await _remember(f"text {number}")
            edge_to = await _remember(f"other {number}")
            await MemoryRelationship.create(source_memory=memory, target_memory=edge_to, relationship_type="follows")
            await MemoryEmbedding.create(memory=memory, vector_id=str(number), embedding_model="small")
            found = await MemoryRecord.all().prefetch_related("embeddings", "outgoing_edges__target_memory")
            (edge,) = next(one for one in found if one.memory_id == memory.memory_id).outgoing_edges
            assert edge.target_memory.content_text == f"other {number}"
            assert {one.vector_id for one in await memory.embeddings} == {str(number)}
            return {one.tenant_id for one in found}

    seen = await asyncio.gather(*(work(number) for number in range(200)))

    assert [names == {TENANTS[number % len(TENANTS)]} for number, names in enumerate(seen)] == [True] * 200
    assert sum(map(len, (await _texts()).values())) == 400
    assert await _server_connections(database_url) == SERVER_CONNECTIONS


@pytest.mark.parametrize("fails", [False, True], ids=["committed", "rolled back"])
async def test_what_sql_prepared_is_dropped(pooled: None, fails: bool) -> None:
    for number in range(2 * SERVER_CONNECTIONS):
        with suppress(ZeroDivisionError):
            async with tenant_scope(TENANTS[number]) as scope:
                connection = scope.transaction.session.connection
                assert await connection.fetch("SELECT FROM pg_prepared_statements WHERE from_sql") == []
                await connection.execute(f'PREPARE "no {number}" AS SELECT 1')
                if fails:
                    raise ZeroDivisionError


async def test_what_fails_is_rolled_back_and_the_rest_is_kept(pooled: None) -> None:
    async def work(number: int) -> None:
        async with tenant_scope(TENANTS[number % len(TENANTS)]):
            await _remember(f"outer {number}")
            try:
                async with tenant_scope(TENANTS[number % len(TENANTS)]):
                    await _remember(f"inner {number}")
                    if number % 2:
                        raise LookupError
            except LookupError:
                await _remember(f"instead {number}")
            if number % 5 == 0:
                raise ZeroDivisionError

    outcomes = await asyncio.gather(*(work(number) for number in range(100)), return_exceptions=True)

    assert [isinstance(one, ZeroDivisionError) for one in outcomes] == [number % 5 == 0 for number in range(100)]
    expected = {
        f"{name} {number}"
        for number in range(100)
        for name in ("outer", "instead" if number % 2 else "inner")
        if number % 5
    }
    assert set().union(*(await _texts()).values()) == expected


async def test_a_caught_error_still_fails_the_scope(pooled: None) -> None:
    async def fail_and_go_on() -> None:
        async with tenant_scope(TENANTS[0]):
            await _remember("once")
            with suppress(DuplicateMemoryError):
                await _remember("once")

    with pytest.raises(ScopeAbortedError):
        await fail_and_go_on()
    assert set().union(*(await _texts()).values()) == set()


def _cancel_soon(turns: int) -> None:
    """Cancel the current task after some turns of the event loop, in the middle of what it does next."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def turn(left: int) -> None:
        if left:
            loop.call_soon(turn, left - 1)
        else:
            task.cancel()

    turn(turns)


STEPS = ("begin", "store", "begin inside", "store inside", "end inside", "end")


@pytest.mark.long
async def test_cancellations_leave_whole_scopes_or_none(pooled: None, pooled_url: str) -> None:
    """A scope of each four is cancelled at one of its steps, after some turns of the event loop."""

    async def work(number: int) -> None:
        def step(name: str) -> None:
            if number % 4 == 0 and STEPS[number // 4 % len(STEPS)] == name:
                _cancel_soon(number // (4 * len(STEPS)))

        step("begin")
        async with tenant_scope(TENANTS[number % len(TENANTS)]):
            step("store")
            await _remember(f"first {number}")
            step("begin inside")
            async with tenant_scope(TENANTS[number % len(TENANTS)]):
                step("store inside")
                await _remember(f"second {number}")
                step("end inside")
            step("end")

    outcomes = await asyncio.gather(*(work(number) for number in range(240)), return_exceptions=True)

    cancelled = [isinstance(one, asyncio.CancelledError) for one in outcomes]
    assert sum(cancelled) > 30
    assert [one for one in outcomes if isinstance(one, Exception)] == []
    stored = set().union(*(await _texts()).values())
    for number, was_cancelled in enumerate(cancelled):
        both = {f"first {number}", f"second {number}"}
        assert stored & both in ([set(), both] if was_cancelled else [both])
    await _nothing_is_left(pooled_url)


async def test_a_timeout_cancels_the_statement_and_frees_its_connection(pooled: None, database_url: str) -> None:
    async def sleep() -> None:
        async with asyncio.timeout(0.2), tenant_scope(TENANTS[0]):
            await client().execute_query("SELECT pg_sleep(60)")

    outcomes = await asyncio.gather(*(sleep() for _ in range(SERVER_CONNECTIONS)), return_exceptions=True)

    assert [type(one) for one in outcomes] == [TimeoutError] * SERVER_CONNECTIONS
    async with asyncio.timeout(10), tenant_scope(TENANTS[0]):
        assert await MemoryRecord.all() == []


# --- between clients --------------------------------------------------------------------------------------------

LEFT = """
SELECT current_user = session_user AS own_role, coalesce(current_setting('memory_guild.tenant_id', true), '') AS tenant,
       current_setting('plan_cache_mode') AS plans, current_setting('idle_in_transaction_session_timeout') AS idle,
       (SELECT count(*) FROM memory_records) AS rows, pg_backend_pid() AS backend
"""


async def _nothing_is_left(url: str) -> None:
    """Look at both of the server's connections, each held by a transaction while the other is looked at."""
    async with connected(url, statement_cache_size=0) as one, connected(url, statement_cache_size=0) as other:
        await one.execute("BEGIN")
        await other.execute("BEGIN")
        found = [dict(row) for connection in (one, other) for row in await connection.fetch(LEFT)]
    assert len({state.pop("backend") for state in found}) == SERVER_CONNECTIONS
    assert found == [{"own_role": True, "tenant": "", "plans": "auto", "idle": "0", "rows": 0}] * SERVER_CONNECTIONS


async def test_nothing_leaks_between_clients(pooled: None, pooled_url: str) -> None:
    async def work(tenant_id: str) -> None:
        async with tenant_scope(tenant_id):
            await _remember("text")
            await MemoryRecord.all()

    await asyncio.gather(*(work(tenant_id) for tenant_id in TENANTS * 10), return_exceptions=True)

    await _nothing_is_left(pooled_url)


async def test_statements_outside_scopes(pooled: None) -> None:
    """Each may run on another connection of the server than the one that prepared it."""
    async with admin_scope("the test of the pooler"):
        await DataSource.create(source_name="wiki", source_type="api")
        await MemoryAccessPolicy.create(policy_name="readers", policy_rules={"allow": True})

    async def read(number: int) -> str:
        if number % 2:
            return (await DataSource.get(source_name="wiki")).source_name
        return (await MemoryAccessPolicy.filter(is_active=True).get(policy_name="readers")).policy_name

    found = await asyncio.gather(*(read(number) for number in range(200)))

    assert found == ["readers", "wiki"] * 100


# --- settings ---------------------------------------------------------------------------------------------------


async def test_a_scope_sets_what_start_up_cannot(
    agent_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schema and the timeout, which pgbouncer would refuse; outside scopes the role's own schema counts."""
    schema = 'the "guild"'
    await upgrade(database_url, schema=schema)
    monkeypatch.setenv("MEMORY_GUILD_SCHEMA", schema)
    monkeypatch.setenv("MEMORY_GUILD_STATEMENT_TIMEOUT_SECONDS", "7")
    monkeypatch.setenv("MEMORY_GUILD_POOLER", "1")
    user = user_of(agent_url)
    await run_statement(database_url, f"ALTER ROLE {user} SET search_path = elsewhere")
    with pgbouncer(agent_url, [user]) as folder:
        with pytest.raises(MigrationsPendingError):
            async with connect(through(folder, agent_url)):
                pytest.fail("connected to a schema without tables")
        async with connect(through(folder, agent_url), check_schema=False), tenant_scope("acme"):
            await _remember("text")
            (found,) = await client().execute_query_dict(
                "SELECT current_schema() AS schema, current_setting('statement_timeout') AS timeout"
            )
    assert found == {"schema": schema, "timeout": "7s"}

    await run_statement(database_url, f"""ALTER ROLE {user} SET search_path = 'the "guild"'""")
    with pgbouncer(agent_url, [user]) as folder:
        async with connect(through(folder, agent_url)), tenant_scope("acme"):
            assert await MemoryRecord.all().count() == 1


def _pooler_finding(found: list[Finding]) -> Finding:
    return next(finding for finding in found if finding.subject == "pooler")


async def test_without_the_setting_pgbouncer_refuses_and_the_error_names_it(agent_url: str) -> None:
    refused = pytest.raises(ConnectionFailedError, match="set MEMORY_GUILD_POOLER=1")
    with pgbouncer(agent_url, [user_of(agent_url)]) as folder, refused:
        await doctor(through(folder, agent_url))


@pytest.mark.parametrize(
    ("between", "told", "level", "mend"),
    [
        (True, "0", "broken", "set MEMORY_GUILD_POOLER=1"),
        (True, "1", "ok", ""),
        (False, "1", "notice", "unset it"),
        (False, "0", "ok", ""),
    ],
)
async def test_the_doctor_sees_the_pooler(
    agent_url: str, monkeypatch: pytest.MonkeyPatch, between: bool, told: str, level: str, mend: str
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_POOLER", told)
    lenient = {"ignore_startup_parameters": "search_path, statement_timeout, row_security"}
    with pgbouncer(agent_url, [user_of(agent_url)], lenient) as folder:
        finding = _pooler_finding(await doctor(through(folder, agent_url) if between else agent_url))

    assert (finding.level, finding.mend) == (level, mend)
