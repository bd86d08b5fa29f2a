"""Memory Guild: the data layer that AI agents trust with their memory."""

from memory_guild.database import connect
from memory_guild.errors import MemoryGuildError
from memory_guild.models import DataSource, MemoryAccessPolicy, MemoryEmbedding, MemoryRecord, MemoryRelationship
from memory_guild.tenancy import admin_scope, tenant_scope
from memory_guild.types import DataSourceType, RelationshipType, SourceType

__all__ = [
    "DataSource",
    "DataSourceType",
    "MemoryAccessPolicy",
    "MemoryEmbedding",
    "MemoryGuildError",
    "MemoryRecord",
    "MemoryRelationship",
    "RelationshipType",
    "SourceType",
    "admin_scope",
    "connect",
    "tenant_scope",
]
