"""New versions beside old ones, and what was live at some moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest

from memory_guild import (
    admin_scope,
    as_of,
    find,
    forget,
    get,
    purge,
    remember,
    restore,
    supersede,
    tenant_scope,
    update,
)
from memory_guild.errors import (
    CheckError,
    ConstraintError,
    HashCollisionError,
    InvalidInputError,
    MemoryNotFoundError,
    TenantNotSetError,
)
from memory_guild.models import MemoryRecord, MemoryRelationship
from tests.memories.storing import (
    BAD_VALUES,
    COLLIDING_TEXT,
    METADATA_LIMIT,
    SECRET,
    TEXT,
    Connection,
    insert,
    stored,
    texts,
)
from tests.rows import columns_of

pytestmark = pytest.mark.usefixtures("shared_database")


OUTSIDE = [
    datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))),
    datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
]
"""Moments that UTC has no name for."""


@pytest.mark.parametrize("moment", OUTSIDE)
async def test_a_moment_outside_of_all_years_is_named(moment: datetime) -> None:
    async with tenant_scope("acme", "scribe"):
        memory = (await remember("text", source_type="document")).memory
        uses: dict[str, Callable[[], Awaitable[object]]] = {
            "moment": lambda: as_of(moment).count(),
            "older_than": lambda: purge(older_than=moment),
            "expected_updated_at": lambda: update(memory, metadata={}, expected_updated_at=moment),
            "created_before": lambda: find(created_before=moment),
        }
        for field, use in uses.items():
            with pytest.raises(InvalidInputError, match="lies outside the years 1 to 9999 in UTC") as caught:
                await use()
            assert caught.value.field == field
        assert (await get(memory)).updated_at == memory.updated_at


async def edges(connection: Connection) -> list[tuple[UUID, UUID, str, float | None]]:
    rows = await connection.fetch(
        "SELECT source_memory_id, target_memory_id, relationship_type, confidence_score FROM memory_relationships"
    )
    return [tuple(row) for row in rows]


# --- supersede --------------------------------------------------------------------------------------------------


async def test_the_new_version_follows_the_old_one_which_stays(superuser: Connection) -> None:
    async with tenant_scope("acme", "scribe"):
        old, _ = await remember("old", source_type="observation", metadata={"page": 3}, agent_id="librarian")
        new, outcome = await supersede(old, "new")
        assert outcome == "created"
        assert columns_of(new) == columns_of(await get(new))
        assert columns_of(old) == columns_of(await get(old))
        (edge,) = await new.outgoing_edges.all()
        assert (await edge.target_memory) == old
    assert (new.agent_id, new.source_type, new.metadata) == ("librarian", "observation", {"page": 3})
    assert await edges(superuser) == [(new.memory_id, old.memory_id, "follows", None)]
    assert await texts(superuser) == ["old", "new"]


@pytest.mark.parametrize("named", [lambda memory: memory.memory_id, lambda memory: str(memory.memory_id)])
async def test_source_type_and_metadata_may_be_other_ones(named: Any) -> None:
    async with tenant_scope("acme", "scribe"):
        old, _ = await remember("old", source_type="observation", metadata={"page": 3})
        new, _ = await supersede(named(old), "new", source_type="external", metadata={})
    assert (new.source_type, new.metadata) == ("external", {})


async def test_the_new_version_may_be_older_than_its_storing(superuser: Connection) -> None:
    moment = datetime(2020, 1, 2, tzinfo=UTC)
    async with tenant_scope("acme", "scribe"):
        old, _ = await remember("old", source_type="document", created_at=datetime(2019, 1, 1, tzinfo=UTC))
        new, _ = await supersede(old, "new", created_at=moment)
        assert [memory.content_text for memory in await as_of(moment - timedelta(1))] == ["old"]
    assert (new.created_at, (await stored(superuser))[new.memory_id]["created_at"]) == (moment, moment)


async def test_versions_make_a_chain(superuser: Connection) -> None:
    async with tenant_scope("acme", "scribe"):
        versions = [(await remember("version 0", source_type="document")).memory]
        for number in range(1, 4):
            versions.append((await supersede(versions[-1], f"version {number}")).memory)
    ids = [memory.memory_id for memory in versions]
    assert sorted(await edges(superuser)) == sorted((new, old, "follows", None) for old, new in pairwise(ids))


@pytest.mark.parametrize(("is_deleted", "expected"), [(False, "existing"), (True, "restored")])
async def test_the_new_version_may_be_there_already(is_deleted: bool, expected: str, superuser: Connection) -> None:
    new_id = await insert(superuser, "new", is_deleted=is_deleted, metadata='{"kept": true}')
    old_id = await insert(superuser, "old")
    async with tenant_scope("acme"):
        for outcome in (expected, "existing"):
            new, became = await supersede(old_id, "new", metadata={"kept": False})
            assert (new.memory_id, new.metadata, became) == (new_id, {"kept": True}, outcome)
    assert await edges(superuser) == [(new_id, old_id, "follows", None)]
    assert (await stored(superuser))[new_id]["is_deleted"] is False


async def test_a_version_without_metadata(superuser: Connection) -> None:
    old_id = await insert(superuser, "old", metadata=None)
    async with tenant_scope("acme"):
        assert (await supersede(old_id, "new")).memory.metadata == {}


async def test_the_same_text_is_refused(superuser: Connection) -> None:
    async with tenant_scope("acme", "scribe"):
        old, _ = await remember(TEXT, source_type="document")
        with pytest.raises(InvalidInputError, match="is the text of the old version") as caught:
            await supersede(old, TEXT)
        await get(old)
    assert caught.value.field == "new_text"
    assert await edges(superuser) == []


@pytest.mark.parametrize("state", ["forgotten", "missing", "another tenant's"])
async def test_an_old_version_that_is_not_there(state: str, superuser: Connection) -> None:
    old_id = uuid4()
    if state != "missing":
        tenant_id = "bolt" if state == "another tenant's" else "acme"
        old_id = await insert(superuser, "old", tenant_id=tenant_id, is_deleted=state == "forgotten")
    rows = await stored(superuser)
    async with tenant_scope("acme", "scribe"):
        with pytest.raises(MemoryNotFoundError) as caught:
            await supersede(old_id, "new")
    assert caught.value.memory_ids == (old_id,)
    assert await stored(superuser) == rows


@pytest.mark.parametrize(
    ("column", "value", "field", "kind"),
    [case for case in BAD_VALUES if case.values[0] not in ("agent_id", "created_at")],
)
async def test_a_bad_value_is_named_and_nothing_is_stored(
    column: str,
    value: Any,
    field: str,
    kind: type[InvalidInputError],
    superuser: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_CONTENT_MAX_BYTES", "1000")
    monkeypatch.setenv("MEMORY_GUILD_METADATA_MAX_BYTES", str(METADATA_LIMIT))
    old_id = await insert(superuser, "old")
    given: dict[str, Any] = {"new_text": "new", column.replace("content_text", "new_text"): value}
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError) as caught:
            await supersede(old_id, **given)
        assert await get(old_id)
    assert (type(caught.value), caught.value.field) == (kind, field)
    assert (kind is CheckError) is (column == "source_type")
    assert SECRET not in str(caught.value)
    assert await texts(superuser) == ["old"]


async def test_a_new_text_with_the_hash_of_another_one(superuser: Connection) -> None:
    old_id = await insert(superuser, TEXT)
    async with tenant_scope("acme"):
        with pytest.raises(HashCollisionError):
            await supersede(old_id, COLLIDING_TEXT)
    assert await texts(superuser) == [TEXT]


async def test_without_the_edge_there_is_no_new_version(database: str, connection: Connection) -> None:
    await connection.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '23P01'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON memory_relationships FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    forgotten = await insert(connection, "forgotten", is_deleted=True)
    async with tenant_scope("acme", "scribe"):
        old, _ = await remember("old", source_type="document")
        for new_text in ("new", "forgotten"):
            with pytest.raises(ConstraintError, match="a constraint refused the row"):
                await supersede(old, new_text)
        await remember("after", source_type="document")
    assert sorted(await texts(connection)) == ["after", "forgotten", "old"]
    assert (await stored(connection))[forgotten]["is_deleted"] is True


# --- as_of ------------------------------------------------------------------------------------------------------

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
HOUR = timedelta(hours=1)


async def live_at(moment: datetime) -> list[str]:
    return sorted([memory.content_text for memory in await as_of(moment)])


@pytest.mark.parametrize("is_deleted", [False, None])
async def test_a_memory_is_live_from_the_moment_of_its_creation_on(
    is_deleted: bool | None, superuser: Connection
) -> None:
    await insert(superuser, TEXT, created_at=NOON, is_deleted=is_deleted)
    async with tenant_scope("acme"):
        assert await live_at(NOON - MICROSECOND) == []
        assert await live_at(NOON) == [TEXT]
        assert await live_at(NOON + 1000 * HOUR) == [TEXT]


async def test_a_memory_is_live_until_the_moment_of_its_forgetting(superuser: Connection) -> None:
    await insert(superuser, TEXT, created_at=NOON, is_deleted=True, deleted_at=NOON + HOUR)
    async with tenant_scope("acme"):
        assert await live_at(NOON - MICROSECOND) == []
        assert await live_at(NOON) == [TEXT]
        assert await live_at(NOON + HOUR - MICROSECOND) == [TEXT]
        assert await live_at(NOON + HOUR) == []


async def test_a_memory_that_nobody_knows_since_when_it_is_forgotten_is_never_live(superuser: Connection) -> None:
    await insert(superuser, TEXT, created_at=NOON, is_deleted=True, deleted_at=None)
    await insert(superuser, "never created", created_at=None)
    async with tenant_scope("acme"):
        assert await live_at(NOON + HOUR) == []


async def test_a_moment_means_the_same_in_every_zone(superuser: Connection) -> None:
    await insert(superuser, TEXT, created_at=NOON)
    async with tenant_scope("acme"):
        assert await live_at(datetime.fromisoformat("2026-01-01T21:00:00+09:00")) == [TEXT]
        assert await live_at(datetime.fromisoformat("2026-01-01T20:59:59.999999+09:00")) == []


async def test_what_the_verbs_do_is_seen_between_their_moments() -> None:
    moments: list[datetime] = []
    async with tenant_scope("acme", "scribe"):

        async def now() -> None:
            ((_, rows),) = [await MemoryRecord._meta.db.execute_query("SELECT clock_timestamp() AS now")]
            moments.append(rows[0]["now"])

        await now()
        one, _ = await remember("one", source_type="document")
        await now()
        await supersede(one, "two")
        await now()
        await forget(one)
        await now()
        assert [await live_at(moment) for moment in moments] == [[], ["one"], ["one", "two"], ["two"]]
        await restore(one)
        assert [await live_at(moment) for moment in moments] == [[], ["one"], ["one", "two"], ["one", "two"]]


async def test_it_is_a_queryset_of_the_tenants_own(superuser: Connection) -> None:
    for number in range(6):
        kind = "document" if number % 2 else "external"
        await insert(superuser, f"text {number}", created_at=NOON + number * HOUR, source_type=kind)
    await insert(superuser, "strange", created_at=NOON, tenant_id="bolt")
    async with tenant_scope("acme"):
        live = as_of(NOON + 4 * HOUR)
        assert await live.count() == 5
        documents = await live.filter(source_type="document").order_by("-created_at").limit(1)
        assert [memory.content_text for memory in documents] == ["text 3"]
        assert await live.exclude(content_text__startswith="text").exists() is False
        assert await MemoryRelationship.all().count() == 0


@pytest.mark.parametrize("moment", [datetime(2026, 1, 1), "2026-01-01T00:00:00Z", None, NOON.date()])
async def test_a_moment_that_is_none(moment: Any) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError) as caught:
            as_of(moment)
    assert caught.value.field == "moment"


async def test_they_need_a_tenant() -> None:
    with pytest.raises(TenantNotSetError):
        as_of(NOON)
    with pytest.raises(TenantNotSetError):
        await supersede(uuid4(), "new")
    async with admin_scope():
        with pytest.raises(TenantNotSetError):
            as_of(NOON)
        with pytest.raises(TenantNotSetError):
            await supersede(uuid4(), "new")
