"""The tables as Django models."""

from __future__ import annotations

import uuid

import django
from django.conf import settings
from django.db import models

if not settings.configured:
    settings.configure(USE_TZ=True)  # the connections are added by whoever opens them
    django.setup()


class Memory(models.Model):
    """A memory."""

    memory_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    agent_id = models.CharField(max_length=255)
    tenant_id = models.CharField(max_length=255)
    source_type = models.CharField(max_length=50)
    content_text = models.TextField()
    content_hash = models.CharField(max_length=64)
    metadata = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    is_deleted = models.BooleanField(default=False)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "peers"
        managed = False
        db_table = "memory_records"


class Embedding(models.Model):
    """Where a memory's vector lies."""

    embedding_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    memory = models.ForeignKey(Memory, models.CASCADE, related_name="embeddings")
    vector_id = models.CharField(max_length=255)
    embedding_model = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "peers"
        managed = False
        db_table = "memory_embeddings"


class Edge(models.Model):
    """An edge from a memory to another."""

    relationship_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    source_memory = models.ForeignKey(Memory, models.CASCADE, related_name="outgoing")
    target_memory = models.ForeignKey(Memory, models.CASCADE, related_name="incoming")
    relationship_type = models.CharField(max_length=50)
    confidence_score = models.FloatField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "peers"
        managed = False
        db_table = "memory_relationships"
