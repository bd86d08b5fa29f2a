"""What the verbs of storing mean, in plain Python: dicts that tests compare the database with."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

Key: TypeAlias = tuple[str, str]  # agent_id and content_text: what a tenant has once


@dataclass
class Remembered:
    """One memory as it must be."""

    memory_id: UUID
    source_type: str
    metadata: dict[str, Any]
    is_forgotten: bool = False


@dataclass
class Tenant:
    """One tenant's memories, oldest first."""

    memories: dict[Key, Remembered] = field(default_factory=dict)

    def copy(self) -> Tenant:
        """The same memories, which can be changed on their own."""
        return deepcopy(self)

    def outcome(self, key: Key, on_forgotten: str) -> str:
        """What storing the text will become of."""
        known = self.memories.get(key)
        if known is None:
            return "created"
        if not known.is_forgotten or on_forgotten == "keep":
            return "existing"
        return "restored" if on_forgotten == "restore" else "refused"

    def store(self, key: Key, memory_id: UUID, source_type: str, metadata: dict[str, Any], on_forgotten: str) -> None:
        """Store it, as the outcome says."""
        match self.outcome(key, on_forgotten):
            case "created":
                assert memory_id not in {memory.memory_id for memory in self.memories.values()}
                self.memories[key] = Remembered(memory_id, source_type, metadata)
            case "restored":
                self.memories[key].is_forgotten = False

    def set_forgotten(self, keys: set[Key], is_forgotten: bool) -> int:
        """Forget or restore; how many change."""
        changing = [memory for key in keys if (memory := self.memories[key]).is_forgotten is not is_forgotten]
        for memory in changing:
            memory.is_forgotten = is_forgotten
        return len(changing)

    def purge(self) -> int:
        """Delete what is forgotten; how many."""
        gone = [key for key, memory in self.memories.items() if memory.is_forgotten]
        for key in gone:
            del self.memories[key]
        return len(gone)

    def found(self, *, include_forgotten: bool = False, **conditions: Any) -> dict[Key, Remembered]:
        """The memories that fulfil the conditions, newest first."""
        return {
            key: memory
            for key, memory in reversed(self.memories.items())
            if (include_forgotten or not memory.is_forgotten)
            and conditions.get("agent_id") in (None, key[0])
            and conditions.get("source_type") in (None, memory.source_type)
            and all(memory.metadata.get(name) == value for name, value in conditions.get("metadata", {}).items())
        }
