"""A proxy before the server under test that counts round trips: what a client sends until the server answers is one."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

from tests.tenancy.pgbouncer import Address, address_of, through

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class RoundTrips:
    """How many there were; what several connections do is added up."""

    def __init__(self) -> None:
        self.count = 0
        self._counted = 0

    def since_last(self) -> int:
        """The number since the last call."""
        last, self._counted = self._counted, self.count
        return self.count - last


class _Line:
    """One client's connection: a round trip begins when the client speaks again after the server has."""

    def __init__(self, trips: RoundTrips) -> None:
        self._trips = trips
        self._asked = False

    def ask(self) -> None:
        self._asked = True

    def answer(self) -> None:
        if self._asked:
            self._trips.count += 1
        self._asked = False


@asynccontextmanager
async def counting_proxy(url: str) -> AsyncIterator[tuple[str, RoundTrips]]:
    """A URL that leads to the same server through the proxy, and the count."""
    trips = RoundTrips()
    server_address = address_of(url)
    open_lines: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_lines.add(task)
        await _pass_on((reader, writer), await _connect(server_address), _Line(trips))
        open_lines.discard(task)

    folder = Path(tempfile.mkdtemp(prefix="mg-"))
    server = await asyncio.start_unix_server(serve, folder / ".s.PGSQL.5432")
    try:
        yield through(folder, url), trips
    finally:
        server.close()
        await asyncio.gather(*open_lines)
        shutil.rmtree(folder)


async def _connect(address: Address) -> Streams:
    socket = Path(address.host) / f".s.PGSQL.{address.port}"
    if socket.exists():
        return await asyncio.open_unix_connection(socket)
    return await asyncio.open_connection(address.host, address.port)


async def _pass_on(client: Streams, server: Streams, line: _Line) -> None:
    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[], None]) -> None:
        while data := await reader.read(65536):
            note()
            writer.write(data)
        writer.close()

    await asyncio.gather(copy(client[0], server[1], line.ask), copy(server[0], client[1], line.answer))
