"""Conditions on memories: which ones to find, count or forget.

They become the arguments of ``sql/matching_memories.sql``, which every statement with conditions includes. Where a text
is asked for, ``sql/worded_memories.sql`` takes its place, and where sources are, ``sql/sourced_memories.sql``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypedDict

from memory_guild.database.sqlstate import SEARCH_NOT_INSTALLED, Explanations
from memory_guild.database.statements import Replacing, Statement
from memory_guild.errors import InvalidInputError
from memory_guild.memories.arguments import check_flag, column_values
from memory_guild.models import DataSource, MemoryRecord
from memory_guild.types import SourceType
from memory_guild.values.checks import check_aware, check_json_object, check_text, check_words, encode_json, plain

_COMPARISONS = ("$gt", "$gte", "$lt", "$lte")
_MEMBERSHIPS = ("$in", "$nin", "$contains_any", "$contains_all")
_OPERATORS = ("$eq", "$in", "$exists", *_COMPARISONS, "$ne", "$nin", "$contains", "$contains_any", "$contains_all")
_OPERATORS_ELSEWHERE = ("$and", "$or", "$not", "$nor", "$all", "$any", "$regex", "$like", "$ilike", "$size", "$type")

_WORDS = "words"
_SOURCES = "sources"

_LETTERS = re.compile("[^a-z]")
_NAMES_OF_OPERATORS = frozenset(_LETTERS.sub("", name) for name in (*_OPERATORS, "neq", "ge", "le", "regex", "like"))
_SIGN_OF_OPERATORS = re.compile("[<>=!~]+")


class Conditions(TypedDict, total=False):
    """Which memories match: those that fulfil all of the given conditions.

    Attributes:
        agent_id: One agent or several. By default memories of all agents match, not only those of the scope's agent.
        source_type: One source type or several.
        created_from: The earliest ``created_at`` that matches; an aware datetime.
        created_before: Only an earlier ``created_at`` matches; an aware datetime.
        metadata: For each key its value (compared as JSON: 3 equals 3.0), or a dict of operators: ``$eq``, ``$in``
            (a list of values), ``$exists`` (True or False), and ``$gt``, ``$gte``, ``$lt``, ``$lte`` with a number or
            an aware datetime. A number matches only numbers. A datetime matches only texts such as
            ``2024-05-04T12:00:00Z``; a text without an offset is read in the server's time zone. ``$ne`` and ``$nin``
            match whatever ``$eq`` and ``$in`` do not, also where there is no such key. ``$contains`` matches a list
            that has a value, ``$contains_any`` and ``$contains_all`` one that has any or all of several. A key with
            dots that the metadata does not have is a path: ``author.name`` is ``name`` in the object ``author``, and
            ``tags.0`` the first item of the list ``tags``.
        text: Words that the memory's own text has, in any form: "doors" finds "door". ``"two words"`` in quotes must
            stand together, ``or`` between words means one of them, and ``-word`` one that it has not. Very frequent
            words, such as "the", do not count; a text of nothing else matches no memory. Needs the search
            (``memory-guild upgrade --search``).
        source: The data source that they came from, by its name, or several.
        min_trust: The least trust, 0 to 1, that their source has. Memories from no source, and from one that states no
            trust, do not match.
        held: True for memories that are held in quarantine, and no others. Not together with ``text``.
        include_forgotten: Whether forgotten memories match too; by default they do not. Not together with ``text``,
            because forgotten memories have no words.
    """

    agent_id: str | Collection[str] | None
    source_type: SourceType | str | Collection[SourceType | str] | None
    created_from: datetime | None
    created_before: datetime | None
    metadata: Mapping[str, Any] | None
    text: str | None
    source: str | Collection[str] | None
    min_trust: float | None
    held: bool
    include_forgotten: bool


class ConditionArguments(NamedTuple):
    """Checked conditions of one tenant, in the order of the arguments $1 to $9 of ``sql/matching_memories.sql``.

    Attributes:
        tenant_id: The tenant.
        agent_ids: The agents; None for any.
        source_types: The source types; None for any.
        created_from: The earliest ``created_at``, in UTC; None for no limit.
        created_before: The first ``created_at`` that is too late, in UTC; None for no limit.
        metadata_keys: The keys or paths that the conditions on metadata are about; one can have several. The last ones
            may be about the memory's words and its source instead.
        metadata_operators: The operator of each of these conditions; ``words`` and ``sources`` for these two.
        metadata_operands: What each of them compares with, as JSON text.
        include_forgotten: Whether forgotten memories match too.
    """

    tenant_id: str
    agent_ids: tuple[str, ...] | None
    source_types: tuple[str, ...] | None
    created_from: datetime | None
    created_before: datetime | None
    metadata_keys: tuple[str, ...]
    metadata_operators: tuple[str, ...]
    metadata_operands: tuple[str, ...]
    include_forgotten: bool

    @property
    def has_text(self) -> bool:
        """Whether one condition is on the memory's words."""
        return _WORDS in self.metadata_operators

    @property
    def has_sources(self) -> bool:
        """Whether one condition is on the source that the memory came from."""
        return _SOURCES in self.metadata_operators

    @property
    def source_names(self) -> frozenset[str]:
        """The names of the sources that are asked for."""
        operands = dict(zip(self.metadata_operators, self.metadata_operands, strict=True))
        return frozenset(json.loads(operands[_SOURCES])["names"] or ()) if self.has_sources else frozenset()


