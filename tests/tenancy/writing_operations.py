"""The table of operations, second part: what the models can be asked to write with a stranger's ids in hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any

from memory_guild.models import MemoryEmbedding, MemoryRecord, MemoryRelationship
from tests.tenancy.operations import TENANT_MODELS, Operation, conditional_operations, related
from tests.tenancy.worlds import NOWHERE, OWN, OWN_EDGE, OWN_EMBEDDING, Aim


async def _own(model: Any) -> Any:
    return await model.get(
        pk={MemoryRecord: OWN[0], MemoryEmbedding: OWN_EMBEDDING, MemoryRelationship: OWN_EDGE}[model]
    )


async def _changed(model: Any, changes: dict[str, Any], *save: Any, **options: Any) -> Any:
    instance = await _own(model)
    for name, value in changes.items():
        setattr(instance, name, value)
    await instance.save(*save, **options)
    return instance


def _new(model: Any, **changes: Any) -> dict[str, Any]:
    rows: dict[Any, dict[str, Any]] = {
        MemoryRecord: {"agent_id": "own agent", "source_type": "document", "content_text": "new"},
        MemoryEmbedding: {"memory_id": OWN[1], "vector_id": "new", "embedding_model": "new"},
        MemoryRelationship: {"source_memory_id": OWN[0], "target_memory_id": OWN[2], "relationship_type": "follows"},
    }
    return rows[model] | changes


def rows_to_write(model: Any, aim: Aim) -> dict[str, dict[str, Any]]:
    """New rows that reach for the aim's: its id, its tenant, its memories, its unique keys."""
    own_id = {"its id": {model._meta.pk_attr: aim.instance(model).pk}}
    if model is MemoryRecord:
        key: dict[str, Any] = {"agent_id": aim.agent_id, "content_text": aim.content_text}
        return own_id | {
            "its tenant": {"tenant_id": aim.tenant_id},
            "its unique key": {**key, "tenant_id": aim.tenant_id},
            "its text": key,
            "everything": {"memory_id": aim.memory_id, "tenant_id": aim.tenant_id, **key},
        }
    if model is MemoryEmbedding:
        return own_id | {
            "its memory": {"memory_id": aim.memory_id},
            "its unique key": {"memory_id": aim.memory_id, "embedding_model": aim.embedding_model},
            "its vector": {"vector_id": aim.vector_id},
        }
    key = {"source_memory_id": aim.memory_id, "target_memory_id": aim.other_memory_id, "relationship_type": "supports"}
    return own_id | {
        "its memory as target": {"target_memory_id": aim.memory_id},
        "its memory as source": {"source_memory_id": aim.memory_id},
        "its memories": {**key, "relationship_type": "related"},
        "its unique key": key,
    }


_UNIQUE_KEYS: dict[Any, list[str]] = {
    MemoryRecord: ["agent_id", "tenant_id", "content_hash"],
    MemoryEmbedding: ["memory_id", "embedding_model"],
    MemoryRelationship: ["source_memory_id", "target_memory_id", "relationship_type"],
}


_FREE_COLUMNS: dict[Any, str] = {
    MemoryRecord: "source_type",
    MemoryEmbedding: "vector_id",
    MemoryRelationship: "confidence_score",
}


async def _bulk(model: Any, row: dict[str, Any], **options: Any) -> Any:
    # Tortoise refuses a batch in which some rows have an id and some have none.
    before = [] if model._meta.pk_attr in row else [model(**_new(model))]
    await model.bulk_create([*before, model(**row)], **options)
    return await model.all().order_by("created_at").values_list("created_at")


async def _key_or_create(create: Any, model: Any, row: dict[str, Any]) -> Any:
    plain = _new(model)
    key = {name: value for name, value in row.items() if plain.get(name) != value}
    return await create({name: value for name, value in plain.items() if name not in key}, **key)


WRITES: dict[str, Callable[[Any, dict[str, Any]], Awaitable[Any]]] = {
    "create": lambda model, row: model.create(**row),
    "save": lambda model, row: model(**row).save(),
    "save force_create": lambda model, row: model(**row).save(force_create=True),
    "save force_update": lambda model, row: model(**row).save(force_update=True),
    "bulk_create": _bulk,
    "bulk_create in batches": lambda model, row: _bulk(model, row, batch_size=1),
    "bulk_create ignore_conflicts": lambda model, row: _bulk(model, row, ignore_conflicts=True),
    "bulk_create on conflict of the key": lambda model, row: _bulk(
        model, row, on_conflict=_UNIQUE_KEYS[model], update_fields=[_FREE_COLUMNS[model]]
    ),
    "bulk_create on conflict of the id": lambda model, row: _bulk(
        model, row, on_conflict=[model._meta.pk_attr], update_fields=[_FREE_COLUMNS[model]]
    ),
    "get_or_create": lambda model, row: _key_or_create(model.get_or_create, model, row),
    "update_or_create": lambda model, row: _key_or_create(model.update_or_create, model, row),
}


