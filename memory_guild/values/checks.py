"""What a value must be before it is sent to the database: one function for each rule, used by models and verbs.

Each function returns the value unchanged, or raises an :class:`InvalidInputError` that names the field. No message
quotes the value.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from memory_guild.errors import InvalidInputError
from memory_guild.types import NAME_MAX_LENGTH, WORDS_MAX_BYTES

_JSON_MAX_DEPTH = 256  # far below Python's recursion limit: what is stored can be read at any depth of the stack
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})  # Unicode's control, format and separator characters
_JSON_MAX_INTEGER_BITS = 14_000  # 4,214 digits; Python refuses to read an integer of more than 4,300


def check_text(field: str, value: object) -> str:
    """Text that PostgreSQL can store in UTF-8: without NUL and without lone surrogates."""
    if value is None:
        raise InvalidInputError(field, "is required and cannot be None")
    if not isinstance(value, str):
        raise InvalidInputError(field, f"must be a str, not {type(value).__name__}")
    if problem := _problem_of_text(value):
        raise InvalidInputError(field, problem)
    return value


def plain(text: str) -> str:
    """The text itself, also of a subclass such as an enum, for which ``str()`` can return something else."""
    return str.__str__(text)


def _problem_of_text(text: str) -> str | None:
    if "\x00" in text:
        return "contains a NUL character (U+0000), which PostgreSQL cannot store; remove it"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return f"contains a lone surrogate at character {error.start}; decode the text correctly first"
    return None


def check_name(field: str, value: object, max_length: int = NAME_MAX_LENGTH) -> str:
    """A name or identifier: text of 1 to ``max_length`` characters."""
    text = check_text(field, value)
    if not text:
        raise InvalidInputError(field, "must not be empty")
    return check_length(field, text, max_length)


def check_length(field: str, value: str, max_length: int) -> str:
    """Text of at most ``max_length`` characters (PostgreSQL counts characters, not bytes)."""
    if len(value) > max_length:
        raise InvalidInputError(field, f"has {len(value)} characters; at most {max_length} fit")
    return value


def check_content(field: str, value: object, max_bytes: int) -> str:
    """The text of a memory: not blank, and at most ``max_bytes`` bytes of UTF-8."""
    text = check_text(field, value)
    if not text[:1].isalnum() and is_blank(text):
        raise InvalidInputError(field, "must not be empty" if not text else "is blank; there is nothing to remember")
    size = len(text.encode())
    if size > max_bytes:
        raise InvalidInputError(
            field, f"has {size} bytes; at most {max_bytes} are allowed (MEMORY_GUILD_CONTENT_MAX_BYTES)"
        )
    return text


def check_words(field: str, value: object) -> str:
    """Words to search for: not blank, and at most ``WORDS_MAX_BYTES`` bytes of UTF-8."""
    text = plain(check_text(field, value))
    if not text.strip():
        raise InvalidInputError(field, "must not be empty")
    if len(text.encode()) > WORDS_MAX_BYTES:
        raise InvalidInputError(field, f"must be at most {WORDS_MAX_BYTES:,} bytes of UTF-8")
    return text


def is_blank(text: str) -> bool:
    """Whether nothing of a text is visible: it is empty, or only spaces, control and format characters."""
    return all(unicodedata.category(character) in _INVISIBLE for character in text)


def check_json_object(field: str, value: object) -> dict[str, Any]:
    """A JSON object: a dict with str keys, and at any depth only what JSON and PostgreSQL can hold."""
    if not isinstance(value, dict):
        if not isinstance(value, Mapping):
            raise InvalidInputError(field, f"must be a dict (a JSON object), not {type(value).__name__}")
        value = dict(value)
    try:
        _check_json_value(value, 0)
    except _JsonProblemError as problem:
        raise InvalidInputError(problem.path_from(field), problem.reason) from None
    except RecursionError:
        raise _too_deep(field) from None
    return value


def _too_deep(field: str) -> InvalidInputError:
    """What is allowed elsewhere may be too deep for a caller whose own calls are nested deeply."""
    return InvalidInputError(field, "is nested more deeply than Python's recursion limit allows here; flatten it")


class _JsonProblemError(Exception):
    """Why a value is not JSON. Each level adds its place to the path while the error rises."""

    def __init__(self, reason: str, place: str = "", *, is_of_the_whole: bool = False) -> None:
        self.reason = reason
        self.is_of_the_whole = is_of_the_whole
        self.places = [place]

    def path_from(self, field: str) -> str:
        return field if self.is_of_the_whole else field + "".join(reversed(self.places))


def _check_json_value(value: object, depth: int) -> None:
    if depth > _JSON_MAX_DEPTH:
        reason = f"is nested too deeply; at most {_JSON_MAX_DEPTH} levels are allowed"
        raise _JsonProblemError(reason, is_of_the_whole=True)
    match value:
        case None | bool():
            return
        case str():
            if problem := _problem_of_text(value):
                raise _JsonProblemError(problem)
        case int():
            if value.bit_length() > _JSON_MAX_INTEGER_BITS:
                raise _JsonProblemError("is an integer with too many digits; use a string")
        case float():
            if value != value or value in (float("inf"), float("-inf")):
                raise _JsonProblemError("is NaN or infinite, which JSON does not have; use None or a string")
        case dict() | Mapping():
            _check_json_items(value, depth + 1)
        case list() | tuple():
            for index, item in enumerate(value):
                try:
                    _check_json_value(item, depth + 1)
                except _JsonProblemError as problem:
                    problem.places.append(f"[{index}]")
                    raise
        case _:
            raise _JsonProblemError(
                f"is a {type(value).__name__}, which JSON does not have; convert it (a datetime with .isoformat())"
            )


def _check_json_items(items: Mapping[Any, object], depth: int) -> None:
    for key, item in items.items():
        if not isinstance(key, str):
            raise _JsonProblemError(f"has a key of type {type(key).__name__}; keys must be str")
        if problem_of_key := _problem_of_text(key):
            raise _JsonProblemError(problem_of_key, " (a key)")
        try:
            _check_json_value(item, depth)
        except _JsonProblemError as problem:
            problem.places.append(f".{key}")
            raise


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=dict).encode
_TEXTS_AND_LARGE_FLOATS = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9.]+e\+[0-9]+')


def encode_json(value: Any) -> str:
    """The JSON text of a checked value.

    A jsonb keeps the digits of a number and not its exponent: ``1e+16`` would be read as an int, and ``1e+23`` as
    another number than the float. So large floats are written with all of their digits and a decimal point.
    """
    text = _encode(value)
    return _TEXTS_AND_LARGE_FLOATS.sub(_without_exponent, text) if "e+" in text else text


def _without_exponent(match: re.Match[str]) -> str:
    found = match.group()
    return found if found.startswith('"') else f"{Decimal(found):f}.0"


def encode_json_object(field: str, value: object, max_bytes: int) -> str:
    """The JSON text of an object, see :func:`check_json_object`: at most ``max_bytes`` bytes of UTF-8."""
    checked = check_json_object(field, value)
    try:
        text = encode_json(checked)
    except RecursionError:
        raise _too_deep(field) from None
    size = len(text) if text.isascii() else len(text.encode())
    if size > max_bytes:
        raise InvalidInputError(field, problem_of_metadata_size(size, max_bytes))
    return text


def problem_of_metadata_size(size: int, max_bytes: int) -> str:
    """What is wrong with metadata of ``size`` bytes."""
    return f"has {size} bytes as JSON; at most {max_bytes} are allowed (MEMORY_GUILD_METADATA_MAX_BYTES)"


def check_aware(field: str, value: object) -> datetime:
    """An aware datetime."""
    if not isinstance(value, datetime):
        raise InvalidInputError(field, f"must be a datetime, not {type(value).__name__}")
    if value.tzinfo is None or value.utcoffset() is None:
        raise InvalidInputError(field, "is a naive datetime; give it a time zone, such as datetime.now(UTC)")
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise InvalidInputError(field, "lies outside the years 1 to 9999 in UTC") from None
    return value


def check_uuid(field: str, value: object) -> UUID:
    """A UUID, or its text."""
    if isinstance(value, UUID):
        return value
    if isinstance(value, str):
        try:
            return UUID(value)
        except ValueError:
            pass
    raise InvalidInputError(field, "is not a UUID")
