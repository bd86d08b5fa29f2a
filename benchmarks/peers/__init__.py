"""The peers: other ways to the same rows, each as its own documentation recommends it, all with the same verbs.

Each module has a ``connect()`` that opens the peer with so many connections to a schema. Reads go to the package's own
tables, under its policies: a peer becomes the application's role and sets the tenant, in one statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Context
from typing import Any, Protocol, TypeAlias
from uuid import UUID

Item: TypeAlias = dict[str, Any]
"""A memory to store: agent_id, tenant_id, source_type, content_text, metadata."""

NEWEST = 50
HOPS = 3


class Peer(Protocol):
    """A peer that works on the package's tables. LangGraph's store has tables and verbs of its own, and fewer of them.

    Attributes:
        name: What the tables call it.
        context: The context variables that it works with.
    """

    name: str
    context: Context

    async def get_alone(self, tenant_id: str, memory_id: UUID) -> object:
        """Read a memory in a transaction of its own."""

    async def store_many(self, items: Sequence[Item]) -> object:
        """Store the memories that are not there yet, in a transaction of its own."""

    async def begin(self, tenant_id: str) -> None:
        """Open a transaction for a tenant, in which the rest is done."""

    async def roll_back(self) -> None:
        """Undo it."""

    async def get(self, tenant_id: str, memory_id: UUID) -> object:
        """Read a memory."""

    async def newest(self, tenant_id: str) -> Sequence[object]:
        """Read the newest 50 memories, each with its embeddings and outgoing edges."""

    async def hops(self, tenant_id: str, start: UUID, direction: str, limit: int) -> Sequence[object]:
        """Read the memories up to three hops from one: along the edges (``outgoing``), or either way (``both``)."""
