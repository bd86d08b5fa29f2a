"""Many who store the same text at the same time, and who forget and purge it meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from memory_guild import count, forget, forget_where, purge, remember, remember_many, restore, tenant_scope
from memory_guild.database.connecting import connect
from memory_guild.errors import ForgottenMemoryError, MemoryNotFoundError
from memory_guild.testing.databases import name_of
from memory_guild.types import StoreOutcome
from tests.memories.storing import TEXT, Connection, insert, item, stored, until_one_waits

TASKS = 50

pytestmark = pytest.mark.usefixtures("wide_pool")


@pytest.fixture
async def wide_pool(
    verbs_database_url: str, superuser: Connection, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """A connection for each task: all of them hold a transaction open at the same time."""
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", str(TASKS))
    async with connect(verbs_database_url, check_schema=False):
        yield


async def store_one(on_forgotten: Any = "restore") -> tuple[StoreOutcome, UUID | None]:
    memory, outcome = await remember(TEXT, source_type="document", agent_id="scribe", on_forgotten=on_forgotten)
    return outcome, memory.memory_id


async def store_several(on_forgotten: Any = "restore") -> tuple[StoreOutcome, UUID | None]:
    items = [item(text) for text in random.sample([TEXT, "other", "another"], 3)]
    report = await remember_many(items, on_forgotten=on_forgotten)
    outcome = report[[one["content_text"] for one in items].index(TEXT)]
    return outcome.outcome, outcome.memory_id


Store = Callable[..., Awaitable[tuple[StoreOutcome, UUID | None]]]


async def at_once(*stores: Store, **arguments: Any) -> tuple[Counter[str], set[UUID | None]]:
    """What became of the text in fifty scopes that are all open before the first one stores it."""
    all_are_open = asyncio.Barrier(TASKS)

    async def work(store: Store) -> tuple[StoreOutcome, UUID | None]:
        async with tenant_scope("acme"):
            await all_are_open.wait()
            return await store(**arguments)

    async with asyncio.timeout(60):
        results = await asyncio.gather(*(work(stores[number % len(stores)]) for number in range(TASKS)))
    return Counter(outcome.value for outcome, _ in results), {memory_id for _, memory_id in results}


VERBS = pytest.mark.parametrize(
    "stores",
    [(store_one,), (store_several,), (store_one, store_several)],
    ids=["remember", "remember_many", "both"],
)


# --- the same text ----------------------------------------------------------------------------------------------


@VERBS
async def test_a_text_that_fifty_store_at_once_is_created_once(
    stores: tuple[Store, ...], superuser: Connection
) -> None:
    outcomes, memory_ids = await at_once(*stores)
    assert outcomes == {"created": 1, "existing": TASKS - 1}
    rows = [row for row in (await stored(superuser)).values() if row["content_text"] == TEXT]
    assert {row["memory_id"] for row in rows} == memory_ids
    assert len(rows) == 1


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_what_another_scope_commits_is_seen_whatever_the_isolation_of_the_servers_default(
    level: str, verbs_database_url: str, superuser: Connection
) -> None:
    name = name_of(verbs_database_url)
    await superuser.execute(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = '{level}'")
    try:
        async with connect(verbs_database_url, check_schema=False), tenant_scope("acme"):
            assert await count() == 0
            await insert(superuser, TEXT)
            assert (await store_one())[0] == "existing"
            assert await count() == 1
    finally:
        await superuser.execute(f'ALTER DATABASE "{name}" RESET default_transaction_isolation')


@VERBS
async def test_a_forgotten_text_that_fifty_store_at_once_is_restored_once(
    stores: tuple[Store, ...], superuser: Connection
) -> None:
    memory_id = await insert(superuser, TEXT, is_deleted=True)
    outcomes, memory_ids = await at_once(*stores)
    assert (outcomes, memory_ids) == ({"restored": 1, "existing": TASKS - 1}, {memory_id})
    assert (await stored(superuser))[memory_id]["is_deleted"] is False


async def test_a_forgotten_text_that_nobody_restores_stays_forgotten(superuser: Connection) -> None:
    memory_id = await insert(superuser, TEXT, is_deleted=True)
    rows = await stored(superuser)
    outcomes, memory_ids = await at_once(store_one, on_forgotten="keep")
    assert (outcomes, memory_ids) == ({"existing": TASKS}, {memory_id})
    assert await stored(superuser) == rows


async def test_tenants_and_agents_do_not_meet(superuser: Connection) -> None:
    async def work(number: int) -> StoreOutcome:
        async with tenant_scope(f"tenant {number % 5}", f"agent {number % 3}"):
            return (await remember(TEXT, source_type="document")).outcome

    outcomes = Counter(await asyncio.gather(*map(work, range(TASKS))))
    assert outcomes == {"created": 15, "existing": TASKS - 15}
    assert len(await stored(superuser)) == 15


# --- one who waits for another ----------------------------------------------------------------------------------


@pytest.mark.parametrize("store", [store_one, store_several])
@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK"])
async def test_a_text_that_somebody_is_storing(ending: str, store: Store, superuser: Connection) -> None:
    await superuser.execute("BEGIN")
    memory_id = await insert(superuser, TEXT)

    async def work() -> tuple[StoreOutcome, UUID | None]:
        async with tenant_scope("acme"):
            return await store()

    task = asyncio.create_task(work())
    await until_one_waits(superuser)
    assert not task.done()
    await superuser.execute(ending)
    outcome, found = await task

    assert (outcome == "existing", found == memory_id) == ((True, True) if ending == "COMMIT" else (False, False))
    assert [row["memory_id"] for row in (await stored(superuser)).values() if row["content_text"] == TEXT] == [found]


@pytest.mark.parametrize("on_forgotten", ["keep", "raise"])
async def test_a_forgotten_text_that_somebody_is_storing_stays_forgotten(
    on_forgotten: str, superuser: Connection
) -> None:
    await superuser.execute("BEGIN")
    memory_id = await insert(superuser, TEXT, is_deleted=True)

    async def work() -> None:
        async with tenant_scope("acme"):
            if on_forgotten == "keep":
                assert await store_one("keep") == ("existing", memory_id)
            else:
                with pytest.raises(ForgottenMemoryError):
                    await store_one("raise")

    task = asyncio.create_task(work())
    await until_one_waits(superuser)
    await superuser.execute("COMMIT")
    await task
    assert (await stored(superuser))[memory_id]["is_deleted"] is True


BEFORE_AND_AFTER = [
    # was forgotten, what somebody does, what became of it for the one who waits, and that it is live
    (False, "UPDATE memory_records SET is_deleted = true, updated_at = clock_timestamp()", "restore", "existing", None),
    (True, "UPDATE memory_records SET is_deleted = false, updated_at = clock_timestamp()", "restore", "existing", True),
    (True, "UPDATE memory_records SET updated_at = clock_timestamp()", "restore", "restored", True),
    (True, "DELETE FROM memory_records", "restore", "created", True),
    (True, "DELETE FROM memory_records", "keep", "existing", None),
]


@pytest.mark.parametrize(("is_deleted", "change", "on_forgotten", "expected", "is_live"), BEFORE_AND_AFTER)
async def test_a_text_that_somebody_is_changing(
    is_deleted: bool, change: str, on_forgotten: str, expected: str, is_live: bool | None, superuser: Connection
) -> None:
    """None: it does not wait, and finds what was there before."""
    memory_id = await insert(superuser, TEXT, is_deleted=is_deleted)
    await superuser.execute(f"BEGIN; {change}")

    async def work() -> tuple[StoreOutcome, UUID | None]:
        async with tenant_scope("acme"):
            return await store_one(on_forgotten)

    async with asyncio.timeout(20):
        task = asyncio.create_task(work())
        if is_live is None:
            await task
        else:
            await until_one_waits(superuser)
        await superuser.execute("COMMIT")
        outcome, found = await task

    assert outcome == expected
    assert (found == memory_id) is (expected != "created")
    if is_live is not None:
        (row,) = (await stored(superuser)).values()
        assert (row["memory_id"], row["is_deleted"]) == (found, not is_live)


# --- everything at once -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.long
async def test_storing_forgetting_restoring_and_purging_at_once(seed: int, superuser: Connection) -> None:
    """Every outcome is counted, and the sums must be what is there in the end."""
    chosen = random.Random(seed)
    counts: Counter[str] = Counter()
    created: list[UUID] = []

    async def changed(kind: str) -> tuple[str, int]:
        if kind == "forget_where":
            return "forgotten", await forget_where(agent_id="scribe")
        if kind == "purge":
            return "purged", await purge(older_than=timedelta(0))
        if kind in ("forget", "restore") and created:
            try:
                forgets = kind == "forget"
                return ("forgotten", await forget(created[-1])) if forgets else ("restored", await restore(created[-1]))
            except MemoryNotFoundError:
                return "missing", 1
        if kind == "remember_many":
            outcome, memory_id, _ = (await remember_many([item(TEXT)]))[0]
        else:
            outcome, memory_id = await store_one()
        if outcome is StoreOutcome.CREATED and memory_id:
            created.append(memory_id)
        return outcome, 1

    async def work(batch: list[str]) -> None:
        for kind in batch:
            async with tenant_scope("acme", "scribe"):
                name, number = await changed(kind)
            counts[name] += number

    kinds = {"remember": 2, "remember_many": 1, "forget": 2, "forget_where": 1, "restore": 1, "purge": 4}
    batches = [chosen.choices(list(kinds), list(kinds.values()), k=30) for _ in range(20)]

    async with asyncio.timeout(120):
        # A purge seldom finds the memory forgotten: go on until each kind has happened.
        while min(counts[kind] for kind in ("created", "purged", "forgotten", "restored")) == 0:
            await asyncio.gather(*map(work, batches))

    rows = list((await stored(superuser)).values())
    assert len(created) == len(set(created))
    assert counts["created"] - counts["purged"] == len(rows) <= 1
    assert counts["forgotten"] - counts["restored"] - counts["purged"] == sum(row["is_deleted"] for row in rows)