class MatchingStatement:
    """A statement with conditions, planned for their values.

    It has several versions: those for a text name the search's tables, which a database may not have, and those for
    sources read tables that no other call pays for.

    Args:
        name: Its package and its file, see :func:`memory_guild.database.statements.statement`.
        explanations: Errors that say more than the usual ones, by SQLSTATE.
        replacing: What it includes in the place of other statements.
    """

    def __init__(self, name: str, *, explanations: Explanations | None = None, replacing: Replacing = ()) -> None:
        matching = "memories/matching_memories"
        worded, sourced = ((matching, "memories/worded_memories"),), ((matching, "memories/sourced_memories"),)
        self._versions = {
            (has_text, has_sources): Statement(
                name,
                planned_for_values=True,
                explanations=SEARCH_NOT_INSTALLED if has_text else explanations,
                replacing=(*replacing, *worded * has_text, *sourced * has_sources),
            )
            for has_text in (False, True)
            for has_sources in (False, True)
        }

    def for_conditions(self, conditions: ConditionArguments) -> Statement:
        """The version that the conditions need."""
        return self._versions[conditions.has_text, conditions.has_sources]


class _MetadataCondition(NamedTuple):
    key: str
    operator: str
    operand: Any


def condition_arguments(tenant_id: str, conditions: Conditions) -> ConditionArguments:
    """The conditions, checked and encoded.

    Raises:
        InvalidInputError: A condition is unknown or invalid; ``field`` names it.
    """
    for name in conditions:
        if name not in Conditions.__annotations__:
            raise InvalidInputError(name, f"is not a condition; use one of: {', '.join(Conditions.__annotations__)}")
    agent_ids = column_values(MemoryRecord, "agent_id", conditions.get("agent_id"))
    source_types = column_values(MemoryRecord, "source_type", conditions.get("source_type"))
    metadata = conditions.get("metadata")
    on_metadata = [] if metadata is None else list(_metadata_conditions(metadata))
    include_forgotten = check_flag("include_forgotten", conditions.get("include_forgotten", False))
    include_forgotten |= check_flag("held", conditions.get("held", False))
    if (text := conditions.get("text")) is not None:
        on_metadata.append(_MetadataCondition("", _WORDS, check_words("text", text)))
        if include_forgotten:
            raise InvalidInputError("text", "is not for include_forgotten or held: those memories have no words")
    on_metadata += _source_conditions(conditions)
    return ConditionArguments(
        tenant_id=tenant_id,
        agent_ids=None if agent_ids is None else tuple(map(plain, agent_ids)),
        source_types=None if source_types is None else tuple(source_types),
        created_from=_moment("created_from", conditions.get("created_from")),
        created_before=_moment("created_before", conditions.get("created_before")),
        metadata_keys=tuple(condition.key for condition in on_metadata),
        metadata_operators=tuple(condition.operator for condition in on_metadata),
        metadata_operands=tuple(encode_json(condition.operand) for condition in on_metadata),
        include_forgotten=include_forgotten,
    )


