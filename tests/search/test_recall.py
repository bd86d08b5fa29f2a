"""What `recall` returns, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import memory_guild as guild
from memory_guild.database.statements import statement
from memory_guild.errors import InvalidInputError, SearchNotInstalledError, TenantNotSetError, UnknownSourceError
from tests.search.words import Connection


@pytest.fixture
async def conversation(search: str) -> list[guild.MemoryRecord]:
    """Two turns, a document, and another tenant's memory with the same words."""
    async with guild.tenant_scope("umbrella", agent_id="spy"):
        await guild.remember("When did Caroline go to the pottery workshop?", source_type="conversation")
    async with guild.tenant_scope("acme", agent_id="Melanie"):
        question = (await guild.remember("When did you go to the pottery workshop?", source_type="conversation")).memory
        answer = (
            await guild.remember("Last Tuesday, it was great.", source_type="conversation", agent_id="Caroline")
        ).memory
        document = (
            await guild.remember(
                "Opening hours of the pottery.",
                source_type="document",
                metadata={"page": 3, "author": {"tags": ["pot"]}},
            )
        ).memory
        await guild.relate(answer, question, "follows")
    return [question, answer, document]


async def test_an_answer_is_found_by_the_words_of_the_question_before_it(
    conversation: list[guild.MemoryRecord],
) -> None:
    question, answer, document = conversation
    async with guild.tenant_scope("acme"):
        results = await guild.recall("When did Caroline visit the pottery workshop?")
    assert {result.memory.memory_id for result in results} == {memory.memory_id for memory in conversation}
    by_id = {result.memory.memory_id: result for result in results}
    assert by_id[answer.memory_id].own_words == ()
    assert by_id[answer.memory_id].neighbor_words == {question.memory_id: ("potteri", "workshop")}
    assert by_id[answer.memory_id].flags == {"agent": 0.1, "time": 0.1}
    assert by_id[question.memory_id].own_words == ("potteri", "workshop")
    assert by_id[question.memory_id].flags == {"question": -0.15, "beginning": 0.1}
    assert by_id[document.memory_id].neighbor_words == {}
    assert [result.score for result in results] == sorted((result.score for result in results), reverse=True)
    assert all(result.score == pytest.approx(result.lexical + sum(result.flags.values())) for result in results)


async def test_a_source_that_nobody_registered_is_told(conversation: list[guild.MemoryRecord]) -> None:
    async with guild.tenant_scope("acme"):
        with pytest.raises(UnknownSourceError):
            await guild.recall("pottery", source="crm")
    with pytest.raises(UnknownSourceError):
        await guild.recall("pottery", source=["crm"], tenant_id="acme")


async def test_another_tenants_memories_are_not_recalled(conversation: list[guild.MemoryRecord]) -> None:
    async with guild.tenant_scope("umbrella"):
        (result,) = await guild.recall("pottery workshop")
        assert result.memory.agent_id == "spy"
    async with guild.tenant_scope("nobody"):
        assert list(await guild.recall("pottery workshop")) == []


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ({}, [0, 1, 2]),
        ({"agent_id": "Caroline"}, [1]),
        ({"agent_id": ["Caroline", "nobody"]}, [1]),
        ({"agent_id": ["Caroline", "Melanie"]}, [0, 1, 2]),
        ({"source_type": "document"}, [2]),
        ({"source_type": ["document", "conversation"]}, [0, 1, 2]),
        ({"metadata": {"page": 3}}, [2]),
        ({"metadata": {"page": 4}}, []),
        ({"metadata": {"page": {"$gte": 2}}}, [2]),
        ({"metadata": {"page": {"$ne": 3}}}, [0, 1]),
        ({"metadata": {"page": {"$nin": [3, 4]}}}, [0, 1]),
        ({"metadata": {"page": {"$exists": False}}}, [0, 1]),
        ({"metadata": {"author.tags": {"$contains": "pot"}}}, [2]),
        ({"metadata": {"author.tags": {"$contains_all": ["pot", "pan"]}}}, []),
        ({"agent_id": "Melanie", "source_type": "conversation", "metadata": {}}, [0]),
        ({"created_before": datetime(2020, 1, 1, tzinfo=UTC)}, []),
        ({"created_from": datetime(2020, 1, 1, tzinfo=UTC)}, [0, 1, 2]),
    ],
)
async def test_conditions_of_find_hold(
    conversation: list[guild.MemoryRecord], conditions: dict[str, object], found: list[int]
) -> None:
    async with guild.tenant_scope("acme"):
        results = await guild.recall("pottery", **conditions)  # type: ignore[arg-type]
    assert {result.memory.memory_id for result in results} == {conversation[number].memory_id for number in found}


