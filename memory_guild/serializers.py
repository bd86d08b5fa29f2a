"""Pydantic models generated from the Tortoise models: to read rows, and to create them.

``…Read`` has every column. ``MemoryRecordWithRelationsRead`` also has the memory's embeddings and edges. ``…Create``
has the columns that a caller may set: the database sets ids and timestamps, and forgetting has its own verbs. ``…Tool``
has what a language model can know, with a JSON Schema that the providers' strict modes take. Unknown keys are refused.

``MemoryRecordRead.model_validate(memory)`` sends no query. For ``MemoryRecordWithRelationsRead``, fetch the relations
first: ``await memory.fetch_related("embeddings", "outgoing_edges", "incoming_edges")``.
"""

# No `from __future__ import annotations` here: Tortoise reads the annotations of a serializer as types.

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    WithJsonSchema,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from tortoise.contrib.pydantic import PydanticModel, pydantic_model_creator
from tortoise.exceptions import NoValuesFetched
from tortoise.fields import ReverseRelation

from memory_guild.errors import InvalidInputError
from memory_guild.models import (
    DataSource,
    MemoryAccessPolicy,
    MemoryEmbedding,
    MemoryRecord,
    MemoryRelationship,
    StrictModel,
    hash_content,
)
from memory_guild.types import RELATIONS, ExplainedChoice, RelationshipType, SourceType
from memory_guild.values.fields import TimestampField

_QUIET = ConfigDict(hide_input_in_errors=True)  # errors are logged, and the input is what users tell their agents


def _generate(
    model: type[StrictModel],
    suffix: str,
    columns: Sequence[str],
    defaults: Mapping[str, Any],
    *,
    check: bool,
    config: ConfigDict = _QUIET,
) -> type[PydanticModel]:
    """A Pydantic model of some of the columns.

    With ``check``, the column's field checks each value, so that each rule is stated once. The values of an enum are
    written into the schema, because tool calls often do not follow a ``$ref``. Tortoise's ``nullable`` is no keyword of
    JSON Schema; ``anyOf`` says the same.
    """
    name = f"{model.__name__}{suffix}"
    generated = pydantic_model_creator(
        model, name=name, include=tuple(columns), optional=tuple(defaults), model_config=config, module=__name__
    )
    fields: dict[str, Any] = {}
    for column, info in generated.model_fields.items():
        annotation: Any = info.annotation
        info.json_schema_extra = None
        if isinstance(annotation, type) and issubclass(annotation, StrEnum):
            info.metadata.clear()
            annotation = Annotated[
                annotation,
                BeforeValidator(_text),
                WithJsonSchema({"type": "string", "enum": [str(member) for member in annotation]}),
            ]
        if check:
            annotation = Annotated[annotation, AfterValidator(partial(_checked, model, column))]
            if isinstance(model._meta.fields_map[column], TimestampField):  # Pydantic would take a number of seconds
                annotation = Annotated[annotation, BeforeValidator(model._meta.fields_map[column].to_python_value)]
        if column in defaults:
            info.default = defaults[column]
        fields[column] = (annotation, info)
    return create_model(name, __base__=generated, __module__=__name__, **fields)


def _text(value: object) -> str:
    """Text. An enum's own error has the value's repr, which may be as deep as the value."""
    if not isinstance(value, str):
        raise ValueError(f"must be a str, not {type(value).__name__}")
    return value


def _checked(model: type[StrictModel], column: str, value: Any) -> Any:
    if value is not None:
        model._meta.fields_map[column].to_db_value(value, model)
    return value


def _read(model: type[StrictModel]) -> type[PydanticModel]:
    columns = [column for column in model._meta.fields_map if column in model._meta.db_fields]
    return _generate(model, "Read", columns, {}, check=False)


def _create(model: type[StrictModel], *required: str, **defaults: Any) -> type[PydanticModel]:
    return _generate(model, "Create", [*required, *defaults], defaults, check=True)


_EVERYWHERE = frozenset(
    {"additionalProperties", "anyOf", "description", "enum", "items", "properties", "required", "title", "type"}
    | {"$ref", "$defs"}
)
"""The keywords that the strict modes of all providers take."""


def _tool(model: type[StrictModel], descriptions: Mapping[str, str], **defaults: Any) -> type[PydanticModel]:
    """A Pydantic model for what a language model fills in: some columns, each with a description for it.

    In the schema every property is required and none has a default. What some provider refuses, such as the bounds of a
    number, is left out; it is checked when the call is parsed. The same holds for the fields of a subclass.
    """

    def make_strict(schema: dict[str, Any], tool: type[PydanticModel]) -> None:
        parts = schema["properties"]
        names = [*descriptions, *(name for name in parts if name not in descriptions)]
        schema["properties"] = {name: _strict(parts[name]) for name in names}
        schema["required"] = names
        schema["title"] = tool.__name__

    config: ConfigDict = {**_QUIET, "json_schema_extra": make_strict}
    generated = _generate(model, "Tool", tuple(descriptions), defaults, check=True, config=config)
    for column, description in descriptions.items():
        generated.model_fields[column].description = description
    generated.model_rebuild(force=True)
    return generated


def _strict(part: dict[str, Any]) -> dict[str, Any]:
    known = {key: value for key, value in part.items() if key in _EVERYWHERE}
    if "anyOf" in known:  # google-genai drops the description that stands beside it
        about = {"description": part["description"]} if "description" in part else {}
        options = [_strict(option) for option in part["anyOf"]]
        known["anyOf"] = [option if option == {"type": "null"} else about | option for option in options]
    return known


