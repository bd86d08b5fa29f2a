"""Drafts: memories that are checked, hashed and encoded. After that, only the database can refuse them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from memory_guild.errors import InvalidInputError, TenantMismatchError
from memory_guild.memories.arguments import column_value
from memory_guild.memories.screening import screen_of_database, screened
from memory_guild.models import MemoryRecord, hash_content
from memory_guild.protocols import Candidate
from memory_guild.serializers import MemoryRecordCreate, MemoryRecordTool
from memory_guild.settings import content_max_bytes, metadata_max_bytes
from memory_guild.types import SourceType
from memory_guild.values.checks import check_content, check_name, encode_json_object, plain

Item: TypeAlias = MemoryRecordCreate | MemoryRecordTool | Mapping[str, Any]
"""A memory to store: one of the serializers, or a dict of its columns. Tenant and agent default to the scope's."""

Key: TypeAlias = tuple[str, str]
"""The ``content_hash`` and ``agent_id`` of a memory."""

_ITEM_KEYS = frozenset(MemoryRecordCreate.model_fields)
_OVERHEAD_CHARACTERS = 300
_SOURCE_TYPES = {str(source_type): str(source_type) for source_type in SourceType}


class Draft(NamedTuple):
    """A memory to store, as the statements take it: its number in the batch, then its columns.

    ``metadata`` is None if none is given: a new memory gets ``{}``, and a memory that is there keeps its own.
    ``created_at`` is None for the time at which it is stored.
    """

    number: int
    agent_id: str
    source_type: str
    content_text: str
    content_hash: str
    metadata: str | None
    created_at: datetime | None

    @property
    def key(self) -> Key:
        """What is unique within the tenant. All calls lock in the order of their keys."""
        return self.content_hash, self.agent_id

    @property
    def characters(self) -> int:
        """About how much memory it takes, in bytes as in characters."""
        return _OVERHEAD_CHARACTERS + len(self.content_text) + len(self.metadata or "")


class Drafter:
    """Makes drafts for one tenant.

    Args:
        tenant_id: The scope's tenant.
        agent_id: The scope's agent, for drafts that name none; None if the scope has none.

    Attributes:
        tenant_id: The scope's tenant.
        metadata_max_bytes: The most bytes of JSON that the metadata of a memory may have.
        redactions: Why the screen stored something else than was given, by the numbers of the drafts.
    """

    def __init__(self, tenant_id: str, agent_id: str | None) -> None:
        self.tenant_id = tenant_id
        self._agent_id = agent_id
        self._checked_agents = {agent_id}
        self._screen = screen_of_database()
        self._max_bytes = content_max_bytes()
        self.metadata_max_bytes = metadata_max_bytes()
        self.redactions: dict[int, str] = {}

    def draft(
        self,
        content_text: object,
        source_type: object,
        metadata: object,
        agent_id: object,
        created_at: object,
        number: int = 0,
    ) -> Draft:
        """Check, hash and encode values.

        Args:
            content_text: The text.
            source_type: Where it comes from.
            metadata: A JSON object; None if none is given.
            agent_id: The agent; None for the scope's.
            created_at: When the memory came to be, aware; None for the time at which it is stored.
            number: Its number in the batch.

        Raises:
            InvalidInputError: A value cannot be stored; ``field`` names it.
            ContentRefusedError: The screen refuses it.
        """
        text = check_content("content_text", content_text, self._max_bytes)
        if self._screen is not None:
            of_agent = self._agent_id if agent_id is None else agent_id
            given = metadata if isinstance(metadata, Mapping) else None  # anything else is refused below
            candidate = Candidate(text, given, _text(of_agent), self.tenant_id, _text(source_type))
            seen = screened(self._screen, candidate)
            text = check_content("content_text", seen.content_text, self._max_bytes)
            metadata = metadata if given is None and seen.metadata is None else seen.metadata
            if seen.redaction is not None:
                self.redactions[number] = seen.redaction
        known_type = _SOURCE_TYPES.get(source_type) if isinstance(source_type, str) else None
        return Draft(
            number,
            self._agent(agent_id),
            known_type or column_value(MemoryRecord, "source_type", source_type),
            text,
            hash_content(text),
            None if metadata is None else encode_json_object("metadata", metadata, self.metadata_max_bytes),
            None if created_at is None else column_value(MemoryRecord, "created_at", created_at),
        )

    def draft_of(self, item: Item, number: int) -> Draft:
        """The draft of an item of a batch.

        Raises:
            InvalidInputError: A value cannot be stored; ``field`` names it.
            TenantMismatchError: The item names another tenant.
        """
        values = item if isinstance(item, dict) else _values_of(item)
        for key in values:
            if key not in _ITEM_KEYS:
                raise InvalidInputError(str(key), "is not a column that can be given; remove it")
        if values.get("tenant_id", self.tenant_id) != self.tenant_id:
            raise TenantMismatchError("tenant_id: is not the scope's tenant; leave it out, or open its own scope")
        draft = self.draft(
            values.get("content_text"),
            values.get("source_type"),
            None if values is not item and _has_no_metadata(item) else values.get("metadata"),
            values.get("agent_id"),
            values.get("created_at"),
            number,
        )
        given_hash = draft.content_hash
        if number in self.redactions:  # the hash is of the text that was given, not of what the screen made of it
            given_hash = hash_content(str(values["content_text"]))
        if values.get("content_hash") not in (None, given_hash):
            raise InvalidInputError("content_hash", "is not the MD5 of content_text; leave it out to have it computed")
        return draft

    def _agent(self, agent_id: object) -> str:
        agent = self._agent_id if agent_id is None else agent_id
        if agent is None:
            raise InvalidInputError("agent_id", "is required: give it, or open tenant_scope(tenant_id, agent_id=…)")
        if not isinstance(agent, str) or agent not in self._checked_agents:
            agent = check_name("agent_id", agent)
            self._checked_agents.add(agent)
        return plain(agent)


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str) else None


def _has_no_metadata(item: Item) -> bool:
    return isinstance(item, MemoryRecordCreate) and "metadata" not in item.model_fields_set


def _values_of(item: Item) -> Mapping[str, Any]:
    if isinstance(item, MemoryRecordCreate):
        values: dict[str, Any] = item.__dict__
        return values
    if isinstance(item, MemoryRecordTool):
        return item.arguments()
    if isinstance(item, Mapping):
        return item
    raise InvalidInputError("", f"must be a dict or a MemoryRecordCreate, not {type(item).__name__}")
