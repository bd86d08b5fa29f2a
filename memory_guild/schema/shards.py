"""The policies of the shards, on Citus: with sub-queries, which take half the time of the tables' functions.

A distributed table takes no such policy, and a shard does. One that Citus moves to another worker has the table's
policy there, which lets through the same rows; this makes it fast again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_guild.database.engine import client
from memory_guild.database.isolation import Finding
from memory_guild.database.sqlstate import translated_errors
from memory_guild.database.statements import statement
from memory_guild.errors import SchemaError

if TYPE_CHECKING:
    import asyncpg


async def quicken(connection: asyncpg.Connection[asyncpg.Record], schema: str) -> None:
    """Give the shards of a schema policies with sub-queries, if the server has Citus and the schema is distributed.

    Args:
        connection: The owner's, in no transaction that has changed the tables: the workers' own ones do this.
        schema: The schema.

    Raises:
        SchemaError: A worker refused it.
    """
    if not client().pool.is_distributed:
        return
    with translated_errors():
        for row in await connection.fetch(statement("schema/citus/shard_policies"), schema):
            refused = await connection.fetch(statement("schema/citus/on_shards"), row["table_id"], row["statement"])
            if refused:
                raise SchemaError(f"a worker refused the policy of {row['table_id']}: {refused[0]['result']}")


async def quickness() -> list[Finding]:
    """Whether the shards have them; nothing where the schema is not one of Citus."""
    if not client().pool.is_distributed:
        return []
    (found,) = await client().execute_query_dict(statement("schema/citus/slow_shards"))
    if found["shards"]:
        return [
            Finding(
                "notice",
                "policies of the shards",
                "a shard was moved, and asks a function for each edge: walks take twice as long",
                "run `memory-guild upgrade`",
            )
        ]
    return [Finding("ok", "policies of the shards", "with sub-queries")]
