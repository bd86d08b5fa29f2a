"""Memory Guild: the data layer that AI agents trust with their memory.

Taught as ``import memory_guild as guild``. What one does with a memory or an edge is flat (``guild.remember``); what
operators do is in a namespace (``guild.schema.validate``).
"""

from memory_guild import audit, policies, schema, sources
from memory_guild.database.connecting import connect
from memory_guild.errors import MemoryGuildError
from memory_guild.graph.edges import relate, relate_many, unrelate
from memory_guild.graph.neighbors import contradictions, neighbors
from memory_guild.graph.relating_by_names import relate_by_names
from memory_guild.graph.versions import as_of, supersede
from memory_guild.graph.walks import path, subgraph, traverse
from memory_guild.memories.changing import update
from memory_guild.memories.erasing import ErasureReceipt, erase_tenant, erase_where
from memory_guild.memories.forgetting import forget, forget_where, purge, restore
from memory_guild.memories.reading import count, find, find_all, get, get_many
from memory_guild.memories.relations import fetch_relations
from memory_guild.memories.storing import remember, remember_many
from memory_guild.models import DataSource, MemoryAccessPolicy, MemoryEmbedding, MemoryRecord, MemoryRelationship
from memory_guild.protocols import Candidate, Embedder, VectorIndex, Verdict
from memory_guild.schema import upgrade
from memory_guild.search import embeddings
from memory_guild.search.embedding import embed_pending
from memory_guild.search.hydrating import hydrate
from memory_guild.search.recalling import recall
from memory_guild.search.sweep import SweepReport, sweep_vectors
from memory_guild.search.worker import SyncReport, sync_vectors, unregister_vector_index
from memory_guild.tenancy import admin_scope, tenant_scope
from memory_guild.types import DataSourceType, Direction, RelationshipType, SourceType, StoreOutcome

__version__ = "0.1.0"

__all__ = [
    "Candidate",
    "DataSource",
    "DataSourceType",
    "Direction",
    "Embedder",
    "ErasureReceipt",
    "MemoryAccessPolicy",
    "MemoryEmbedding",
    "MemoryGuildError",
    "MemoryRecord",
    "MemoryRelationship",
    "RelationshipType",
    "SourceType",
    "StoreOutcome",
    "SweepReport",
    "SyncReport",
    "VectorIndex",
    "Verdict",
    "__version__",
    "admin_scope",
    "as_of",
    "audit",
    "connect",
    "contradictions",
    "count",
    "embed_pending",
    "embeddings",
    "erase_tenant",
    "erase_where",
    "fetch_relations",
    "find",
    "find_all",
    "forget",
    "forget_where",
    "get",
    "get_many",
    "hydrate",
    "neighbors",
    "path",
    "policies",
    "purge",
    "recall",
    "relate",
    "relate_by_names",
    "relate_many",
    "remember",
    "remember_many",
    "restore",
    "schema",
    "sources",
    "subgraph",
    "supersede",
    "sweep_vectors",
    "sync_vectors",
    "tenant_scope",
    "traverse",
    "unregister_vector_index",
    "unrelate",
    "update",
    "upgrade",
]
