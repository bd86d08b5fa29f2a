"""Where access policies are enforced, every verb asks them: what is denied is not read, written or revealed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

import memory_guild as guild
from memory_guild.errors import AccessDeniedError, MemoryGuildError, MemoryNotFoundError
from memory_guild.policies.deciding import Decider
from memory_guild.search import embeddings

OWN_ONLY = """
package memory.access

allow if input.memory.agent_id == input.agent_id
"""

READ_ONLY = """
package memory.access

allow if input.action == "read"
"""

Ids = dict[str, UUID]
Verb = Callable[[Ids], Awaitable[Any]]

NO_VERBS = {
    "Candidate",
    "ErasureReceipt",
    "audit",
    "DataSource",
    "DataSourceType",
    "Direction",
    "Embedder",
    "MemoryAccessPolicy",
    "MemoryEmbedding",
    "MemoryGuildError",
    "MemoryRecord",
    "MemoryRelationship",
    "RelationshipType",
    "SourceType",
    "StoreOutcome",
    "SweepReport",
    "SyncReport",
    "VectorIndex",
    "Verdict",
    "__version__",
    "admin_scope",
    "connect",
    "embeddings",
    "policies",
    "schema",
    "sources",
    "tenant_scope",
    "upgrade",
}
"""Names of the face that do nothing with a memory."""

NOT_ASKED = {"as_of", "embed_pending", "erase_tenant", "sweep_vectors", "sync_vectors", "unregister_vector_index"}
"""The verbs that do not ask, which docs/policies.md names: a queryset, and what works for an operator, not an agent."""

READING: dict[str, Verb] = {
    "find": lambda ids: guild.find(include_forgotten=True),
    "find_all": lambda ids: _all(guild.find_all(include_forgotten=True)),
    "get_many": lambda ids: guild.get_many(list(ids.values()), include_forgotten=True),
    "recall": lambda ids: guild.recall("door"),
    "hydrate": lambda ids: guild.hydrate([(memory_id, 1.0) for memory_id in ids.values()]),
    "traverse": lambda ids: guild.traverse(ids["mine"], direction="both"),
    "subgraph": lambda ids: guild.subgraph(ids["mine"]),
    "neighbors": lambda ids: guild.neighbors(ids["mine"]),
    "contradictions": lambda ids: _flat(guild.contradictions()),
    "embeddings.pending": lambda ids: embeddings.pending("m"),
    "embeddings.stale": lambda ids: embeddings.stale("old"),
}
"""The verbs that return several memories, whatever they are."""

CHANGING: dict[str, Verb] = {
    "remember": lambda ids: guild.remember("new", source_type="document", agent_id="they"),
    "remember_many": lambda ids: guild.remember_many(
        [{"content_text": "new", "source_type": "document", "agent_id": "they"}]
    ),
    "update": lambda ids: guild.update(ids["theirs"], content_text="changed"),
    "supersede": lambda ids: guild.supersede(ids["theirs"], "changed"),
    "forget": lambda ids: guild.forget(ids["mine"], ids["theirs"]),
    "restore": lambda ids: guild.restore(ids["their forgotten"]),
    "relate": lambda ids: guild.relate(ids["mine"], ids["theirs"], "related"),
    "relate_many": lambda ids: guild.relate_many(
        [{"source_memory_id": ids["mine"], "target_memory_id": ids["theirs"], "relationship_type": "related"}]
    ),
    "unrelate": lambda ids: guild.unrelate(ids["mine"], ids["theirs"]),
    "embeddings.attach": lambda ids: embeddings.attach([(ids["theirs"], [1.0, 0.0])], model="m"),
    "embeddings.retire": lambda ids: embeddings.retire("old"),
    "fetch_relations": lambda ids: guild.fetch_relations([guild.MemoryRecord(memory_id=ids["theirs"])]),
    "get": lambda ids: guild.get(ids["theirs"]),
}
"""The verbs that are about memories that the caller names."""

ELSEWHERE = {"count", "erase_where", "forget_where", "path", "purge", "relate_by_names"}
"""The verbs that have tests of their own below."""


async def _all(memories: AsyncIterator[Any]) -> list[Any]:
    return [memory async for memory in memories]


async def _flat(found: Awaitable[list[Any]]) -> list[Any]:
    return [memory for one in await found for memory in (one.source, one.target)]


def test_every_verb_is_asked_or_named() -> None:
    """A new verb has to be put somewhere."""
    of_embeddings = {f"embeddings.{name}" for name in embeddings.__all__}
    asked = READING.keys() | CHANGING.keys() | ELSEWHERE
    assert (set(guild.__all__) - NO_VERBS) | of_embeddings == asked | NOT_ASKED


@pytest.fixture
async def ids(search_url: str, monkeypatch: pytest.MonkeyPatch) -> Ids:
    """A tenant's memories of two agents, ``me`` and ``they``, related to each other; none of it is decided yet."""
    ids: Ids = {}
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", search_url)
    async with guild.connect(check_schema=False), guild.tenant_scope("acme"):
        for agent, name in (("me", "mine"), ("they", "theirs"), ("me", "my second"), ("they", "their second")):
            memory = await guild.remember(f"the door of {name}", source_type="document", agent_id=agent)
            ids[name] = memory.memory_id
        for agent, name in (("me", "my forgotten"), ("they", "their forgotten")):
            memory = await guild.remember(f"the door of {name}", source_type="document", agent_id=agent)
            await guild.forget(memory)
            ids[name] = memory.memory_id
        await guild.relate(ids["mine"], ids["theirs"], "contradicts")
        await guild.relate(ids["theirs"], ids["my second"], "references")
        await guild.relate(ids["mine"], ids["their second"], "references")
        for name in ("mine", "theirs"):
            known = await guild.get(ids[name])
            await embeddings.attach([(known, [1.0, 0.0])], model="old")
            await guild.update(known, content_text=f"the door of {name}, changed")
    monkeypatch.setenv("MEMORY_GUILD_POLICIES", "rego")
    monkeypatch.setenv("MEMORY_GUILD_POLICIES_MAX_AGE_SECONDS", "0")
    return ids


