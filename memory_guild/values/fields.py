"""Tortoise fields that check values, so that a bad value fails with our error before any statement is sent.

Each field has the column type of the Tortoise field that it extends, so that Aerich and the serializers work as usual.
If a CHECK of the schema guards the column, the field has its SQL fragment as ``check``.
"""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

from tortoise import Model, fields
from tortoise.fields.data import CharEnumFieldInstance
from tortoise.migrations.constraints import CheckConstraint

from memory_guild.errors import CheckError, InvalidInputError
from memory_guild.moments import DistantMoment
from memory_guild.settings import content_max_bytes, metadata_max_bytes
from memory_guild.types import CHOICE_MAX_LENGTH
from memory_guild.values.checks import (
    check_aware,
    check_content,
    check_length,
    check_name,
    check_text,
    check_uuid,
    encode_json,
    encode_json_object,
)

_Owner: TypeAlias = type[Model] | Model


def missing_value(field: fields.Field[Any]) -> CheckError:
    """The error for None in a NOT NULL column: the same one that the database's refusal is translated to."""
    return CheckError(
        field.source_field or field.model_field_name,
        "is required and cannot be None",
        table=field.model._meta.db_table,
        sqlstate="23502",
    )


def _text_as_given(field: fields.Field[Any], value: Any) -> str | None:
    """The text as given. Tortoise would store ``str(value)``: the number 5 as "5", bytes as their repr."""
    if value is not None and not isinstance(value, str):
        raise InvalidInputError(field.model_field_name, f"must be a str, not {type(value).__name__}")
    return value


class IdField(fields.UUIDField[UUID]):
    """A UUID, or its text."""

    def to_python_value(self, value: Any) -> UUID | None:
        """The value as a UUID."""
        return None if value is None else check_uuid(self.model_field_name, value)

    def to_db_value(self, value: Any, instance: _Owner) -> Any:
        """The value for asyncpg, which takes a UUID without converting it to text."""
        return None if value is None else check_uuid(self.model_field_name, value)


class NameField(fields.CharField[str]):
    """A name or identifier: 1 to ``max_length`` characters."""

    skip_to_python_if_native = True
    to_python_value = _text_as_given

    @property
    def constraints(self) -> dict[str, int]:
        """The lengths, for the serializers."""
        return {"min_length": 1, "max_length": self.max_length}

    def to_db_value(self, value: Any, instance: _Owner) -> str:
        """The checked name."""
        if value is None:
            raise missing_value(self)
        return check_name(self.model_field_name, value, self.max_length)


class HashField(fields.CharField[str]):
    """A content hash, given or computed from the text."""

    skip_to_python_if_native = True
    to_python_value = _text_as_given

    def to_db_value(self, value: Any, instance: _Owner) -> str:
        """The checked hash."""
        if value is None:
            raise missing_value(self)
        return check_length(self.model_field_name, check_text(self.model_field_name, value), self.max_length)


class ContentField(fields.TextField):
    """The text of a memory, stored as given, within the configured limit."""

    skip_to_python_if_native = True
    to_python_value = _text_as_given

    def to_db_value(self, value: Any, instance: _Owner) -> str:
        """The checked text."""
        if value is None:
            raise missing_value(self)
        return check_content(self.model_field_name, value, content_max_bytes())


class NullableTextField(fields.TextField):
    """Text, or None."""

    skip_to_python_if_native = True
    to_python_value = _text_as_given

    def to_db_value(self, value: Any, instance: _Owner) -> str | None:
        """The checked text."""
        return None if value is None else check_text(self.model_field_name, value)


class JsonObjectField(fields.JSONField[dict[str, Any]]):
    """A JSON object."""

    field_type = dict

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(encoder=encode_json, decoder=json.loads, **kwargs)

    def to_python_value(self, value: Any) -> Any:
        """The object; the driver returns its JSON text."""
        return json.loads(value) if isinstance(value, str) else value

    def to_db_value(self, value: Any, instance: _Owner) -> str | None:
        """The JSON text of the checked object."""
        if value is None:
            if self.null:
                return None
            raise missing_value(self)
        return encode_json_object(self.model_field_name, value, metadata_max_bytes())


class FlagField(fields.BooleanField[bool | None]):
    """True, False or None. Text such as ``"false"`` is refused."""

    def to_python_value(self, value: Any) -> bool | None:
        """The checked flag."""
        if value is not None and not isinstance(value, bool):
            raise InvalidInputError(self.model_field_name, f"must be a bool, not {type(value).__name__}")
        return value

    def to_db_value(self, value: Any, instance: _Owner) -> bool | None:
        """The checked flag."""
        return self.to_python_value(value)


class TimestampField(fields.DatetimeField[datetime | None]):
    """A point in time. The driver returns aware datetimes, which need no conversion."""

    skip_to_python_if_native = True

    def to_python_value(self, value: Any) -> datetime | None:
        """An aware datetime, also from ISO 8601 text with an offset."""
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                raise InvalidInputError(self.model_field_name, "is not an ISO 8601 date and time") from None
        return None if value is None else check_aware(self.model_field_name, value)

    def to_db_value(self, value: Any, instance: _Owner) -> Any:
        """The checked point in time."""
        # Without an instance it is a queryset's update(); with a model's class, a condition.
        is_new = instance is None or (isinstance(instance, Model) and not instance._saved_in_db)
        if is_new and isinstance(value, DistantMoment):
            raise InvalidInputError(self.model_field_name, "is outside the years 1 to 9999; choose another moment")
        return self.to_python_value(value)


class ChoiceField(CharEnumFieldInstance):
    """One of a fixed list of values: an enum in Python, a CHECK in the database.

    Args:
        enum_type: The values; members compare equal to their text.
        check: The CHECK with the same list.
        description: What the column means.
    """

    def __init__(self, enum_type: type[StrEnum], *, check: CheckConstraint, description: str) -> None:
        super().__init__(enum_type, description=description, max_length=CHOICE_MAX_LENGTH)
        self.choices = enum_type
        self.check = check

    def to_python_value(self, value: Any) -> StrEnum | None:
        """The member of the enum."""
        if value is None:
            return None
        try:
            if not isinstance(value, str):  # an enum's own error would have the value's repr
                raise ValueError
            return self.choices(value)
        except ValueError:
            allowed = ", ".join(self.choices)
            raise CheckError(
                self.model_field_name,
                f"is not one of: {allowed}",
                constraint=self.check.name,
                table=self.model._meta.db_table,
            ) from None

    def to_db_value(self, value: Any, instance: _Owner) -> str:
        """The text of the member."""
        if value is None:
            raise missing_value(self)
        return str(self.to_python_value(value))


class ConfidenceField(fields.FloatField[float | None]):
    """A number from 0 to 1, or None."""

    skip_to_python_if_native = True

    def __init__(self, *, check: CheckConstraint, description: str) -> None:
        super().__init__(null=True, description=description)
        self.check = check

    @property
    def constraints(self) -> dict[str, int]:
        """The bounds, for the serializers."""
        return {"ge": 0, "le": 1}

    def to_python_value(self, value: Any) -> float | None:
        """The checked number. NaN is refused, as the CHECK would refuse it."""
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidInputError(self.model_field_name, f"must be a number, not {type(value).__name__}")
        if not 0 <= value <= 1:
            raise CheckError(
                self.model_field_name,
                "must be between 0 and 1",
                constraint=self.check.name,
                table=self.model._meta.db_table,
            )
        return float(value)

    def to_db_value(self, value: Any, instance: _Owner) -> float | None:
        """The checked number."""
        return self.to_python_value(value)
