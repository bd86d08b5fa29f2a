"""The input of a decision: who wants to do what, to which memory. Its JSON Schema comes from these models."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from memory_guild.types import PolicyAction


class PolicyMemory(BaseModel):
    """The memory that a decision is about. Its text is no part of it: policies decide by what a memory is.

    Attributes:
        memory_id: Its id; null for one that is to be stored.
        agent_id: The agent that it belongs to.
        source_type: Where it comes from.
        metadata: Its metadata.
        created_at: When it came to be; null where that is not known, or it is to be stored now.
        updated_at: Its version; null for one that is to be stored.
        is_deleted: Whether it is forgotten.
    """

    model_config = ConfigDict(extra="forbid")

    memory_id: UUID | None = None
    agent_id: str
    source_type: str
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    is_deleted: bool = False


class PolicySource(BaseModel):
    """The source that the memory comes from, see ``guild.sources``.

    Attributes:
        name: Its name.
        source_type: Its type.
        trust: How much it is trusted, 0 to 1; null if nobody said.
        is_active: Whether memories may be stored from it.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    source_type: str
    trust: float | None = None
    is_active: bool = True


class PolicyInput(BaseModel):
    """What policies see as ``input``.

    Attributes:
        agent_id: The agent that acts: the scope's; null if it has none.
        tenant_id: The tenant.
        action: What it wants to do.
        memory: The memory; null where the action is about no memory in particular.
        source: The source of the memory; null if it has none.
    """

    model_config = ConfigDict(extra="forbid")

    agent_id: str | None = None
    tenant_id: str
    action: PolicyAction
    memory: PolicyMemory | None = None
    source: PolicySource | None = None
