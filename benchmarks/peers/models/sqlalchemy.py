"""The tables as SQLAlchemy's declarative classes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

_RANDOM_ID = text("gen_random_uuid()")


class Table(DeclarativeBase):
    """What the three share."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        str: String,
    }


class Memory(Table):
    """A memory."""

    __tablename__ = "memory_records"

    memory_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=_RANDOM_ID)
    agent_id: Mapped[str] = mapped_column(String(255))
    tenant_id: Mapped[str] = mapped_column(String(255))
    source_type: Mapped[str] = mapped_column(String(50))
    content_text: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[str] = mapped_column(String(64))
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    created_at: Mapped[datetime | None] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[datetime | None] = mapped_column(server_default=text("now()"))
    is_deleted: Mapped[bool | None] = mapped_column(server_default=text("false"))
    deleted_at: Mapped[datetime | None]

    embeddings: Mapped[list[Embedding]] = relationship()
    outgoing: Mapped[list[Edge]] = relationship(foreign_keys="Edge.source_memory_id")
    incoming: Mapped[list[Edge]] = relationship(foreign_keys="Edge.target_memory_id")


class Embedding(Table):
    """Where a memory's vector lies."""

    __tablename__ = "memory_embeddings"

    embedding_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=_RANDOM_ID)
    memory_id: Mapped[UUID] = mapped_column(ForeignKey(Memory.memory_id))
    vector_id: Mapped[str] = mapped_column(String(255))
    embedding_model: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime | None] = mapped_column(server_default=text("now()"))


class Edge(Table):
    """An edge from a memory to another."""

    __tablename__ = "memory_relationships"

    relationship_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=_RANDOM_ID)
    source_memory_id: Mapped[UUID] = mapped_column(ForeignKey(Memory.memory_id))
    target_memory_id: Mapped[UUID] = mapped_column(ForeignKey(Memory.memory_id))
    relationship_type: Mapped[str] = mapped_column(String(50))
    confidence_score: Mapped[float | None]
    created_at: Mapped[datetime | None] = mapped_column(server_default=text("now()"))
