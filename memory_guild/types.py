"""Enums and limits: the choices and lengths of the specification."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias, get_args

NAME_MAX_LENGTH = 255
"""The most characters in an ``agent_id``, ``tenant_id``, ``vector_id``, ``source_name`` or ``policy_name``."""

EMBEDDING_MODEL_MAX_LENGTH = 100
"""The most characters in the name of an embedding model."""

CHOICE_MAX_LENGTH = 50
"""The most characters in a column whose values are the members of an enum."""

CONTENT_HASH_MAX_LENGTH = 64
"""The most characters in a ``content_hash``. An MD5 in hexadecimal has 32."""


Relation: TypeAlias = Literal["embeddings", "outgoing_edges", "incoming_edges"]
"""A relation of a memory, to read along with it."""

RELATIONS: tuple[Relation, ...] = get_args(Relation)
"""All relations of a memory."""


class SourceType(StrEnum):
    """Where a memory comes from."""

    CONVERSATION = "conversation"
    TOOL_OUTPUT = "tool_output"
    DOCUMENT = "document"
    OBSERVATION = "observation"
    EXTERNAL = "external"


class RelationshipType(StrEnum):
    """What an edge says: its source references, contradicts, supports or follows its target, or is related to it."""

    REFERENCES = "references"
    CONTRADICTS = "contradicts"
    SUPPORTS = "supports"
    FOLLOWS = "follows"
    RELATED = "related"


class DataSourceType(StrEnum):
    """The kind of system that a data source is."""

    API = "api"
    DATABASE = "database"
    FILE_SYSTEM = "file_system"
    WEBHOOK = "webhook"
    MANUAL = "manual"


class StoreOutcome(StrEnum):
    """What happened to a memory that was to be stored."""

    CREATED = "created"
    EXISTING = "existing"
    RESTORED = "restored"
    REFUSED = "refused"


class Direction(StrEnum):
    """Which edges of a memory to follow: those that leave it, those that reach it, or both."""

    OUTGOING = "outgoing"
    INCOMING = "incoming"
    BOTH = "both"