async def put(rego: str) -> None:
    """Make it the only policy."""
    async with guild.admin_scope("test"):
        for policy in await guild.policies.list_all():
            await guild.policies.remove(policy.policy_name)
        await guild.policies.put("the only one", rego)


async def everything(url: str) -> Any:
    """All that the tenant has, past the package."""
    connection = await asyncpg.connect(url)
    try:
        return [
            await connection.fetch(f"SELECT * FROM {table} ORDER BY 1")
            for table in ("memory_records", "memory_relationships", "memory_embeddings", "memory_own_vectors")
        ]
    finally:
        await connection.close()


@pytest.mark.parametrize("name", READING)
async def test_what_may_not_be_read_is_not_returned(name: str, ids: Ids) -> None:
    theirs = {ids["theirs"], ids["their second"], ids["their forgotten"]}
    async with guild.connect(check_schema=False):
        await put(READ_ONLY)
        async with guild.tenant_scope("acme", "me"):
            all_of_them = {memory.memory_id for memory in await READING[name](ids)}
        await put(OWN_ONLY)
        async with guild.tenant_scope("acme", "me"):
            found = await READING[name](ids)
        async with guild.tenant_scope("acme"):
            with_no_agent = [] if name in ("traverse", "subgraph", "neighbors") else await READING[name](ids)

    assert all_of_them & theirs, "there is something to leave out"
    left: dict[str, set[UUID]] = {
        "traverse": set(),  # it leads nowhere but through theirs
        "subgraph": {ids["mine"]},
        "contradictions": set(),  # the one that there is is with theirs
    }
    assert {memory.memory_id for memory in found} == left.get(name, all_of_them - theirs)
    assert not list(with_no_agent)
    shown = repr(found) + str([getattr(memory, "neighbor_words", None) for memory in found])
    assert not [memory_id for memory_id in theirs if str(memory_id) in shown and name not in ("get_many", "hydrate")]


@pytest.mark.parametrize("name", CHANGING)
async def test_what_is_denied_changes_nothing_and_the_scope_goes_on(name: str, ids: Ids, search_url: str) -> None:
    before = await everything(search_url)
    async with guild.connect(check_schema=False):
        await put(OWN_ONLY)
        async with guild.tenant_scope("acme", "me"):
            with pytest.raises(MemoryNotFoundError if name in ("get", "supersede") else AccessDeniedError) as caught:
                await CHANGING[name](ids)
            assert (await guild.get(ids["mine"])).agent_id == "me"

    assert await everything(search_url) == before
    if isinstance(caught.value, AccessDeniedError):
        assert str(caught.value) == f"{caught.value.action} is denied: {caught.value.reason}"
        assert caught.value.reason.endswith("no policy allows it")


