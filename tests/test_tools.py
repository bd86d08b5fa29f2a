"""The serializers for language models: what their schemas say, who takes them, and how a call becomes a memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, ValidationError

import memory_guild as guild
from memory_guild import RelationshipType, SourceType, serializers
from memory_guild.serializers import MemoryRecordTool, MemoryRelationshipTool


class DoorTool(MemoryRecordTool):
    """Remember a fact about a door."""

    door: Literal["front", "back"] = Field(description="Which door")
    seen_on: date | None = Field(None, description="The day, or null")
    height: float = Field(2.0, gt=0, le=4, description="In meters")
    tags: list[str] = Field(default_factory=list, max_length=3, description="Short words")


TOOLS = [MemoryRecordTool, MemoryRelationshipTool, DoorTool]
EDGE = {"source_memory_id": str(UUID(int=1)), "target_memory_id": str(UUID(int=2)), "relationship_type": "supports"}
# https://platform.openai.com/docs/guides/structured-outputs: what is not listed there is refused in strict mode. Of it,
# this leaves out what Anthropic's strict mode or Gemini refuse: format, pattern and all bounds.
KEYWORDS = {"type", "properties", "required", "additionalProperties", "anyOf", "enum", "items", "description", "title"}


def parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and all schemas in it."""
    yield schema
    for part in [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]:
        yield from parts(part)
    if "items" in schema:
        yield from parts(schema["items"])


def assert_strict(schema: dict[str, Any]) -> None:
    assert schema["type"] == "object"
    for part in parts(schema):
        assert set(part) <= KEYWORDS
        assert "type" in part or "anyOf" in part or "enum" in part, "takes anything"
        if part.get("type") == "object":
            assert part["additionalProperties"] is False
            assert part["required"] == list(part["properties"])


@pytest.mark.parametrize("tool", TOOLS)
def test_schema_is_strict_as_it_stands(tool: type[BaseModel]) -> None:
    schema = tool.model_json_schema()

    assert_strict(schema)
    assert schema["title"] == tool.__name__
    assert schema["description"] == tool.__doc__
    assert all(part["description"] for part in schema["properties"].values())
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("name", [name for name in dir(serializers) if name.endswith(("Read", "Create", "Tool"))])
def test_no_serializer_says_nullable(name: str) -> None:
    for mode in ("validation", "serialization"):
        assert "nullable" not in json.dumps(getattr(serializers, name).model_json_schema(mode=mode))


def test_a_model_is_asked_only_for_what_it_can_know() -> None:
    assert list(MemoryRecordTool.model_json_schema()["properties"]) == ["content_text", "source_type"]
    assert list(MemoryRelationshipTool.model_json_schema()["properties"]) == [
        "source_memory_id",
        "target_memory_id",
        "relationship_type",
        "confidence_score",
    ]


@pytest.mark.parametrize(
    ("tool", "column", "choices"),
    [(MemoryRecordTool, "source_type", SourceType), (MemoryRelationshipTool, "relationship_type", RelationshipType)],
)
def test_the_meaning_of_each_choice_is_in_the_schema_and_in_the_docs(
    tool: type[BaseModel], column: str, choices: type[SourceType | RelationshipType]
) -> None:
    part = tool.model_json_schema()["properties"][column]
    page = (Path(__file__).parent.parent / "docs" / "verbs.md").read_text()

    assert part["enum"] == list(choices)
    assert len({choice.meaning for choice in choices}) == len(choices)
    for choice in choices:
        assert f"{choice}: {choice.meaning}" in part["description"]
        assert re.search(rf"^\| `{choice}` \| {re.escape(choice.meaning)} \|$", page, re.MULTILINE)
        assert choices(choice.value) is choice


# --- the providers' own converters ------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("tool", TOOLS)
def test_openai_takes_it_in_strict_mode(tool: type[BaseModel]) -> None:
    import openai
    from openai.lib._pydantic import to_strict_json_schema

    function = openai.pydantic_function_tool(tool)["function"]

    assert function["strict"] is True
    assert function["description"] == tool.__doc__
    assert function["parameters"] == to_strict_json_schema(tool) == tool.model_json_schema()
    assert_strict(function["parameters"])


