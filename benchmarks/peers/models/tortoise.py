"""The tables as stock Tortoise models."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tortoise import Model, fields


class Memory(Model):
    """A memory."""

    memory_id = fields.UUIDField(primary_key=True)
    agent_id = fields.CharField(max_length=255)
    tenant_id = fields.CharField(max_length=255)
    source_type = fields.CharField(max_length=50)
    content_text = fields.TextField()
    content_hash = fields.CharField(max_length=64)
    metadata: dict[str, Any] | None = fields.JSONField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)
    updated_at = fields.DatetimeField(auto_now=True)
    is_deleted = fields.BooleanField(default=False)
    deleted_at = fields.DatetimeField(null=True)

    class Meta:
        table = "memory_records"


class Embedding(Model):
    """Where a memory's vector lies."""

    embedding_id = fields.UUIDField(primary_key=True)
    memory: fields.ForeignKeyRelation[Memory] = fields.ForeignKeyField("peers.Memory", related_name="embeddings")
    vector_id = fields.CharField(max_length=255)
    embedding_model = fields.CharField(max_length=100)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "memory_embeddings"


class Edge(Model):
    """An edge from a memory to another."""

    relationship_id = fields.UUIDField(primary_key=True)
    source_memory: fields.ForeignKeyRelation[Memory] = fields.ForeignKeyField("peers.Memory", related_name="outgoing")
    source_memory_id: UUID
    target_memory: fields.ForeignKeyRelation[Memory] = fields.ForeignKeyField("peers.Memory", related_name="incoming")
    target_memory_id: UUID
    relationship_type = fields.CharField(max_length=50)
    confidence_score = fields.FloatField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "memory_relationships"
