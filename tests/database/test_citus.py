"""What is said to Citus and what it says, as far as that can be tested without it."""

from __future__ import annotations

import re

import asyncpg
import pytest

from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.database.sqlstate import translate
from memory_guild.database.travelling import opening_call, travelling
from memory_guild.errors import (
    CheckError,
    DuplicateMemoryError,
    InternalError,
    MemoryGuildError,
    ServerUnreachableError,
    UnknownMemoryError,
)


async def test_a_plain_server_is_none(database_url: str) -> None:
    async with connect(database_url):
        assert client().pool.is_distributed is False


@pytest.mark.parametrize("tenant", ["acme", "o'hara", "back\\slash", "$$ $body$", "'; RESET ROLE; --"])
async def test_what_travels_is_set_here_too(connection: asyncpg.Connection[asyncpg.Record], tenant: str) -> None:
    """On a plain server the settings of Citus are mere names."""
    literal = await connection.fetchval("SELECT quote_literal($1::text)", tenant)
    async with connection.transaction():
        await connection.execute(travelling(f"SET LOCAL memory_guild.tenant_id = {literal}", "SET LOCAL jit = off"))

        assert await connection.fetchval("SELECT current_setting('memory_guild.tenant_id')") == tenant
        assert await connection.fetchval("SELECT current_setting('citus.propagate_set_commands')") == "none"


def test_a_sealed_scope_is_opened_where_the_key_is() -> None:
    assert opening_call('a "group"', "'acme', 'proof'") == (
        'SELECT "a ""group""".memory_guild_open(created_at, \'acme\', \'proof\') FROM "a ""group""".memory_guild_seal'
    )


def said(kind: type[asyncpg.PostgresError], message: str) -> MemoryGuildError:
    """Our error for one that Citus hands on: it has a text and a state, and no names."""
    return translate(kind(message))


def test_names_come_from_the_text() -> None:
    duplicate = said(
        asyncpg.UniqueViolationError, 'duplicate key value violates unique constraint "unique_content_hash_102008"'
    )
    assert isinstance(duplicate, DuplicateMemoryError)
    assert (duplicate.constraint, duplicate.table) == ("unique_content_hash", "memory_records")

    check = said(
        asyncpg.CheckViolationError,
        'new row for relation "memory_records_102008" violates check constraint "memory_records_source_type_check"',
    )
    assert isinstance(check, CheckError)
    assert (check.field, check.table) == ("source_type", "memory_records")

    missing = said(
        asyncpg.NotNullViolationError,
        'null value in column "agent_id" of relation "memory_records_102008" violates not-null constraint',
    )
    assert isinstance(missing, CheckError)
    assert (missing.field, missing.table) == ("agent_id", "memory_records")

    unknown = said(
        asyncpg.ForeignKeyViolationError,
        'the memory does not exist: table "memory_sources", constraint "tenant_isolation"',
    )
    assert isinstance(unknown, UnknownMemoryError)
    assert (unknown.constraint, unknown.table) == ("tenant_isolation", "memory_sources")


def test_a_lost_worker_is_no_internal_error() -> None:
    lost = said(asyncpg.InternalServerError, "failure on connection marked as essential: worker:5432")
    assert isinstance(lost, ServerUnreachableError)
    assert lost.retryable

    other = said(asyncpg.InternalServerError, "cache lookup failed")
    assert isinstance(other, InternalError)
    assert re.search("XX000|internal", str(other))