@pytest.mark.long
@pytest.mark.parametrize("tool", TOOLS)
def test_anthropic_takes_it_and_loses_nothing(tool: type[BaseModel]) -> None:
    import anthropic

    schema = tool.model_json_schema()
    taken = anthropic.transform_schema(tool)

    assert taken["required"] == schema["required"]
    assert taken["additionalProperties"] is False
    for name, part in schema["properties"].items():  # it moves keywords that it cannot use into the description
        assert taken["properties"][name]["description"] == part["description"]
        assert taken["properties"][name].get("enum") == part.get("enum")


@pytest.mark.long
@pytest.mark.parametrize("tool", TOOLS)
def test_gemini_takes_it_and_loses_nothing(tool: type[BaseModel]) -> None:
    from google.genai import types

    schema = tool.model_json_schema()
    taken = types.Schema.from_json_schema(
        json_schema=types.JSONSchema.model_validate(schema), raise_error_on_unsupported_field=True
    )

    assert taken.required == schema["required"]
    assert taken.properties is not None
    for name, part in schema["properties"].items():
        assert taken.properties[name].description == part["description"]
        assert taken.properties[name].enum == part.get("enum")
        assert bool(taken.properties[name].nullable) == ({"type": "null"} in part.get("anyOf", []))
    declared = types.FunctionDeclaration(name="remember", parameters_json_schema=schema)
    assert declared.parameters_json_schema == schema


# --- from the call to the memory --------------------------------------------------------------------------------


@pytest.mark.usefixtures("shared_database")
async def test_a_call_becomes_a_memory_and_an_edge() -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        plain = MemoryRecordTool(content_text="The wall is white.", source_type="observation")
        wall = await guild.remember(**plain.arguments())
        assert (wall.source_type, wall.agent_id, wall.metadata) == ("observation", "scribe", {})

        call = {
            "content_text": "The door is blue.",
            "source_type": "conversation",
            "door": "back",
            "seen_on": "2026-05-04",
        }
        door = await guild.remember(**DoorTool.model_validate_json(json.dumps(call)).arguments())
        assert door.metadata == {"door": "back", "seen_on": "2026-05-04", "height": 2.0, "tags": []}

        ids = {"source_memory_id": str(door.memory_id), "target_memory_id": str(wall.memory_id)}
        for confidence in (None, 0.5):
            edge = MemoryRelationshipTool(**ids, relationship_type="supports", confidence_score=confidence)
            related = await guild.relate(**edge.arguments(), on_existing="increase")
            assert (related.source_memory_id, related.confidence_score) == (door.memory_id, confidence)


@pytest.mark.usefixtures("shared_database")
async def test_many_calls_are_stored_as_they_are() -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        calls = [
            MemoryRecordTool(content_text="The wall is white.", source_type="document"),
            DoorTool(content_text="The door is blue.", source_type="document", door="front"),
        ]
        wall, door = await guild.remember_many(calls)
        assert (await guild.get(door)).metadata["door"] == "front"
        edge = MemoryRelationshipTool(
            source_memory_id=wall.memory_id, target_memory_id=door.memory_id, relationship_type="related"
        )
        assert [outcome.created for outcome in await guild.relate_many([edge])] == [True]


@pytest.mark.parametrize(
    ("tool", "call"),
    [
        (MemoryRecordTool, {"content_text": "x"}),
        (MemoryRecordTool, {"content_text": "x\x00", "source_type": "document"}),
        (MemoryRecordTool, {"content_text": "x", "source_type": "rumour"}),
        (MemoryRecordTool, {"content_text": "x", "source_type": "document", "tenant_id": "bolt"}),
        (MemoryRelationshipTool, EDGE | {"confidence_score": 1.5}),
        (MemoryRelationshipTool, EDGE | {"source_memory_id": "the first one"}),
        (DoorTool, {"content_text": "x", "source_type": "document", "door": "front", "height": 5}),
    ],
)
def test_what_the_schema_does_not_say_is_checked_when_the_call_is_parsed(
    tool: type[BaseModel], call: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        tool.model_validate(call)