@pytest.mark.parametrize("name", CHANGING)
async def test_what_is_allowed_is_done(name: str, ids: Ids, search_url: str) -> None:
    async with guild.connect(check_schema=False):
        await put("package memory.access\nallow := true\n")
        async with guild.tenant_scope("acme", "me"):
            await CHANGING[name](ids)


async def test_get_says_that_a_memory_is_not_there(ids: Ids) -> None:
    async with guild.connect(check_schema=False):
        await put(OWN_ONLY)
        async with guild.tenant_scope("acme", "me"):
            with pytest.raises(MemoryNotFoundError) as caught:
                await guild.get(ids["theirs"])
            found = await guild.get_many([ids["theirs"], ids["mine"]])
    assert caught.value.memory_ids == (ids["theirs"],)
    assert found.missing == [ids["theirs"]]


async def test_count_counts_what_may_be_read(ids: Ids) -> None:
    async with guild.connect(check_schema=False):
        await put(OWN_ONLY)
        async with guild.tenant_scope("acme", "me"):
            assert await guild.count() == 2
            assert await guild.count(include_forgotten=True) == 3


async def test_pages_are_filled_with_what_may_be_read(ids: Ids) -> None:
    """A page that a policy empties is not the last one."""
    async with guild.connect(check_schema=False):
        async with guild.admin_scope("test"):
            for policy in await guild.policies.list_all():
                await guild.policies.remove(policy.policy_name)
            await guild.policies.put("own", OWN_ONLY)
        async with guild.tenant_scope("acme", "me"):
            long_ago = datetime(2020, 1, 1, tzinfo=UTC)
            first = await guild.remember("mine, the oldest", source_type="document", created_at=long_ago)
            seen, cursor = [], None
            while True:
                page = await guild.find(limit=1, cursor=cursor)
                seen += [memory.memory_id for memory in page]
                if (cursor := page.next_cursor) is None:
                    break
            recalled = await guild.recall("door", limit=2)
    assert seen == [ids["my second"], ids["mine"], first.memory_id]
    assert {memory.memory_id for memory in recalled} == {ids["mine"], ids["my second"]}


async def test_what_may_not_be_read_takes_no_place_in_a_list(ids: Ids) -> None:
    """Otherwise an agent could fill another's lists with what that one does not see."""
    async with guild.connect(check_schema=False):
        await put("package memory.access\nallow := true\n")
        async with guild.tenant_scope("acme", "they"):
            for number in range(6):
                hiding = await guild.remember(f"hiding {number}", source_type="document")
                for kind in ("references", "contradicts"):
                    await guild.relate(ids["mine"], hiding.memory, kind)
            for kind in ("references", "contradicts"):
                await guild.relate(ids["mine"], ids["my second"], kind, confidence_score=0.1)
        await put(OWN_ONLY)
        async with guild.tenant_scope("acme", "me"):
            near = await guild.neighbors(ids["mine"], limit=1, types="references")
            contradicted = await guild.contradictions(ids["mine"], limit=1)
            pending = await embeddings.pending("m", limit=2)
            page = await guild.find(limit=2)
    assert [neighbor.memory.memory_id for neighbor in near] == [ids["my second"]]
    assert [one.target.memory_id for one in contradicted] == [ids["my second"]]
    for memories in (pending, page):
        assert {memory.memory_id for memory in memories} == {ids["mine"], ids["my second"]}
    assert page.next_cursor is None


async def test_forget_where_forgets_what_may_be_forgotten_and_counts_it(ids: Ids) -> None:
    async with guild.connect(check_schema=False):
        await put(OWN_ONLY)
        async with guild.tenant_scope("acme", "me"):
            assert await guild.forget_where(source_type="document") == 2
        await put("package memory.access\nallow := true\n")
        async with guild.tenant_scope("acme", "me"):
            assert await guild.count() == 2


async def test_erase_where_erases_what_may_be_erased_and_counts_it(ids: Ids) -> None:
    async with guild.connect(check_schema=False):
        await put(OWN_ONLY)
        async with guild.tenant_scope("acme", "me"):
            assert (await guild.erase_where(source_type="document")).memories == 3
        await put("package memory.access\nallow := true\n")
        async with guild.tenant_scope("acme", "me"):
            assert await guild.count(include_forgotten=True) == 3


