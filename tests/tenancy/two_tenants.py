"""Two tenants with known ids, stored past the models, and connections that act as each kind of role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from memory_guild.database.travelling import travelling
from tests import citus
from tests.tenancy.logins import AGENT, MAINTAINER, TABLES, connected

if TYPE_CHECKING:
    from tests.tenancy.logins import Connection

ACME_1 = "00000000-0000-0000-0000-0000000000a1"
ACME_2 = "00000000-0000-0000-0000-0000000000a2"
ACME_3 = "00000000-0000-0000-0000-0000000000a3"
BOLT_1 = "00000000-0000-0000-0000-0000000000b1"
BOLT_2 = "00000000-0000-0000-0000-0000000000b2"
MISSING = "00000000-0000-0000-0000-0000000000ff"

ROWS = f"""
INSERT INTO memory_records (memory_id, agent_id, tenant_id, source_type, content_text, content_hash, updated_at)
SELECT memory_id::uuid, 'agent-1', tenant_id, 'document', memory_id, md5(memory_id), '2001-01-01 00:00:00+00'
FROM (VALUES ('{ACME_1}', 'acme'), ('{ACME_2}', 'acme'), ('{ACME_3}', 'acme'),
             ('{BOLT_1}', 'bolt'), ('{BOLT_2}', 'bolt')) AS wanted(memory_id, tenant_id);
INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type)
VALUES ('{ACME_1}', '{ACME_2}', 'supports'), ('{BOLT_1}', '{BOLT_2}', 'supports');
INSERT INTO memory_embeddings (memory_id, vector_id, embedding_model)
VALUES ('{ACME_1}', 'acme-1', 'small'), ('{BOLT_1}', 'bolt-1', 'small');
INSERT INTO data_sources (source_name, source_type) VALUES ('wiki', 'api');
INSERT INTO memory_access_policies (policy_name, policy_rules) VALUES ('readers', '{{}}');
"""


ROLES = ("superuser", "bypass", "owner", "admin", "app")
"""A superuser, a maintenance login with BYPASSRLS, a plain owner, and the two roles that scopes become."""

_ATTRIBUTES = {"bypass": f"BYPASSRLS {MAINTAINER}", "owner": "", "admin": MAINTAINER, "app": AGENT}
_BECOME = {"admin": "SET LOCAL ROLE memory_guild_admin", "app": "SET LOCAL ROLE memory_guild_app"}


@asynccontextmanager
async def acting_as(role: str, database_url: str, tenant_id: str = "") -> AsyncIterator[Connection]:
    """A connection that acts as one of `ROLES`, with a tenant set or none; all that it does is undone.

    The login exists, and owns the tables, in this transaction alone; on Citus until the block ends, because the workers
    let nobody in whom they do not know.
    """
    login = f"mg_login_{uuid4().hex[:8]}"
    if citus.URL:
        owned = TABLES if role == "owner" else ()
        async with (
            citus.login(database_url, login, _ATTRIBUTES.get(role), owned) as url,
            connected(url) as connection,
        ):
            await connection.execute("; ".join(["BEGIN", *([_BECOME[role]] if role in _BECOME else [])]))
            if tenant_id:
                await connection.execute(travelling(f"SET LOCAL memory_guild.tenant_id = '{tenant_id}'"))
            yield connection
        return
    statements = ["BEGIN"]
    if role != "superuser":
        statements.append(f"CREATE ROLE {login} LOGIN {_ATTRIBUTES[role]}")
    if role == "owner":
        statements += [f"ALTER TABLE {table} OWNER TO {login}" for table in TABLES]
    if role != "superuser":
        statements.append(f"SET LOCAL SESSION AUTHORIZATION {login}")
    if role in _BECOME:
        statements.append(_BECOME[role])
    if tenant_id:
        statements.append(f"SET LOCAL memory_guild.tenant_id = '{tenant_id}'")
    async with connected(database_url) as connection:
        await connection.execute("; ".join(statements))
        yield connection


async def everything(connection: Connection) -> dict[str, list[Any]]:
    """Every row of the three tenant tables that the connection sees."""
    return {
        table: await connection.fetch(f"SELECT * FROM {table} ORDER BY 1")
        for table in ("memory_records", "memory_embeddings", "memory_relationships")
    }
