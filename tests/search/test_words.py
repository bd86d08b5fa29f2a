"""The vectors are true in the transaction that changes what they are made of."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import memory_guild as guild
from tests.search.words import Connection, assert_vectors_are_true, stored_vectors

WORDS = ["lighthouse", "pelican", "teapot", "harbor", "violin", "glacier", "when", "the", "Tuesday"]
NUMBERS = st.integers(0, 7)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("follows"), NUMBERS, NUMBERS),
        st.tuples(st.just("references"), NUMBERS, NUMBERS),
        st.tuples(st.just("supports"), NUMBERS, NUMBERS),
        st.tuples(st.just("unrelate"), NUMBERS, NUMBERS),
        st.tuples(st.just("turn"), NUMBERS, NUMBERS),
        st.tuples(st.just("forget"), NUMBERS, NUMBERS),
        st.tuples(st.just("restore"), NUMBERS, NUMBERS),
        st.tuples(st.just("update"), NUMBERS, st.integers(0, 40)),
        st.tuples(st.just("delete"), NUMBERS, NUMBERS),
    ),
    max_size=14,
)


def text_of(number: int, length: int) -> str:
    """A text of its own, short or long."""
    words = (WORDS[(number + step * step) % len(WORDS)] for step in range(length % 41 + 1))
    return " ".join([f"memory{number}", *words])


async def change(memories: list[guild.MemoryRecord], operation: str, one: int, other: int) -> None:
    """Do one of the operations, where it is possible."""
    memory = memories[one]
    living = await guild.MemoryRecord.filter(memory_id=memory.memory_id, is_deleted=False).exists()
    if operation == "forget" and living:
        await guild.forget(memory)
    elif operation == "restore" and await guild.MemoryRecord.exists(memory_id=memory.memory_id):
        await guild.restore(memory)
    elif operation == "update" and living:
        await guild.update(memory, content_text=text_of(one, other))
    elif operation == "delete":
        await guild.MemoryRecord.filter(memory_id=memory.memory_id).delete()
    elif operation == "unrelate":
        await guild.MemoryRelationship.filter(source_memory_id=memory.memory_id).delete()
    elif operation == "turn":
        await guild.MemoryRelationship.filter(source_memory_id=memory.memory_id).update(relationship_type="follows")
    elif operation in ("follows", "references", "supports") and one != other:
        found = await guild.get_many([memory.memory_id, memories[other].memory_id])
        if not found.missing:
            await guild.relate(memory, memories[other], operation)


@pytest.mark.long
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS, st.lists(st.integers(0, 40), min_size=8, max_size=8))
async def test_after_any_changes_the_vectors_are_those_made_from_scratch(
    search: str, past_scopes: Connection, operations: list[tuple[str, int, int]], lengths: list[int]
) -> None:
    await past_scopes.execute("DELETE FROM memory_records")
    async with guild.tenant_scope("acme", agent_id="scribe"):
        memories = [
            (await guild.remember(text_of(number, length), source_type="document")).memory
            for number, length in enumerate(lengths)
        ]
    async with guild.tenant_scope("umbrella", agent_id="scribe"):
        await guild.remember(text_of(0, 5), source_type="document")
    untouched = await stored_vectors(past_scopes, "umbrella")
    for operation in operations:
        async with guild.tenant_scope("acme"):
            await change(memories, *operation)
    await assert_vectors_are_true(past_scopes, "acme")
    assert await stored_vectors(past_scopes, "umbrella") == untouched


async def test_a_chain_stored_at_once_and_in_reverse(search: str, past_scopes: Connection) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        report = await guild.remember_many(
            {"content_text": text_of(number, number), "source_type": "conversation"} for number in range(12)
        )
        ids = [item.memory_id for item in report]
        await guild.relate_many(
            {"source_memory_id": later, "target_memory_id": earlier, "relationship_type": "follows"}
            for later, earlier in reversed(list(zip(ids[1:], ids, strict=False)))
        )
    await assert_vectors_are_true(past_scopes, "acme")


@pytest.mark.parametrize("way", ["forget", "forget_where", "purge", "delete", "update", "supersede"])
async def test_words_that_are_gone_are_nowhere(search: str, past_scopes: Connection, way: str) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        secret = (await guild.remember("The combination is xylophone.", source_type="document")).memory
        for number in range(4):
            other = (await guild.remember(f"Note number {number}.", source_type="document")).memory
            await guild.relate(other, secret, "follows" if number % 2 else "references")
    word = await past_scopes.fetchval("SELECT memory_guild_word('xylophon')")
    assert all(word in vector for vector in (await stored_vectors(past_scopes, "acme")).values())
    async with guild.tenant_scope("acme", agent_id="scribe"):
        if way == "forget":
            await guild.forget(secret)
        elif way == "forget_where":
            await guild.forget_where(source_type="document")
        elif way == "purge":
            await guild.forget(secret)
            await guild.purge(older_than=timedelta(0))
        elif way == "delete":
            await guild.MemoryRecord.filter(memory_id=secret.memory_id).delete()
        elif way == "update":
            await guild.update(secret, content_text="The combination is gone.")
        else:
            new = await guild.supersede(secret, "The combination is another one.")
            assert await guild.recall("xylophone")
            await guild.forget(secret)
            assert new is not None
        assert list(await guild.recall("xylophone")) == []
    assert not any(word in vector for vector in (await stored_vectors(past_scopes, "acme")).values())
    assert await past_scopes.fetchval("SELECT count(*) FROM memory_words WHERE lexemes @@ 'xylophon'::tsquery") == 0
    await assert_vectors_are_true(past_scopes, "acme")


async def test_a_memory_without_words_keeps_none_of_a_neighbor_that_is_forgotten(
    search: str, past_scopes: Connection
) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        door = await guild.remember("The door is red.", source_type="document")
        silent = await guild.remember("The.", source_type="document")
        await guild.relate(silent, door, "follows")
    # Its date would be words, too.
    await past_scopes.execute(
        "UPDATE memory_records SET created_at = 'infinity' WHERE memory_id = $1", silent.memory_id
    )
    assert (await stored_vectors(past_scopes, "acme"))[silent.memory_id] != {}

    async with guild.tenant_scope("acme", agent_id="scribe"):
        await guild.forget(door)
    assert await stored_vectors(past_scopes, "acme") == {silent.memory_id: {}}


async def test_what_a_scope_rolls_back_leaves_no_words(search: str, past_scopes: Connection) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        first = (await guild.remember("A harbor.", source_type="document")).memory
    with pytest.raises(ZeroDivisionError):
        async with guild.tenant_scope("acme", agent_id="scribe"):
            second = (await guild.remember("A glacier.", source_type="document")).memory
            await guild.relate(first, second, "references")
            assert len(await guild.recall("glacier")) == 2
            raise ZeroDivisionError
    async with guild.tenant_scope("acme"):
        assert list(await guild.recall("glacier")) == []
    await assert_vectors_are_true(past_scopes, "acme")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("?", id="no word"),
        pytest.param("the of and", id="stop words"),
        pytest.param("👩‍👩‍👧 ☃", id="emoji"),
        pytest.param("x" * 3000, id="one long word"),
        pytest.param(" ".join(f"w{number:x}" for number in range(60_000)), id="many words"),
        pytest.param("a\tb\nc ' \\ \" {1:2}/3", id="signs"),
    ],
)
async def test_any_text_is_stored(search: str, past_scopes: Connection, text: str) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        memory = (await guild.remember(text, source_type="document")).memory
        other = (await guild.remember("Another.", source_type="document")).memory
        await guild.relate(memory, other, "follows")
        await guild.recall(text[:1000])
    assert len(await stored_vectors(past_scopes, "acme")) == 2