@pytest.mark.parametrize("name", ["forget_where", "erase_where"])
async def test_what_changes_while_its_lock_is_waited_for_is_asked_about_again(
    name: str, ids: Ids, search_url: str
) -> None:
    """Otherwise what was allowed to a memory as it was would be done to the memory as it is."""
    other = await asyncpg.connect(search_url)
    async with guild.connect(check_schema=False):
        await put(OWN_ONLY)
        await other.execute("BEGIN")
        await other.execute("UPDATE memory_records SET agent_id = 'they' WHERE memory_id = $1", ids["mine"])

        async def change() -> Any:
            async with guild.tenant_scope("acme", "me"):
                return await getattr(guild, name)(source_type="document")

        changing = asyncio.create_task(change())
        await asyncio.sleep(0.5)
        await other.execute("COMMIT")
        changed = await changing
    assert await other.fetchval(
        "SELECT count(*) FROM memory_records WHERE memory_id = $1 AND is_deleted IS NOT TRUE", ids["mine"]
    )
    assert getattr(changed, "memories", changed) == (1 if name == "forget_where" else 2)
    await other.close()


@pytest.mark.parametrize("name", ["purge", "release"])
async def test_what_is_no_longer_live_and_changes_meanwhile_is_asked_about_again(
    name: str, ids: Ids, search_url: str
) -> None:
    other = await asyncpg.connect(search_url)
    async with guild.connect(check_schema=False):
        await put(OWN_ONLY)
        async with guild.admin_scope("the test's source"):
            await guild.sources.register(name, source_type="webhook", metadata={"quarantine": True})
        async with guild.tenant_scope("acme", "me"):
            source = name if name == "release" else None
            memory = (await guild.remember("new", source_type="document", source=source)).memory
            if source is None:
                await guild.forget(memory)
        await other.execute("BEGIN")
        await other.execute("UPDATE memory_records SET agent_id = 'they' WHERE memory_id = $1", memory.memory_id)

        async def change() -> int:
            async with guild.tenant_scope("acme", "me"):
                if source is not None:
                    return await guild.sources.release(memories=[memory])
                return await guild.purge(older_than=timedelta(0))

        changing = asyncio.create_task(change())
        await asyncio.sleep(0.5)
        await other.execute("COMMIT")
        await changing
    assert await other.fetchval("SELECT is_deleted FROM memory_records WHERE memory_id = $1", memory.memory_id)
    await other.close()


async def test_the_audit_says_what_was_denied_also_where_the_scope_is_rolled_back(ids: Ids) -> None:
    began = datetime.now(UTC)  # entries stay, and the database serves many tests
    async with guild.connect(check_schema=False):
        await put(OWN_ONLY)
        with pytest.raises(AccessDeniedError):
            async with guild.tenant_scope("acme", "me"):
                await guild.find()
                await guild.forget(ids["mine"], ids["theirs"])
        async with guild.tenant_scope("acme", "me"):
            with pytest.raises(AccessDeniedError):
                await guild.remember("new", source_type="document", agent_id="they")
        async with guild.admin_scope("test"):
            entries = await guild.audit.entries(event="denied", since=began)
    assert [
        (entry.tenant_id, entry.agent_id, entry.outcome, entry.reason, entry.details["action"], entry.details["count"])
        for entry in reversed(entries)
    ] == [
        ("acme", "me", "denied", "no policy allows it", "read", 2),
        ("acme", "me", "denied", "no policy allows it", "forget", 1),
        ("acme", "me", "denied", "no policy allows it", "remember", 1),
    ]
    assert [set(entry.details["memory_ids"]) for entry in reversed(entries)] == [
        {str(ids["theirs"]), str(ids["their second"])},
        {str(ids["theirs"])},
        set(),
    ]


TRUSTED_ONLY = """
package memory.access

allow if input.source.trust >= 0.5
allow if input.memory.agent_id == "they"
"""


async def test_policies_see_the_source_that_a_memory_comes_from_or_would(ids: Ids) -> None:
    async with guild.connect(check_schema=False):
        await put("package memory.access\nallow := true\n")
        async with guild.admin_scope("test"):
            for name, trust in (("good", 0.9), ("bad", 0.1)):
                await guild.sources.register(name, source_type="api", metadata={"trust": trust})
        async with guild.tenant_scope("acme", "me"):
            for name in ("good", "bad"):
                await guild.remember(f"from the {name} one", source_type="external", source=name)
        await put(TRUSTED_ONLY)
        async with guild.tenant_scope("acme", "me"):
            found = await guild.find(agent_id="me")
            await guild.remember("good too", source_type="external", source="good")
            with pytest.raises(AccessDeniedError):
                await guild.remember("bad too", source_type="external", source="bad")
            report = await guild.remember_many(
                [{"content_text": "bad too", "source_type": "external"}], source="bad", on_error="report"
            )
            with pytest.raises(AccessDeniedError):
                await guild.remember("from nowhere", source_type="external")
    assert [memory.content_text for memory in found] == ["from the good one"]
    assert report.refused == 1


