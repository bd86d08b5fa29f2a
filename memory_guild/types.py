"""Enums and limits: the closed lists and lengths of the specification, as Python values."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias, get_args

NAME_MAX_LENGTH = 255
"""Characters in an ``agent_id``, ``tenant_id``, ``vector_id``, ``source_name`` or ``policy_name``."""

EMBEDDING_MODEL_MAX_LENGTH = 100
"""Characters in the name of an embedding model."""

CHOICE_MAX_LENGTH = 50
"""Characters in a column that holds one of a closed list of values."""

CONTENT_HASH_MAX_LENGTH = 64
"""Characters that ``content_hash`` can hold; an MD5 in hexadecimal takes 32."""


Relation: TypeAlias = Literal["embeddings", "outgoing_edges", "incoming_edges"]
"""A relation of a memory that can be read along with it."""

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
    """What an edge says of its source memory: it references, contradicts, supports, follows its target."""

    REFERENCES = "references"
    CONTRADICTS = "contradicts"
    SUPPORTS = "supports"
    FOLLOWS = "follows"
    RELATED = "related"


class DataSourceType(StrEnum):
    """What kind of system an approved data source is."""

    API = "api"
    DATABASE = "database"
    FILE_SYSTEM = "file_system"
    WEBHOOK = "webhook"
    MANUAL = "manual"


class StoreOutcome(StrEnum):
    """What became of a memory that was to be stored."""

    CREATED = "created"
    EXISTING = "existing"
    RESTORED = "restored"
    REFUSED = "refused"


class Direction(StrEnum):
    """Which edges of a memory are followed: those that leave it, those that reach it, or both."""

    OUTGOING = "outgoing"
    INCOMING = "incoming"
    BOTH = "both"
