"""The models as they would be without tenancy: the same columns and checks, and no scope needed to query them."""

from __future__ import annotations

from copy import copy
from typing import Any
from uuid import UUID

from tortoise import fields

from memory_guild.models import MemoryRecord, MemoryRelationship, StrictModel


def _column(model: type[StrictModel], name: str) -> Any:
    """A column of the package's model, for another model."""
    return copy(model._meta.fields_map[name])


class Memory(StrictModel):
    """A memory of whatever tenant."""

    memory_id = _column(MemoryRecord, "memory_id")
    agent_id = _column(MemoryRecord, "agent_id")
    tenant_id = _column(MemoryRecord, "tenant_id")
    source_type = _column(MemoryRecord, "source_type")
    content_text = _column(MemoryRecord, "content_text")
    content_hash = _column(MemoryRecord, "content_hash")
    metadata = _column(MemoryRecord, "metadata")
    created_at = _column(MemoryRecord, "created_at")
    updated_at = _column(MemoryRecord, "updated_at")
    is_deleted = _column(MemoryRecord, "is_deleted")
    deleted_at = _column(MemoryRecord, "deleted_at")

    class Meta:
        table = "memory_records"


class Relationship(StrictModel):
    """An edge between whatever memories."""

    relationship_id = _column(MemoryRelationship, "relationship_id")
    source_memory: fields.ForeignKeyRelation[Memory] = fields.ForeignKeyField("by_hand.Memory", related_name="outgoing")
    source_memory_id: UUID
    target_memory: fields.ForeignKeyRelation[Memory] = fields.ForeignKeyField("by_hand.Memory", related_name="incoming")
    target_memory_id: UUID
    relationship_type = _column(MemoryRelationship, "relationship_type")
    confidence_score = _column(MemoryRelationship, "confidence_score")
    created_at = _column(MemoryRelationship, "created_at")

    class Meta:
        table = "memory_relationships"