async def test_the_input_of_every_verb_has_the_documented_shape(ids: Ids, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    decide = Decider.decide

    async def watched(self: Decider, inputs: Any) -> Any:
        seen.extend(inputs)
        return await decide(self, inputs)

    monkeypatch.setattr(Decider, "decide", watched)
    async with guild.connect(check_schema=False):
        await put("package memory.access\nallow if input.tenant_id\n# input: all of it is read\n")
        async with guild.admin_scope("test"):
            await guild.sources.register("crm", source_type="api", metadata={"trust": 0.9})
        async with guild.tenant_scope("acme", "me"):
            await guild.remember("from the CRM", source_type="external", source="crm", metadata={"n": 1})
            await guild.find(source="crm")
            for name in [*(CHANGING.keys() - {"supersede", "forget"}), "forget"]:  # `update` changes the text already
                await CHANGING[name](ids)
        async with guild.tenant_scope("acme"):
            await guild.find()
    inputs = [guild.policies.PolicyInput.model_validate(given) for given in seen]
    assert {str(given.action) for given in inputs} >= {
        *("remember", "read", "update", "forget", "restore", "relate", "unrelate", "embed")
    }
    assert {given.source.name for given in inputs if given.source is not None} == {"crm"}
    assert {given.agent_id for given in inputs} == {"me", None}


async def test_what_may_not_be_released_stays_in_quarantine(ids: Ids) -> None:
    async with guild.connect(check_schema=False):
        await put("package memory.access\nallow := true\n")
        async with guild.admin_scope("test"):
            await guild.sources.register("feed", source_type="api", metadata={"quarantine": True})
        async with guild.tenant_scope("acme", "me"):
            for agent in ("me", "they"):
                await guild.remember(f"held for {agent}", source_type="external", source="feed", agent_id=agent)
        await put(OWN_ONLY)
        async with guild.tenant_scope("acme", "me"):
            assert await guild.sources.release("feed") == 1
            assert await guild.sources.release("feed") == 0
            assert len(await guild.find(text="held")) == 1


async def test_purge_deletes_what_may_be_purged_and_counts_it(ids: Ids) -> None:
    async with guild.connect(check_schema=False):
        await put(OWN_ONLY)
        async with guild.tenant_scope("acme", "me"):
            assert await guild.purge(older_than=timedelta(0)) == 1
        await put("package memory.access\nallow := true\n")
        async with guild.tenant_scope("acme", "me"):
            assert (await guild.get(ids["their forgotten"], include_forgotten=True)).is_deleted


async def test_a_path_through_what_may_not_be_read_is_none(ids: Ids) -> None:
    async with guild.connect(check_schema=False):
        await put(READ_ONLY)
        async with guild.tenant_scope("acme", "me"):
            assert await guild.path(ids["mine"], ids["my second"])
        await put(OWN_ONLY)
        async with guild.tenant_scope("acme", "me"):
            assert await guild.path(ids["mine"], ids["my second"]) is None


async def test_a_duplicate_is_not_restored_changed_or_shown_unless_allowed(ids: Ids, search_url: str) -> None:
    """What `remember` finds under the same text is a memory of its own kind, which it may not do everything with."""
    before = await everything(search_url)
    async with guild.connect(check_schema=False):
        await put('package memory.access\nallow if input.action in ["remember", "read"]\n')
        async with guild.tenant_scope("acme", "me"):
            text = "the door of my forgotten"
            with pytest.raises(AccessDeniedError, match="restore is denied"):
                await guild.remember(text, source_type="document")
            kept = await guild.remember(text, source_type="document", on_forgotten="keep")
            with pytest.raises(AccessDeniedError, match="update is denied"):
                await guild.remember(
                    "the door of my second", source_type="document", metadata={"a": 1}, on_existing="replace"
                )
            items: list[dict[str, Any]] = [
                {"content_text": text, "source_type": "document"},
                {"content_text": "the door of my second", "source_type": "document", "metadata": {"a": 1}},
            ]
            report = await guild.remember_many(items, on_existing="merge", on_error="report")
            with pytest.raises(AccessDeniedError, match=r"restore is denied: items\[0\]: no policy allows it"):
                await guild.remember_many(items)
        await put('package memory.access\nallow if input.action == "remember"\n')
        async with guild.tenant_scope("acme", "me"):
            with pytest.raises(AccessDeniedError, match="read is denied"):
                await guild.remember("the door of my second", source_type="document")
            with pytest.raises(AccessDeniedError, match="read is denied"):
                await guild.remember(text, source_type="document", on_forgotten="raise")
    assert kept.is_deleted
    assert [str(item.error) for item in report] == [
        "restore is denied: no policy allows it",
        "update is denied: no policy allows it",
    ]
    assert await everything(search_url) == before


async def test_an_update_shows_no_text_that_may_not_be_read(ids: Ids) -> None:
    async with guild.connect(check_schema=False):
        await put('package memory.access\nallow if input.action == "update"\n')
        async with guild.tenant_scope("acme", "me"):
            with pytest.raises(AccessDeniedError, match="read is denied"):
                await guild.update(ids["theirs"], metadata={"a": 1})


async def test_an_update_is_asked_about_before_and_after(ids: Ids) -> None:
    """Otherwise a memory could be changed into one that the policy does not allow, or out of its reach."""
    async with guild.connect(check_schema=False):
        await put(
            """
            package memory.access
            allow if input.memory.metadata.team == "a"
            allow if input.action == "remember"
            """
        )
        async with guild.tenant_scope("acme", "me"):
            memory = await guild.remember("new", source_type="document", metadata={"team": "a"})
            with pytest.raises(AccessDeniedError):
                await guild.update(memory, metadata={"team": "b"})
            with pytest.raises(AccessDeniedError):
                await guild.update(ids["mine"], metadata={"team": "a"})
            assert (await guild.update(memory, metadata={"team": "a", "n": 1})).metadata["n"] == 1


async def test_relate_by_names_relates_what_may_be_related(ids: Ids) -> None:
    async with guild.connect(check_schema=False):
        await put("package memory.access\nallow := true\n")
        async with guild.tenant_scope("acme", "me"):
            for agent in ("me", "they"):
                for number in range(2):
                    await guild.remember(
                        f"Zebulon Quartermaine saw it, said {agent} {number}", source_type="external", agent_id=agent
                    )
        await put('package memory.access\nallow if input.action == "read"\nallow if input.memory.agent_id == "they"\n')
        assert await guild.relate_by_names("acme", source_type="external") == 1


async def test_what_is_known_may_be_dropped_while_it_is_used(ids: Ids, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is room for so many decisions, and one call may need some that are known and more that are not."""
    monkeypatch.setattr("memory_guild.policies.deciding._MOST_KNOWN", 2)
    async with guild.connect(check_schema=False):
        await put('package memory.access\nallow if input.memory.memory_id != "none"\n')
        async with guild.tenant_scope("acme", "me"):
            for limit in (2, 3, 4):
                assert len(await guild.find(limit=limit)) == limit


async def test_off_by_default_nothing_is_asked(ids: Ids, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEMORY_GUILD_POLICIES")
    async with guild.connect(check_schema=False):
        await put("package memory.access\ndeny := true\n")
        async with guild.tenant_scope("acme", "me"):
            assert len(await guild.find()) == 4


async def test_without_an_active_policy_everything_is_denied(ids: Ids) -> None:
    async with guild.connect(check_schema=False):
        async with guild.admin_scope("test"):
            for policy in await guild.policies.list_all():
                await guild.policies.remove(policy.policy_name)
            await guild.policies.put("off", "package memory.access\nallow := true\n", is_active=False)
        async with guild.tenant_scope("acme", "me"):
            assert not await guild.find()
            with pytest.raises(AccessDeniedError, match="remember is denied: no policy is active"):
                await guild.remember("new", source_type="document")


async def test_an_admin_scope_asks_nothing(ids: Ids) -> None:
    async with guild.connect(check_schema=False):
        await put("package memory.access\ndeny := true\n")
        async with guild.admin_scope("test"):
            assert await guild.MemoryRecord.all().count() == 6


async def test_another_tenants_memories_stay_out_whatever_a_policy_allows(ids: Ids) -> None:
    async with guild.connect(check_schema=False):
        await put("package memory.access\nallow := true\n")
        async with guild.tenant_scope("other", "me"):
            assert not await guild.find(include_forgotten=True)
            with pytest.raises(MemoryGuildError):
                await guild.get(ids["mine"])
