"""The package and its peers as sides of a comparison: opened together, in transactions together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from benchmarks.contexts import within
from benchmarks.interleave import Side, timed
from benchmarks.peers import Peer, django, memory_guild, sqlalchemy, tortoise
from benchmarks.peers import asyncpg as raw
from benchmarks.peers.asyncpg import AsyncpgPeer
from benchmarks.peers.memory_guild import MemoryGuildPeer


@dataclass(frozen=True)
class Opened:
    """All that work on the package's tables, with one connection each."""

    ours: MemoryGuildPeer
    by_hand: AsyncpgPeer
    orms: Sequence[Peer]

    @property
    def all(self) -> list[Peer]:
        """All of them, the package first."""
        return [self.ours, self.by_hand, *self.orms]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Opened]:
    """Open them."""
    async with AsyncExitStack() as stack:
        orms: list[Peer] = [
            await stack.enter_async_context(tortoise.connect(url)),
            await stack.enter_async_context(sqlalchemy.connect(url)),
            await stack.enter_async_context(django.connect(url)),
        ]
        by_hand = await stack.enter_async_context(raw.connect(url))
        # The package comes last, see open_context().
        yield Opened(await stack.enter_async_context(memory_guild.connect(url)), by_hand, orms)


@asynccontextmanager
async def transactions(peers: Sequence[Peer], tenant_id: str) -> AsyncIterator[None]:
    """A transaction for the tenant in each; undone at the end."""
    async with AsyncExitStack() as stack:
        for peer in peers:
            await within(peer.context, peer.begin(tenant_id))
            stack.push_async_callback(partial(_roll_back, peer))
        yield


async def _roll_back(peer: Peer) -> None:
    await within(peer.context, peer.roll_back())


def sides(peers: Sequence[Peer], work: Callable[[Peer, int], Awaitable[object]]) -> dict[str, Side]:
    """The same work of each, in its context, by name."""
    return {peer.name: Side(timed(partial(work, peer)), peer.context) for peer in peers}
