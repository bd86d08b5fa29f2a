"""What Tortoise refuses by itself is an error of the package's tree, and still one of Tortoise's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from tortoise.exceptions import (
    DoesNotExist,
    FieldError,
    IncompleteInstanceError,
    IntegrityError,
    MultipleObjectsReturned,
    NoValuesFetched,
    ObjectDoesNotExistError,
    OperationalError,
    ParamsError,
)
from tortoise.queryset import QuerySet

from memory_guild import DataSource, MemoryEmbedding, MemoryRecord, MemoryRelationship, get, remember, tenant_scope
from memory_guild.errors import (
    ConstraintError,
    InvalidInputError,
    InvalidQueryError,
    MemoryGuildError,
    MemoryNotFoundError,
    NotFetchedError,
    NotFoundError,
    SeveralFoundError,
)

MODELS = [MemoryRecord, MemoryEmbedding, MemoryRelationship, DataSource]
MISSING: dict[str, Callable[[Any], Any]] = {
    "get": lambda model: model.get(pk=uuid4()),
    "get of a filter": lambda model: model.filter(pk=uuid4()).get(),
    "get of values": lambda model: model.all().get(pk=uuid4()).values(),
    "get of a list of values": lambda model: model.filter(pk=uuid4()).get().values_list("created_at"),
    "get of some columns": lambda model: model.get(pk=uuid4()).only("created_at"),
}
REFUSED: dict[str, tuple[Callable[[Any], Any], type[Exception]]] = {
    "unknown column": (lambda model: model.filter(colour="red"), FieldError),
    "unknown column of another": (lambda model: model.exclude(colour="red").count(), FieldError),
    "unknown lookup": (lambda model: model.filter(created_at__colour=1).exists(), FieldError),
    "unknown order": (lambda model: model.all().order_by("colour"), FieldError),
    "unknown value": (lambda model: model.all().values("colour"), FieldError),
    "unknown list of values": (lambda model: model.all().values_list("colour"), FieldError),
    "unknown change": (lambda model: model.all().update(colour="red"), FieldError),
    "unknown relation": (lambda model: model.all().prefetch_related("colours"), FieldError),
    "unknown joined relation": (lambda model: model.all().select_related("colours"), FieldError),
    "unknown group": (lambda model: model.all().group_by("colour").values("colour"), FieldError),
    "negative limit": (lambda model: model.all().limit(-1), ParamsError),
    "negative offset": (lambda model: model.all().offset(-1), ParamsError),
    "negative slice": (lambda model: model.all()[-1:], ParamsError),
    "latest by nothing": (lambda model: model.all().latest(), FieldError),
    "unknown column's statement": (lambda model: _text(model.filter(colour="red").sql()), FieldError),
}


async def _text(sql: str) -> str:
    return sql


@pytest.mark.parametrize("ask", MISSING.values(), ids=MISSING)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
async def test_a_row_that_does_not_exist(shared_database: str, model: Any, ask: Callable[[Any], Any]) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(DoesNotExist) as caught:
            await ask(model)
    assert type(caught.value) is NotFoundError
    assert str(caught.value) == f"no {model.__name__} matches; check the conditions, or use get_or_none()"


async def test_a_verb_and_a_queryset_miss_a_memory_in_the_same_way(shared_database: str) -> None:
    async with tenant_scope("acme", agent_id="a"):
        for missing in (get(uuid4()), MemoryRecord.get(memory_id=uuid4()), MemoryRecord[uuid4()]):
            with pytest.raises(DoesNotExist) as caught:
                await missing
            assert isinstance(caught.value, (NotFoundError, LookupError))
            assert isinstance(caught.value, ObjectDoesNotExistError)
        with pytest.raises(MemoryNotFoundError, match="does not exist in this tenant"):
            await get(uuid4())
        memory, _ = await remember("one", source_type="document")
        other = MemoryRecord(source_type="document", content_text="two")
        await other.save()
        await MemoryRecord.filter(memory_id=other.memory_id).delete()
        with pytest.raises(NotFoundError):
            await other.refresh_from_db()
        assert await MemoryRecord.get_or_none(memory_id=other.memory_id) is None
        assert await MemoryRecord.get(memory_id=memory.memory_id) == memory


@pytest.mark.parametrize(("ask", "beside"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
async def test_a_query_that_cannot_be_made(
    shared_database: str, model: Any, ask: Callable[[Any], Any], beside: type[Exception]
) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(MemoryGuildError) as caught:
            await ask(model)
        assert isinstance(caught.value, InvalidInputError)
        assert isinstance(caught.value, beside)
        assert await model.all() == []


async def test_several_rows_for_one(shared_database: str) -> None:
    async with tenant_scope("acme", agent_id="a"):
        for text in ("one", "two"):
            await remember(text, source_type="document")
        for ask in (MemoryRecord.get(agent_id="a"), MemoryRecord.get(agent_id="a").values("agent_id")):
            with pytest.raises(MultipleObjectsReturned) as caught:
                await ask
            assert type(caught.value) is SeveralFoundError
            assert "MemoryRecord" in str(caught.value)


async def test_a_relation_that_was_not_fetched(shared_database: str) -> None:
    async with tenant_scope("acme", agent_id="a"):
        memory, _ = await remember("one", source_type="document")
        await MemoryEmbedding.create(memory=memory, vector_id="v", embedding_model="m")
        for read in (memory, await MemoryRecord.get(memory_id=memory.memory_id)):
            for relation in (read.embeddings, read.outgoing_edges, read.incoming_edges):
                for use in (list, len, bool, lambda rows: rows[0], lambda rows: memory in rows):
                    with pytest.raises(NoValuesFetched) as caught:
                        use(relation)
                    assert type(caught.value) is NotFetchedError
            assert [embedding.vector_id for embedding in await read.embeddings] == ["v"]
            assert [embedding.vector_id async for embedding in read.embeddings] == ["v"]
            assert len(read.embeddings) == 1
            await read.fetch_related("outgoing_edges")
            assert list(read.outgoing_edges) == []
        (prefetched,) = await MemoryRecord.all().prefetch_related("embeddings")
        assert [embedding.vector_id for embedding in prefetched.embeddings] == ["v"]
        unsaved = MemoryRecord(source_type="document", content_text="two")
        with pytest.raises(MemoryGuildError) as refused:
            await unsaved.embeddings
        assert isinstance(refused.value, OperationalError)


async def test_a_model_that_cannot_be_saved(shared_database: str) -> None:
    async with tenant_scope("acme", agent_id="a"):
        memory, _ = await remember("one", source_type="document")
        (partial,) = await MemoryRecord.all().only("memory_id")
        with pytest.raises(IncompleteInstanceError) as caught:
            await partial.save()
        assert type(caught.value) is InvalidQueryError
        unsaved = MemoryRecord(source_type="document", content_text="two")
        for refused in (unsaved.delete, unsaved.refresh_from_db):
            with pytest.raises(MemoryGuildError) as error:
                await refused()
            assert isinstance(error.value, OperationalError)
        with pytest.raises(FieldError):
            await memory.fetch_related("colours")
        await MemoryRecord.filter(memory_id=memory.memory_id).delete()
        with pytest.raises(IntegrityError) as gone:
            await memory.save(force_update=True)
        assert type(gone.value) is ConstraintError
        with pytest.raises(IntegrityError):
            await MemoryRecord.all().update(memory_id=uuid4())


async def test_get_or_create_does_not_repeat_what_it_is_given(shared_database: str) -> None:
    async with tenant_scope("acme", agent_id="a"):
        given: dict[str, Any] = {"source_type": "document", "content_text": "a secret"}
        memory, created = await MemoryRecord.get_or_create(**given)
        assert (await MemoryRecord.get_or_create(**given), created) == ((memory, False), True)
        with pytest.raises(InvalidInputError) as caught:
            await MemoryRecord.get_or_create(
                {"content_text": "another secret"}, **{**given, "content_text": "no secret"}
            )
        assert "secret" not in str(caught.value)


async def test_querysets_stay_what_tortoise_takes_them_for(shared_database: str) -> None:
    async with tenant_scope("acme", agent_id="a"):
        await remember("one", source_type="document")
        found = MemoryRecord.filter(agent_id="a").order_by("created_at")
        assert isinstance(found, QuerySet)
        assert (await found.count(), await found.exists(), len(await found.limit(1))) == (1, True, 1)
        assert await found.values("content_text") == [{"content_text": "one"}]
        assert [row async for row in found.values_list("content_text", flat=True)] == ["one"]
        assert (await found.first().values("agent_id")) == {"agent_id": "a"}
        assert await MemoryRecord.filter(agent_id="a").union(MemoryRecord.filter(agent_id="b")) == await found
        assert await MemoryRecord.select_for_update().get(agent_id="a") == await found.first()
        assert await found.update(source_type="external") == 1
        assert len(await found.explain()) > 0
        assert await MemoryRecord.raw("SELECT * FROM memory_records") == await found
        (memory,) = await found
        memory.source_type = "document"
        assert await MemoryRecord.bulk_update([memory], ["source_type"]) == 1
        await MemoryRecord.bulk_create([MemoryRecord(source_type="document", content_text="two")])
        assert await MemoryRecord.all().delete() == 2
