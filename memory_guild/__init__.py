"""Memory Guild: the data layer that AI agents trust with their memory."""

from memory_guild.database import connect
from memory_guild.edges import relate, relate_many, unrelate
from memory_guild.errors import MemoryGuildError
from memory_guild.graph import contradictions, neighbors, path, subgraph, traverse
from memory_guild.history import as_of, supersede
from memory_guild.ingest import remember, remember_many
from memory_guild.lifecycle import forget, forget_where, purge, restore, update
from memory_guild.lookup import count, find, find_all, get, get_many
from memory_guild.models import DataSource, MemoryAccessPolicy, MemoryEmbedding, MemoryRecord, MemoryRelationship
from memory_guild.related import fetch_relations
from memory_guild.tenancy import admin_scope, tenant_scope
from memory_guild.types import DataSourceType, Direction, RelationshipType, SourceType, StoreOutcome

__all__ = [
    "DataSource",
    "DataSourceType",
    "Direction",
    "MemoryAccessPolicy",
    "MemoryEmbedding",
    "MemoryGuildError",
    "MemoryRecord",
    "MemoryRelationship",
    "RelationshipType",
    "SourceType",
    "StoreOutcome",
    "admin_scope",
    "as_of",
    "connect",
    "contradictions",
    "count",
    "fetch_relations",
    "find",
    "find_all",
    "forget",
    "forget_where",
    "get",
    "get_many",
    "neighbors",
    "path",
    "purge",
    "relate",
    "relate_many",
    "remember",
    "remember_many",
    "restore",
    "subgraph",
    "supersede",
    "tenant_scope",
    "traverse",
    "unrelate",
    "update",
]