def _meanings(choices: type[ExplainedChoice]) -> str:
    return "; ".join(f"{choice}: {choice.meaning}" for choice in choices)


# mypy cannot follow a computed base class: for mypy, the attributes of these classes are of any type.


class MemoryRecordRead(_read(MemoryRecord)):  # type: ignore[misc]
    """A memory as stored."""


class MemoryEmbeddingRead(_read(MemoryEmbedding)):  # type: ignore[misc]
    """An embedding as stored: where a memory's vector is."""


class MemoryRelationshipRead(_read(MemoryRelationship)):  # type: ignore[misc]
    """An edge as stored."""


class DataSourceRead(_read(DataSource)):  # type: ignore[misc]
    """A data source as stored."""


class MemoryAccessPolicyRead(_read(MemoryAccessPolicy)):  # type: ignore[misc]
    """An access policy as stored."""


class MemoryRecordWithRelationsRead(MemoryRecordRead):
    """A memory as stored, with its embeddings and the edges that leave and reach it."""

    model_config = ConfigDict(title="MemoryRecordWithRelationsRead")

    embeddings: list[MemoryEmbeddingRead]
    outgoing_edges: list[MemoryRelationshipRead]
    incoming_edges: list[MemoryRelationshipRead]

    @field_validator(*RELATIONS, mode="before")
    @classmethod
    def _already_fetched(cls, relation: Iterable[Any]) -> list[Any]:
        if not isinstance(relation, (ReverseRelation, list, tuple)):  # any other may be endless
            raise InvalidInputError("relations", f"must be lists, not {type(relation).__name__}")
        try:
            return list(relation)
        except NoValuesFetched:
            raise InvalidInputError(
                "relations", f"were not fetched; first `await memory.fetch_related({', '.join(map(repr, RELATIONS))})`"
            ) from None


class MemoryRecordCreate(
    _create(  # type: ignore[misc]
        MemoryRecord,
        *("agent_id", "tenant_id", "source_type", "content_text"),
        content_hash=None,
        metadata={},
        created_at=None,
    )
):
    """A memory to store. ``created_at`` is when it came to be, by default when it is stored."""

    @model_validator(mode="after")
    def _hash_is_of_the_text(self) -> Self:
        if self.content_hash not in (None, hash_content(self.content_text)):
            raise InvalidInputError("content_hash", "is not the MD5 of content_text; leave it out to have it computed")
        return self


class MemoryRecordTool(
    _tool(  # type: ignore[misc]
        MemoryRecord,
        {
            "content_text": "One fact, in a sentence that can be understood later without this conversation.",
            "source_type": f"Where the fact comes from. {_meanings(SourceType)}.",
        },
    )
):
    """Remember a fact, so that it can be found again later."""

    def arguments(self) -> dict[str, Any]:
        """The arguments of ``remember``. The fields of a subclass become the metadata."""
        values = self.model_dump(mode="json")
        columns = {column: values.pop(column) for column in MemoryRecordTool.model_fields}
        return {**columns, "metadata": values}


class MemoryEmbeddingCreate(_create(MemoryEmbedding, "memory_id", "vector_id", "embedding_model")):  # type: ignore[misc]
    """An embedding to store: the id of a vector in the vector store."""


class MemoryRelationshipCreate(
    _create(MemoryRelationship, "source_memory_id", "target_memory_id", "relationship_type", confidence_score=None)  # type: ignore[misc]
):
    """An edge to store, from one memory to another."""


class MemoryRelationshipTool(
    _tool(  # type: ignore[misc]
        MemoryRelationship,
        {
            "source_memory_id": "The id of the memory that says something of another one; a UUID that you were shown.",
            "target_memory_id": "The id of the memory that it says something of; a UUID that you were shown.",
            "relationship_type": f"What the source says of the target. {_meanings(RelationshipType)}.",
            "confidence_score": "How sure you are, from 0 to 1; null if you cannot say.",
        },
        confidence_score=None,
    )
):
    """Connect two memories, so that one leads to the other."""

    def arguments(self) -> dict[str, Any]:
        """The arguments of ``relate``."""
        return {
            "source": self.source_memory_id,
            "target": self.target_memory_id,
            "relationship_type": self.relationship_type,
            "confidence_score": self.confidence_score,
        }


class DataSourceCreate(
    _create(DataSource, "source_name", "source_type", source_uri=None, is_active=True, metadata={})  # type: ignore[misc]
):
    """A data source to approve."""


class MemoryAccessPolicyCreate(_create(MemoryAccessPolicy, "policy_name", "policy_rules", is_active=True)):  # type: ignore[misc]
    """A policy to store."""


def invalid_inputs(error: ValidationError) -> list[InvalidInputError]:
    """All of Pydantic's errors as errors of the package, without the input."""
    return [_as_invalid_input(found) for found in error.errors(include_url=False, include_input=False)]


def invalid_input(error: ValidationError) -> InvalidInputError:
    """The first of Pydantic's errors as an error of the package, without the input."""
    return invalid_inputs(error)[0]


def _as_invalid_input(found: ErrorDetails) -> InvalidInputError:
    ours = found.get("ctx", {}).get("error")
    if isinstance(ours, InvalidInputError):
        return ours
    return InvalidInputError(".".join(str(part) for part in found["loc"]), found["msg"])
