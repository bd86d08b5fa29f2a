"""A tenant's name is a literal in the statement that begins its scope: no name may be read as anything else."""

from __future__ import annotations

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_guild.database.engine import client
from memory_guild.database.quoting import quote_identifier, quote_literal
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import tenant_scope

AWKWARD = [
    "'",
    "''",
    "\\",
    "\\'",
    "'; DROP TABLE memory_records; --",
    "\\'; DROP TABLE memory_records; --",
    "E'\\x27",
    "$$; COMMIT; $$",
    "a\nb\r\n\tc",
    "Grüße, 漢字 𝄞\u2028\ufeff",
    "\x01\x7f\x85",
    " leading and trailing ",
    '"double", %s $1 {0}',
    "DEFAULT",
    "x" * 255,
    "𝄞" * 255,
    "'" * 255,
    "\\" * 255,
]
NAMES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=255)
TROUBLE = st.text(st.sampled_from("'\\\"$;-/*\nEeuU&x01 "), min_size=1, max_size=40)
SERVER = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("conforming", ["on", "off"])
@SERVER
@given(name=st.sampled_from(AWKWARD) | NAMES | TROUBLE)
async def test_the_server_reads_a_literal_as_the_text(
    connection: asyncpg.Connection[asyncpg.Record], conforming: str, name: str
) -> None:
    await connection.execute(f"SET standard_conforming_strings = {conforming}; SET escape_string_warning = off")

    assert await connection.fetchval(f"SELECT {quote_literal(name)}") == name
    await connection.execute(f"BEGIN; SET LOCAL memory_guild.tenant_id = {quote_literal(name)}")
    assert await connection.fetchval("SELECT current_setting('memory_guild.tenant_id')") == name
    await connection.execute("ROLLBACK")


@SERVER
@given(name=NAMES | TROUBLE)
async def test_the_server_would_quote_alike(connection: asyncpg.Connection[asyncpg.Record], name: str) -> None:
    assert quote_literal(name) == (await connection.fetchval("SELECT quote_literal($1)", name)).strip()
    assert await connection.fetchval(f"SELECT 1 AS {quote_identifier(name[:15])}") == 1


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("tenant_id", AWKWARD, ids=ascii)
async def test_any_name_is_a_tenant_of_its_own(tenant_id: str) -> None:
    async with tenant_scope("bystander", agent_id="a"):
        await MemoryRecord.create(source_type="document", content_text="one")

    async with tenant_scope(tenant_id, agent_id=tenant_id):
        stored = await MemoryRecord.create(source_type="document", content_text="one")
        assert [(row.tenant_id, row.agent_id) for row in await MemoryRecord.all()] == [(tenant_id, tenant_id)]
        (row,) = await client().execute_query_dict("SELECT current_user::text AS role")
        assert row["role"] == "memory_guild_app"

    async with tenant_scope("bystander"):
        assert stored not in await MemoryRecord.all()
        assert await MemoryRecord.all().count() == 1