def narrows(conditions: Conditions) -> bool:
    """Whether any condition could exclude a memory that is not forgotten."""
    of_forgotten = ("include_forgotten", "held")  # these let more match
    return any(value not in (None, {}) for name, value in conditions.items() if name not in of_forgotten)


def _source_conditions(conditions: Conditions) -> Iterator[_MetadataCondition]:
    names = column_values(DataSource, "source_name", conditions.get("source"))
    min_trust, held = conditions.get("min_trust"), conditions.get("held", False)
    if min_trust is not None:
        check_trust("min_trust", min_trust)
    if names is not None or min_trust is not None or held:
        yield _MetadataCondition("", _SOURCES, {"names": names, "min_trust": min_trust, "held": held})


def check_trust(field: str, value: object) -> float:
    """A number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise InvalidInputError(field, "must be a number from 0 to 1")
    return value


def _moment(field: str, value: datetime | None) -> datetime | None:
    return None if value is None else _in_utc(field, value)


def _in_utc(field: str, value: datetime) -> datetime:
    return check_aware(field, value).astimezone(UTC)


def _metadata_conditions(metadata: object) -> Iterator[_MetadataCondition]:
    if not isinstance(metadata, Mapping):
        raise InvalidInputError("metadata", f"must be a dict, not {type(metadata).__name__}")
    for key, wanted in metadata.items():
        if not isinstance(key, str):
            raise InvalidInputError("metadata", f"has a key of type {type(key).__name__}; keys must be str")
        check_text("metadata (a key)", key)
        key, field = plain(key), f"metadata.{plain(key)}"
        if isinstance(wanted, Mapping) and any(isinstance(name, str) and name.startswith("$") for name in wanted):
            for operator, value in wanted.items():
                yield _operator_condition(field, key, operator, value)
        else:
            _refuse_mistyped_operators(field, key, wanted)
            yield _MetadataCondition(key, "$eq", _json_value(key, wanted))


def _refuse_mistyped_operators(field: str, key: str, wanted: object) -> None:
    """Refuse what can only be a mistake: as a value or key to look for, it would silently match nothing."""
    if key in _OPERATORS or key in _OPERATORS_ELSEWHERE:
        raise InvalidInputError(
            field,
            f'is an operator where a key is expected; write {{"key": {{"$gte": 2}}}}, or {{"{key}": {{"$eq": …}}}}',
        )
    for name in wanted if isinstance(wanted, Mapping) else ():
        if isinstance(name, str) and _looks_like_an_operator(plain(name)):
            raise InvalidInputError(
                field,
                "has a key that looks like an operator; operators begin with $, such as $gte (to look for an object"
                ' with such a key, write {"$eq": {…}})',
            )


def _looks_like_an_operator(name: str) -> bool:
    text = name.strip(" _$:").lower()
    return _SIGN_OF_OPERATORS.fullmatch(text) is not None or _LETTERS.sub("", text) in _NAMES_OF_OPERATORS


def _operator_condition(field: str, key: str, operator: object, value: object) -> _MetadataCondition:
    if not isinstance(operator, str) or operator not in _OPERATORS:
        raise InvalidInputError(field, f"has an unknown operator; use one of: {', '.join(_OPERATORS)}")
    operator = plain(operator)
    if operator == "$exists":
        if not isinstance(value, bool):
            raise InvalidInputError(field, "$exists takes True or False")
        return _MetadataCondition(key, operator, value)
    if operator in _MEMBERSHIPS:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Collection):
            raise InvalidInputError(field, f"{operator} takes a list of values")
        return _MetadataCondition(key, operator, _json_value(key, list(value)))
    if operator in _COMPARISONS:
        return _comparison(field, key, operator, value)
    return _MetadataCondition(key, operator, _json_value(key, value))


def _comparison(field: str, key: str, operator: str, value: object) -> _MetadataCondition:
    if isinstance(value, datetime):
        return _MetadataCondition(key, f"time {operator}", _in_utc(field, value).isoformat())
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidInputError(field, f"{operator} takes a number or an aware datetime")
    return _MetadataCondition(key, operator, _json_value(key, value))


def _json_value(key: str, value: object) -> Any:
    return check_json_object("metadata", {key: value})[key]
