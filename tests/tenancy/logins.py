"""Login roles of a test's own, and URLs to reach a database as one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

AGENT = "IN ROLE memory_guild_app"
MAINTAINER = "IN ROLE memory_guild_admin"
PASSWORD = "only-for-tests"

SEAL = (
    "memory_guild_seal",
    "memory_guild_seal_challenge",
    "memory_guild_seal_opened",
    "memory_guild_seal_salt",
)
TABLES = ("memory_records", "memory_embeddings", "memory_relationships", "data_sources", "memory_access_policies")


def with_user(url: str, user: str) -> str:
    """The URL, for another login of the same server."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{quote(user, safe='')}:{PASSWORD}@{authority.rpartition('@')[2]}{slash}{path}"


def user_of(url: str) -> str:
    """The login that the URL names."""
    return url.partition("://")[2].partition(":")[0]


@asynccontextmanager
async def login(database_url: str, attributes: str = AGENT) -> AsyncIterator[str]:
    """The database's URL for a new login role, which is gone after the block with all that it owns there.

    Args:
        database_url: A superuser's URL.
        attributes: What follows ``CREATE ROLE … LOGIN``.
    """
    name = f"mg_login_{uuid4().hex[:8]}"
    async with connected(database_url) as superuser:
        await superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' {attributes}")
        try:
            yield with_user(database_url, name)
        finally:
            await superuser.execute(f"RESET ROLE; DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


@asynccontextmanager
async def owner(database_url: str) -> AsyncIterator[str]:
    """The same for a login without privileges that owns the tables of a migrated database."""
    async with login(database_url, "") as url, connected(database_url) as superuser:
        for table in (*TABLES, "aerich", "memory_audit", "memory_sources", *SEAL):
            await superuser.execute(f"ALTER TABLE {table} OWNER TO {user_of(url)}")
        yield url


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[Connection]:
    """A plain connection."""
    connection = await asyncpg.connect(url, **options)
    try:
        yield connection
    finally:
        await connection.close()
