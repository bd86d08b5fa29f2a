"""Without a tenant there is nothing: before a scope, after it, and for a login that sets none."""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from typing import Any

import pytest
from tortoise.transactions import in_transaction

from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.errors import ScopeClosedError, TenantNotSetError
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import tenant_scope
from tests.tenancy.count import COUNT
from tests.tenancy.logged import logged_statements, sent_by_now
from tests.tenancy.logins import connected, login
from tests.tenancy.operations import TENANT_MODELS, Operation
from tests.tenancy.outcomes import neutral, outcome_of, secrets_in
from tests.tenancy.raw_operations import TABLES, inserts, run_statements, statements_of
from tests.tenancy.worlds import ATTACKER, STRANGERS_ROWS, Witness
from tests.tenancy.writing_operations import model_operations


async def _run_outside(operation: Operation, context: Context) -> Exception | None:
    async def run() -> Any:
        return await operation.run(STRANGERS_ROWS)

    try:
        await asyncio.get_running_loop().create_task(run(), context=context)
    except Exception as error:
        return error
    return None


async def _assert_nothing_is_sent(context: Context, expected: type[Exception]) -> None:
    with logged_statements() as sent:
        wrong = {}
        for operation in model_operations():
            error = await _run_outside(operation, context.copy())
            COUNT.operations += 1
            if type(error) is not expected:
                wrong[operation.name] = error
        await sent_by_now()
        assert wrong == {}
        assert sent == []
        await client().execute_query("SELECT 1")
        await sent_by_now()
        assert "SELECT 1" in sent


@pytest.mark.usefixtures("database")
async def test_outside_a_scope_every_operation_is_refused_before_a_statement_is_sent() -> None:
    await _assert_nothing_is_sent(copy_context(), TenantNotSetError)


@pytest.mark.usefixtures("database")
async def test_after_the_scope_every_operation_of_its_tasks_is_refused_before_a_statement_is_sent() -> None:
    async with tenant_scope(ATTACKER):
        inside = copy_context()

    await _assert_nothing_is_sent(inside, ScopeClosedError)


NAMED_CONNECTION = {
    "save": lambda memory, db: memory.save(using_db=db),
    "delete": lambda memory, db: memory.delete(using_db=db),
    "refresh_from_db": lambda memory, db: memory.refresh_from_db(using_db=db),
    "fetch_related": lambda memory, db: memory.fetch_related("embeddings", using_db=db),
    "create": lambda memory, db: type(memory).create(
        tenant_id="acme", agent_id="a", source_type="document", content_text="new", using_db=db
    ),
    "bulk_create": lambda memory, db: type(memory).bulk_create([memory.clone(pk=None)], using_db=db),
}


@pytest.mark.parametrize("name", NAMED_CONNECTION)
@pytest.mark.parametrize("transaction", [False, True], ids=["pool", "in_transaction"])
async def test_a_connection_given_by_name_is_no_way_round_the_scope(
    database: str, name: str, transaction: bool
) -> None:
    async with tenant_scope(ATTACKER, agent_id="own agent"):
        memory = await MemoryRecord.create(source_type="document", content_text="own")

    with pytest.raises(TenantNotSetError):
        if transaction:
            async with in_transaction() as connection:
                await NAMED_CONNECTION[name](memory, connection)
        else:
            await NAMED_CONNECTION[name](memory, client())

    async with tenant_scope(ATTACKER):
        assert await MemoryRecord.all() == [memory]


@pytest.mark.parametrize("before", [None, ATTACKER], ids=["fresh", "after a scope"])
@pytest.mark.long
async def test_a_login_that_sets_no_tenant_sees_and_writes_nothing(database_url: str, before: str | None) -> None:
    async with login(database_url) as url, connected(database_url) as superuser, connect(url):
        witness = Witness(superuser)
        await witness.populate(crowded=True)
        if before is not None:
            async with tenant_scope(before):
                assert await MemoryRecord.all().count() == 4
        for model in TENANT_MODELS:
            ((row,),) = await run_statements(f"SELECT count(*) FROM {model._meta.db_table}")
            assert row["count"] == 0
        wrong = []
        for operation in [*inserts(), *(operation for table in TABLES for operation in statements_of(table))]:
            outcome = await outcome_of(lambda operation=operation: _in_transaction(operation))  # type: ignore[misc]
            COUNT.operations += 1
            shown = [text for text in ("own text", "own vector") if text in outcome.replace(operation.name, "")]
            if secrets_in(outcome) or shown or not await witness.everything_is_unchanged():
                wrong.append((operation.name, outcome))
            if operation.name.startswith("INSERT") and "VALUES" in operation.name and "Error: " not in outcome:
                wrong.append((operation.name, neutral(outcome, STRANGERS_ROWS)))
        assert wrong == []


async def _in_transaction(operation: Operation) -> Any:
    async with in_transaction():
        return await operation.run(STRANGERS_ROWS)