@pytest.mark.parametrize("question", [{}, {"vector": [0.6, 0.8], "model": "nobody's"}], ids=["words", "vectors"])
async def test_a_memory_is_among_the_best_only_because_its_agent_is_named(
    search: str, question: dict[str, Any]
) -> None:
    async with guild.tenant_scope("acme", agent_id="Ann"):
        for number in range(12):
            await guild.remember(f"The red door, {number}.", source_type="document")
        named = await guild.remember("The red door, 13 and 14.", source_type="document", agent_id="Bob")
        await guild.remember("The door of the house in the street.", source_type="document", agent_id="Bob")

        results = await guild.recall("What does Bob say of the red door?", limit=3, **question)
    assert results[0].memory == named.memory
    assert results[0].flags == {"agent": 0.1, "beginning": 0.1}
    assert 0.9 < results[0].lexical < results[1].lexical == results[2].lexical == 1


async def test_there_are_as_many_results_as_the_limit_where_there_are_so_many(search: str) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        await guild.remember_many(
            {
                "content_text": f"pelican number {number}",
                "source_type": "document",
                "metadata": {"even": number % 2 == 0},
            }
            for number in range(700)
        )
    async with guild.tenant_scope("acme"):
        assert len(await guild.recall("pelican")) == 10
        assert len(await guild.recall("pelican", limit=1)) == 1
        assert len(await guild.recall("pelican", limit=650)) == 650
        assert len(await guild.recall("pelican", limit=300, metadata={"even": True})) == 300
        assert (await guild.recall("pelican number 333"))[0].memory.content_text == "pelican number 333"


@pytest.mark.parametrize(
    ("query", "arguments", "field"),
    [
        ("", {}, "query"),
        (" \n", {}, "query"),
        (7, {}, "query"),
        (None, {}, "query"),
        ("a\x00b", {}, "query"),
        ("a\ud800", {}, "query"),
        ("ü" * 50_001, {}, "query"),
        ("door", {"limit": 0}, "limit"),
        ("door", {"limit": 10_001}, "limit"),
        ("door", {"limit": True}, "limit"),
        ("door", {"color": "red"}, "color"),
        ("door", {"include_forgotten": True}, "include_forgotten"),
        ("door", {"include_forgotten": "false"}, "include_forgotten"),
        ("door", {"source_type": "rumor"}, "source_type"),
    ],
)
async def test_a_bad_question_or_condition_is_refused(
    search: str, query: str, arguments: dict[str, object], field: str
) -> None:
    async with guild.tenant_scope("acme"):
        with pytest.raises(InvalidInputError) as caught:
            await guild.recall(query, **arguments)  # type: ignore[arg-type]
        assert caught.value.field == field
        assert await guild.count() == 0  # nothing was sent, so the scope goes on


async def test_results_can_be_used_as_their_memories(conversation: list[guild.MemoryRecord]) -> None:
    async with guild.tenant_scope("acme"):
        results = await guild.recall("pottery workshop", source_type="document")
        (result,) = results
        assert result == conversation[2]
        assert vars(result.memory) == vars(await guild.get(result))
        assert conversation[2] in results
        assert "Opening hours" not in repr(results)


@pytest.mark.parametrize(
    ("query", "lexical"),
    [
        ("what does Melanie say of pottery?", {"Melanie came.": 1, "Pottery came.": 1 / 1.5}),
        ("what does melanie say of Pottery?", {"Melanie came.": 1 / 1.5, "Pottery came.": 1}),
        ("what does melanie say of pottery?", {"Melanie came.": 1, "Pottery came.": 1}),
        ("Melanie on pottery?", {"Melanie came.": 1, "Pottery came.": 1}),  # a question begins with a capital anyway
        ("MELANIE ON POTTERY?", {"Melanie came.": 1 / 1.5, "Pottery came.": 1}),
    ],
)
async def test_a_word_with_a_capital_letter_counts_half_more(
    search: str, query: str, lexical: dict[str, float]
) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        await guild.remember_many({"content_text": text, "source_type": "document"} for text in lexical)
        results = await guild.recall(query)
    assert {result.content_text: result.lexical for result in results} == pytest.approx(lexical)


async def test_a_prepared_statement_keeps_its_columns(search: str, past_scopes: Connection) -> None:
    text = statement("search/recall_memories")
    before = await past_scopes.prepare(text)
    columns = [(attribute.name, attribute.type.name) for attribute in before.get_attributes()]
    async with guild.tenant_scope("acme", agent_id="scribe"):
        await guild.remember("A door.", source_type="document")
        await guild.recall("door")
    await past_scopes.execute("ALTER TABLE memory_records ADD COLUMN importance float8 NOT NULL DEFAULT 0.5")
    after = await past_scopes.prepare(f"{text} -- anew")
    assert [(attribute.name, attribute.type.name) for attribute in after.get_attributes()] == columns
    async with guild.tenant_scope("acme", agent_id="scribe"):
        await guild.remember("Another door.", source_type="document")
        assert len(await guild.recall("door")) == 2


async def test_recall_needs_a_scope(search: str) -> None:
    with pytest.raises(TenantNotSetError):
        await guild.recall("door")


async def test_without_the_search_tables_the_error_says_what_to_do(database: str) -> None:
    with pytest.raises(SearchNotInstalledError, match="memory-guild upgrade --search"):
        async with guild.tenant_scope("acme"):
            await guild.recall("door")
