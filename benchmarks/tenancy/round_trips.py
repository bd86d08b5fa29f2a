"""Counting round trips: a proxy before the server that counts how often the server says that it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import asyncpg

from memory_guild.settings import Settings

_READY_FOR_QUERY = b"Z"


class RoundTrips:
    """How many round trips there were.

    The server ends its answer to each query, and to each statement with arguments, with one ReadyForQuery. A statement
    that the connection does not know yet takes another one, when it is prepared.

    Attributes:
        count: All of them so far.
    """

    def __init__(self) -> None:
        self.count = 0

    async def forward(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Pass the server's messages on, one by one.

        Source: "Message Formats" in PostgreSQL's documentation: one byte that says what it is, then its length.
        """
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                header = await server.readexactly(5)
                message = await server.readexactly(int.from_bytes(header[1:], "big") - 4)
                self.count += header[:1] == _READY_FOR_QUERY
                client.write(header + message)
                await client.drain()
        client.close()


@asynccontextmanager
async def counted(settings: Settings) -> AsyncIterator[tuple[Settings, RoundTrips]]:
    """Settings that lead through the proxy, and its count; the server is asked without TLS."""
    assert settings.database_url is not None
    address = await _address(settings)
    trips = RoundTrips()

    async def serve(client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if isinstance(address, str):
            server_reader, server = await asyncio.open_unix_connection(address)
        else:
            server_reader, server = await asyncio.open_connection(*address)
        await asyncio.gather(_forward(client_reader, server), trips.forward(server_reader, client))

    proxy = await asyncio.start_server(serve, "127.0.0.1")
    port = proxy.sockets[0].getsockname()[1]
    url = replace(settings.database_url, hosts=f"127.0.0.1:{port}", query="sslmode=disable")
    async with proxy:
        yield replace(settings, database_url=url), trips


async def _address(settings: Settings) -> str | tuple[str, int]:
    """Where asyncpg finds the server: a socket's path, or host and port."""
    connection = await asyncpg.connect(**arguments(settings))
    try:
        address: str | tuple[str, int] = connection._addr
        return address
    finally:
        await connection.close()


def arguments(settings: Settings) -> dict[str, Any]:
    """What asyncpg itself takes to connect."""
    url = settings.database_url
    assert url is not None
    return {"dsn": url.dsn, "user": url.user, "password": url.password, "database": url.database}


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
