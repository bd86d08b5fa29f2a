"""What a scope of the random steps does, and what its tenant has afterwards if it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from memory_guild.database.engine import client
from memory_guild.errors import (
    PermissionDeniedError,
    ServerUnreachableError,
    TenantMismatchError,
    UnknownMemoryError,
)
from memory_guild.models import MemoryEmbedding, MemoryRecord, MemoryRelationship
from memory_guild.tenancy import tenant_scope
from tests.tenancy.count import COUNT
from tests.tenancy.verb_programs import VERB_STEPS

Kill = Callable[[int], Awaitable[None]]
TENANTS = ("acme", "bolt", "citadel's \\ friends")
ACTIONS = (
    "remember", "update", "forget", "embed", "link", "read", "attack by id", "attack by edge", "attack by tenant",
    "attack by update", "attack by raw", "nest", "nest and fail", "gather", "fail quietly", "kill", *VERB_STEPS,
)  # fmt: skip
ENDINGS = ("commit", "commit", "commit", "raise", "cancel", "timeout")


@dataclass(frozen=True)
class Program:
    """What one scope does.

    Attributes:
        tenant_id: Whose scope it is.
        actions: What it does, in order.
        ending: How it ends.
        moment: After how many turns of the event loop, or tenths of a millisecond, it is interrupted.
    """

    tenant_id: str
    actions: tuple[str, ...]
    ending: str
    moment: int


@dataclass
class Rows:
    """What a tenant has: texts by id, and the ids that have an embedding or an edge to another."""

    texts: dict[UUID, str] = field(default_factory=dict)
    embedded: set[UUID] = field(default_factory=set)
    edges: set[tuple[UUID, UUID]] = field(default_factory=set)

    def copy(self) -> Rows:
        """The same, to be changed."""
        return Rows(dict(self.texts), set(self.embedded), set(self.edges))

    def forget(self, memory_id: UUID) -> None:
        """Remove a memory and what refers to it."""
        del self.texts[memory_id]
        self.embedded.discard(memory_id)
        self.edges = {edge for edge in self.edges if memory_id not in edge}


class Undone(Exception):  # noqa: N818
    """Ends a program, or a nested scope, on purpose."""


_numbers = count(1)


class Run:
    """One program at work.

    Attributes:
        marker: The text of its first row.
        before: What the tenant had when the program began.
        rows: What the tenant has if the program commits.
        own: The ids of those that only this program changes, so that none waits for another.
    """

    def __init__(self, program: Program, rows: Rows, own: list[UUID], strangers: list[UUID], kill: Kill) -> None:
        self.program = program
        self.marker = f"marker {next(_numbers)} of {program.tenant_id}"
        self.before = rows.copy()
        self.rows = self.before.copy()
        self._kill_backend = kill
        self.own = own
        self._strangers = strangers

    async def work(self) -> None:
        """Run the program in a scope."""
        async with tenant_scope(self.program.tenant_id, agent_id="agent"):
            await self._remember(self.marker)
            self.own.pop()  # it stays as it is
            await self._remember()
            for action in self.program.actions:
                COUNT.operations += 1
                await self._do(action)
            if self.program.ending == "raise":
                raise Undone

    async def _do(self, action: str) -> None:
        if action in VERB_STEPS:
            await VERB_STEPS[action](self)
        elif action.startswith("attack"):
            await self._attack(action)
        elif action.startswith("nest"):
            await self._nest(fail=action != "nest")
        else:
            steps: dict[str, Callable[[], Awaitable[Any]]] = {
                "remember": self._remember, "update": self._update, "forget": self._forget, "embed": self._embed,
                "link": self._link, "read": self._read, "gather": self._gather, "fail quietly": self._fail_quietly,
                "kill": self._kill,
            }  # fmt: skip
            await steps[action]()

    async def _remember(self, text: str | None = None) -> None:
        text = text or f"text {next(_numbers)} of {self.program.tenant_id}"
        stored = await MemoryRecord.create(source_type="document", content_text=text)
        self.rows.texts[stored.memory_id] = text
        self.own.append(stored.memory_id)

    async def _update(self) -> None:
        memory_id, text = self.own[0], f"changed {next(_numbers)} by {self.program.tenant_id}"
        memory = await MemoryRecord.get(memory_id=memory_id)
        memory.content_text = text
        await memory.save()
        self.rows.texts[memory_id] = text

    async def _forget(self) -> None:
        if len(self.own) > 1:
            assert await MemoryRecord.filter(memory_id=self.own[0]).delete() == 1
            self.rows.forget(self.own.pop(0))

    async def _embed(self) -> None:
        memory_id = self.own[-1]
        if memory_id not in self.rows.embedded:
            await MemoryEmbedding.create(memory_id=memory_id, vector_id="v", embedding_model="small")
            self.rows.embedded.add(memory_id)

    async def _link(self) -> None:
        edge = (self.own[0], self.own[-1])
        if edge[0] != edge[1] and edge not in self.rows.edges:
            await MemoryRelationship.create(
                source_memory_id=edge[0], target_memory_id=edge[1], relationship_type="supports"
            )
            self.rows.edges.add(edge)

    async def _read(self) -> None:
        found = await MemoryRecord.all().prefetch_related("embeddings", "outgoing_edges")
        assert {memory.tenant_id for memory in found} == {self.program.tenant_id}
        assert all(self.program.tenant_id in memory.content_text for memory in found)
        for embedding in await MemoryEmbedding.all().select_related("memory"):
            assert embedding.memory.tenant_id == self.program.tenant_id

    async def _gather(self) -> None:
        await asyncio.gather(self._remember(), self._read(), self._remember())

    async def _nest(self, *, fail: bool) -> None:
        rows, own = self.rows.copy(), list(self.own)
        try:
            async with tenant_scope(self.program.tenant_id):
                await self._remember()
                await self._forget()
                await self._update()
                if fail:
                    raise Undone
        except Undone:
            self.rows, self.own[:] = rows, own

    async def _fail_quietly(self) -> None:
        try:
            async with tenant_scope(self.program.tenant_id):
                await self._remember()
                await client().execute_query("SELECT 1 / 0")
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if isinstance(error, ServerUnreachableError):
                raise
            self.rows.texts.popitem()
            self.own.pop()

    async def _kill(self) -> None:
        (row,) = await client().execute_query_dict("SELECT pg_backend_pid() AS pid")
        await self._kill_backend(row["pid"])

    def a_stranger(self) -> UUID:
        """The id of another tenant's memory, or one that nobody has."""
        return self._strangers[0] if self._strangers else uuid4()

    async def _attack(self, action: str) -> None:
        stranger = self.a_stranger()
        victim = next(tenant_id for tenant_id in TENANTS if tenant_id != self.program.tenant_id)
        if action == "attack by update":
            assert await MemoryRecord.filter(memory_id=stranger).update(content_text="changed by a stranger") == 0
            assert await MemoryRecord.filter(memory_id=stranger).delete() == 0
            assert await MemoryRecord.get_or_none(memory_id=stranger) is None
        elif action == "attack by raw":
            for table in ("memory_records", "memory_embeddings"):
                assert not await client().execute_query_dict(
                    f"SELECT * FROM {table} WHERE memory_id = $1 FOR UPDATE", [stranger]
                )
        else:
            row: dict[str, Any] = {"source_type": "document", "content_text": "planted by a stranger"}
            attempts: dict[str, tuple[type[Exception], Callable[[], Awaitable[Any]]]] = {
                "attack by id": (PermissionDeniedError, lambda: MemoryRecord.create(memory_id=stranger, **row)),
                "attack by edge": (
                    UnknownMemoryError,
                    lambda: MemoryRelationship.create(
                        source_memory_id=self.own[0], target_memory_id=stranger, relationship_type="related"
                    ),
                ),
                "attack by tenant": (TenantMismatchError, lambda: MemoryRecord.create(tenant_id=victim, **row)),
            }
            expected, attempt = attempts[action]
            try:
                async with tenant_scope(self.program.tenant_id):
                    await attempt()
            except expected:
                return
            raise AssertionError(f"{action} was not refused")
