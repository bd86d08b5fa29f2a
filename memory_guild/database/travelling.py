"""What a scope says to Citus: which settings travel to the worker that has the schema.

A worker knows nothing of what the coordinator's transaction was told, unless ``citus.propagate_set_commands`` is on.
Then each statement that sets something travels, and with it the whole string that it stands in: the BEGIN, or the
COMMIT before the worker has prepared it. So what is to travel stands in a DO block, in which it is a string of its own,
and which switches the travelling off again at its end: :func:`travelling`.
"""

from __future__ import annotations

from typing import Any

from memory_guild.database.quoting import quote_identifier, quote_literal

STAY = "DO 'BEGIN SET LOCAL citus.propagate_set_commands = ''none''; END'; "
"""Goes before several statements in one string that set something: whatever a statement of the scope has said."""

WORKER_SETTINGS = (
    "SET LOCAL row_security = on",
    "EXECUTE pg_catalog.format('SET LOCAL timezone = %L', pg_catalog.current_setting('timezone'))",
)
"""What a worker's session has from its own server: whatever that is, policies apply, and times are read alike."""

LOGIN = "EXECUTE pg_catalog.format('SET LOCAL memory_guild.login = %L', session_user)"
"""Tells the worker, where everybody is the scope's role, who that is: for what the audit's triggers record."""


def travelling(*settings: str) -> str:
    """The statement that sets something for the transaction on the coordinator and on the worker.

    Args:
        *settings: ``SET LOCAL`` statements without their semicolons, or others that execute one.
    """
    body = "; ".join(
        (
            "BEGIN SET LOCAL citus.propagate_set_commands = 'local'",
            *settings,
            "SET LOCAL citus.propagate_set_commands = 'none'",
            "END",
        )
    )
    return f"DO {quote_literal(body)}"


def opening_call(schema: str, arguments: str) -> str:
    """The statement that opens a sealed schema's scope on the worker: it reads a column there, so it runs there."""
    home = quote_identifier(schema)
    return f"SELECT {home}.memory_guild_open(created_at, {arguments}) FROM {home}.memory_guild_seal"


async def new_challenge(connection: Any, schema: str) -> int:
    """A new challenge of the worker's session; 0 where the schema has no key."""
    home = quote_identifier(schema)
    told = await connection.fetchval(f"SELECT {home}.memory_guild_challenge(created_at) FROM {home}.memory_guild_seal")
    return int(told or 0)
