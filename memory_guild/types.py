"""Enums and limits: the choices and lengths of the specification."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self, TypeAlias, get_args

WORDS_MAX_BYTES = 100_000
"""The longest question, or text to search for, in bytes of UTF-8."""

NAME_MAX_LENGTH = 255
"""The most characters in an ``agent_id``, ``tenant_id``, ``vector_id``, ``source_name`` or ``policy_name``.

The names of vector indexes have the same limit.
"""

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


class ExplainedChoice(StrEnum):
    """An enum whose members say what they mean.

    Attributes:
        meaning: What the member means, for the schemas of tools and for the docs.
    """

    _value_: str
    meaning: str

    def __new__(cls, value: str, meaning: str = "") -> Self:
        """A member; calling the enum with a value finds it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


class SourceType(ExplainedChoice):
    """Where a memory comes from."""

    CONVERSATION = "conversation", "a person or another agent said it"
    TOOL_OUTPUT = "tool_output", "a tool, a program or an API call of the agent returned it"
    DOCUMENT = "document", "it is written in a document, a file or a web page"
    OBSERVATION = "observation", "the agent noticed or concluded it itself"
    EXTERNAL = "external", "another system delivered it, such as an import, a feed or a webhook"


class RelationshipType(ExplainedChoice):
    """What an edge says: its source references, contradicts, supports or follows its target, or is related to it."""

    REFERENCES = "references", "the source mentions or cites the target"
    CONTRADICTS = "contradicts", "the source and the target cannot both be true"
    SUPPORTS = "supports", "the source is evidence for the target"
    FOLLOWS = "follows", "the source comes after the target, as its next step or its newer version"
    RELATED = "related", "they have to do with each other, and no other type fits"


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
    HELD = "held"
    REFUSED = "refused"


class PolicyAction(StrEnum):
    """What an agent wants to do, as access policies see it."""

    REMEMBER = "remember"
    READ = "read"
    UPDATE = "update"
    FORGET = "forget"
    RESTORE = "restore"
    RELEASE = "release"
    PURGE = "purge"
    RELATE = "relate"
    UNRELATE = "unrelate"
    EMBED = "embed"
    ERASE = "erase"


class Direction(StrEnum):
    """Which edges of a memory to follow: those that leave it, those that reach it, or both."""

    OUTGOING = "outgoing"
    INCOMING = "incoming"
    BOTH = "both"


class AuditEvent(StrEnum):
    """What an entry of the audit is about."""

    ADMIN_SCOPE = "admin_scope"
    DENIED = "denied"
    ERASE = "erase"
    MOVE = "move"
    POLICY_PUT = "policy_put"
    POLICY_REMOVED = "policy_removed"
    PURGE = "purge"
    RELEASE = "release"
    SOURCE_CHANGED = "source_changed"
    SOURCE_REGISTERED = "source_registered"
    SOURCE_REMOVED = "source_removed"