def _write(model: Any, kind: str, name: str) -> Operation:
    async def run(aim: Aim) -> Any:
        return await WRITES[name](model, _new(model, **rows_to_write(model, aim)[kind]))

    return Operation(f"{model.__name__} with {kind}: {name}", run)


def _change(model: Any, kind: str, name: str, change: Callable[[dict[str, Any]], Awaitable[Any]]) -> Operation:
    return Operation(f"own {model.__name__} to {kind}: {name}", lambda aim: change(rows_to_write(model, aim)[kind]))


async def _bulk_update(model: Any, instances: Sequence[Any], changes: dict[str, Any]) -> Any:
    for instance in instances:
        for name, value in changes.items():
            setattr(instance, name, value)
    return await model.bulk_update(
        instances, fields=[name for name in changes if name != model._meta.pk_attr] or ["created_at"]
    )


def writing_operations(model: Any) -> Iterator[Operation]:
    """Every way to write, for every row that reaches for the aim's; and the same as changes of an own row."""
    for kind in rows_to_write(model, NOWHERE):
        for name in WRITES:
            yield _write(model, kind, name)
        yield _change(model, kind, "save", lambda row: _changed(model, row))
        yield _change(model, kind, "save update_fields", lambda row: _changed(model, row, update_fields=list(row)))
        yield _change(model, kind, "save force_update", lambda row: _changed(model, row, force_update=True))
        yield _change(model, kind, "queryset update", lambda row: model.filter(pk__isnull=False).update(**row))

        async def bulk_update(row: dict[str, Any]) -> Any:
            return await _bulk_update(model, [await _own(model)], row)

        yield _change(model, kind, "bulk_update", bulk_update)


def _instance(model: Any, name: str, run: Callable[..., Awaitable[Any]]) -> Operation:
    return Operation(f"stranger's {model.__name__}: {name}", lambda aim: run(aim.instance(model)))


async def _saved(instance: Any, **options: Any) -> Any:
    instance.created_at = None
    await instance.save(**options)
    return instance


async def _refreshed(instance: Any, **options: Any) -> Any:
    await instance.refresh_from_db(**options)
    return instance


async def _fetched(instance: Any) -> Any:
    await instance.fetch_related(*related(type(instance)))
    return instance


def instance_operations(model: Any) -> Iterator[Operation]:
    """What can be done with a stranger's instance in hand."""
    yield _instance(model, "save", _saved)
    yield _instance(model, "save update_fields", lambda row: _saved(row, update_fields=["created_at"]))
    yield _instance(model, "save force_update", lambda row: _saved(row, force_update=True))
    yield _instance(model, "save force_create", lambda row: _saved(row, force_create=True))
    yield _instance(model, "save a clone", lambda row: _saved(row.clone(pk=None)))
    yield _instance(model, "delete", lambda row: row.delete())
    yield _instance(model, "refresh_from_db", _refreshed)
    yield _instance(model, "refresh_from_db of one column", lambda row: _refreshed(row, fields=["created_at"]))
    yield _instance(model, "fetch_related", _fetched)
    yield _instance(model, "bulk_update", lambda row: _bulk_update(model, [row], {"created_at": None}))
    yield _instance(model, "fetch_for_list", lambda row: model.fetch_for_list([row], *related(model)))
    for relation in sorted(model._meta.backward_fk_fields):
        follow = attrgetter(relation)
        yield _instance(model, relation, follow)
        yield _instance(model, f"{relation}.all().count()", lambda row, follow=follow: follow(row).all().count())
        yield _instance(model, f"{relation}.filter().delete()", lambda row, follow=follow: follow(row).all().delete())
    for relation in sorted(model._meta.fk_fields):
        yield _instance(model, relation, attrgetter(relation))


def model_operations() -> list[Operation]:
    """The whole table for the models."""
    return [
        operation
        for model in TENANT_MODELS
        for family in (conditional_operations, writing_operations, instance_operations)
        for operation in family(model)
    ]
