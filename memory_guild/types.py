"""Enums and limits: the choices and lengths of the specification; and what an embedder is, whoever wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal, Protocol, Self, TypeAlias, get_args, runtime_checkable

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
    REFUSED = "refused"


class Direction(StrEnum):
    """Which edges of a memory to follow: those that leave it, those that reach it, or both."""

    OUTGOING = "outgoing"
    INCOMING = "incoming"
    BOTH = "both"


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors of length 1: the closer their directions, the more alike the meanings.

    It serves any number of tasks, threads and event loops at once. No text may make it fail, also not an empty one.
    """

    @property
    def model(self) -> str:
        """The name that its vectors are kept under, at most 100 characters. Another model needs another name."""
        ...

    @property
    def dimensions(self) -> int:
        """How many numbers each vector has."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether it embeds without a call over the network, so that it may be used while a transaction is open."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of texts that are to be found, in their order. It makes batches by itself.

        Raises:
            EmbedderError: The vectors cannot be computed; there is none of them then.
        """
        ...

    async def embed_query(self, text: str) -> list[float]:
        """The vector of a text that is searched for.

        Raises:
            EmbedderError: It cannot be computed.
        """
        ...
