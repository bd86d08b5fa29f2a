"""What the results of the verbs have in common: they can be used as what one wants from them.

A result about one memory has the memory's attributes, and a result of several is a list of them. Every verb takes the
one for its memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

from tortoise.fields import ReverseRelation

from memory_guild.models import MemoryEmbedding, MemoryRecord, MemoryRelationship
from memory_guild.types import SourceType

_SHOWN = 3
_SHOWN_IN_NOTEBOOKS = 20


class MemoryResult:
    """A result that is about one memory and can be used as that memory.

    ``result.content_text`` is ``result.memory.content_text``, and so on for all of the memory's attributes and methods.
    They cannot be set here; set them on ``result.memory``. A result equals its memory.
    """

    __slots__ = ()

    # The columns and relations of the memory, for type checkers. They have no value here, so __getattr__ finds them.
    memory_id: UUID
    agent_id: str
    tenant_id: str
    source_type: SourceType
    content_text: str
    content_hash: str
    metadata: dict[str, Any]
    created_at: datetime | None
    updated_at: datetime | None
    is_deleted: bool | None
    deleted_at: datetime | None
    embeddings: ReverseRelation[MemoryEmbedding]
    outgoing_edges: ReverseRelation[MemoryRelationship]
    incoming_edges: ReverseRelation[MemoryRelationship]

    if TYPE_CHECKING:  # the named tuples that are results have these

        def _asdict(self) -> dict[str, Any]: ...

        @property
        def memory(self) -> MemoryRecord:
            """The memory as a model."""

    def __getattr__(self, name: str) -> Any:
        """An attribute of the memory."""
        if name.startswith("_"):  # what libraries ask any object for, to find out what it is
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.memory, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to set an attribute, because saving the memory would not save it."""
        raise AttributeError(f"a result cannot be changed; set {name} on its memory: result.memory.{name} = …")

    def __eq__(self, other: object) -> bool:
        """Whether the other one is the memory, or the same result."""
        return self.memory == other if isinstance(other, MemoryRecord) else super().__eq__(other)

    def __hash__(self) -> int:
        return hash(self.memory)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show it in a notebook, with the beginning of the text."""
        fields = self._asdict()
        printer.text(f"{type(self).__name__}(")
        printer.pretty(fields.pop("memory"))
        printer.text("".join(f", {name}={_plain(value)}" for name, value in fields.items()) + ")")

    def __dir__(self) -> Iterable[str]:
        """Its own names and the memory's."""
        return {*super().__dir__(), *self.memory._meta.fields_map}


def _plain(value: object) -> str:
    """The value in a few words: a member of an enum as its text, a long list as its length."""
    if isinstance(value, (list, tuple)) and len(value) > _SHOWN:
        return f"[{len(value):,} of them]"
    return repr(str(value)) if isinstance(value, StrEnum) else repr(value)


class HasMemoryId(Protocol):
    """What names a memory by its ``memory_id``: a model, a serializer, a result, or an outcome of ``remember_many``."""

    @property
    def memory_id(self) -> Any:
        """The id of the memory."""


_Item = TypeVar("_Item", bound=HasMemoryId)


class Results(list[_Item]):
    """Several results about memories, in order: a list that is false if there are none.

    ``memory in results`` compares ids, so it takes whatever names a memory: a model, a result, an id, or its text.
    """

    def __contains__(self, memory: object) -> bool:
        """Whether one of the results is about the memory."""
        memory_id = getattr(memory, "memory_id", memory)
        if isinstance(memory_id, str):
            try:
                memory_id = UUID(memory_id)
            except ValueError:
                return False
        return any(item.memory_id == memory_id for item in self)

    def __repr__(self) -> str:
        first = [repr(item) for item in self[:_SHOWN]] + ["…"] * (len(self) > _SHOWN)
        return f"<{type(self).__name__} of {len(self):,}: [{', '.join(first)}]{self._more()}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show it in a notebook, a line for each of the first results."""
        printer.text(f"<{type(self).__name__} of {len(self):,}{self._more()}>")
        for item in self[:_SHOWN_IN_NOTEBOOKS]:
            printer.text("\n  ")
            printer.pretty(item)
        if len(self) > _SHOWN_IN_NOTEBOOKS:
            printer.text("\n  …")

    def _more(self) -> str:
        return "".join(f", {name}={_plain(value)}" for name, value in vars(self).items())


class Memories(Results[MemoryRecord]):
    """Several memories, in order."""

    @property
    def memories(self) -> list[MemoryRecord]:
        """The memories: the list itself, under a name that says what it holds."""
        return self
