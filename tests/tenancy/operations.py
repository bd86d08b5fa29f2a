"""The table of operations: what the models can be asked to do with a stranger's rows, its ids and values in hand.

Every read stands against every way to name a row of every tenant model, every write against every kind of target.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tortoise.expressions import F, Q, RawSQL, Subquery
from tortoise.functions import Count, Max
from tortoise.query_utils import Prefetch

from memory_guild.database.scope import TenantManager
from memory_guild.models import MODELS, MemoryEmbedding, MemoryRecord, MemoryRelationship
from tests.tenancy.worlds import NOWHERE, OWN, OWN_EDGE, OWN_EMBEDDING, Aim


@dataclass(frozen=True)
class Operation:
    """Something that the attacker does.

    Attributes:
        name: What it is.
        run: Does it, aimed at a row; what it returns is compared.
    """

    name: str
    run: Callable[[Aim], Awaitable[Any]]


TENANT_MODELS: tuple[Any, ...] = tuple(model for model in MODELS if isinstance(model._meta.manager, TenantManager))

_PATHS = {MemoryRecord: "", MemoryEmbedding: "memory__", MemoryRelationship: "source_memory__"}


def ways_to_name(model: Any, aim: Aim) -> dict[str, dict[str, Any]]:
    """Conditions that only the aim's rows meet."""
    path = _PATHS[model]
    by_memory: dict[str, dict[str, Any]] = {
        "tenant": {f"{path}tenant_id": aim.tenant_id},
        "agent": {f"{path}agent_id": aim.agent_id},
        "secret": {f"{path}metadata__contains": {"note": "swordfish"}, f"{path}agent_id": aim.agent_id},
    }
    own: dict[str, dict[str, Any]] = {"id": {"pk": aim.instance(model).pk}}
    if model is MemoryRecord:
        own |= {
            "text": {"content_text": aim.content_text},
            "hash": {"content_hash": aim.content_hash},
            "embedding": {"embeddings__vector_id": aim.vector_id},
            "edge": {"outgoing_edges__relationship_id": aim.relationship_id},
            "other end": {"incoming_edges__source_memory__memory_id": aim.memory_id},
        }
    elif model is MemoryEmbedding:
        own |= {
            "memory": {"memory_id": aim.memory_id},
            "key": {"memory_id": aim.memory_id, "embedding_model": aim.embedding_model},
            "vector": {"vector_id": aim.vector_id},
            "edge of memory": {"memory__outgoing_edges__relationship_id": aim.relationship_id},
        }
    else:
        own |= {
            "source": {"source_memory_id": aim.memory_id},
            "target": {"target_memory_id": aim.other_memory_id},
            "target's agent": {"target_memory__agent_id": aim.agent_id},
        }
    return own | by_memory


Read = Callable[[Any, dict[str, Any]], Awaitable[Any]]


def _found(model: Any, condition: dict[str, Any]) -> Any:
    return model.filter(**condition).order_by(model._meta.pk_attr)


def _rows_that_match_anything(model: Any, condition: dict[str, Any]) -> Any:
    return model.filter(Q(**condition) | Q(pk__isnull=False)).order_by(model._meta.pk_attr)


def _locked(strength: dict[str, Any]) -> Read:
    return lambda model, condition: _found(model, condition).select_for_update(**strength)


def related(model: Any) -> tuple[str, ...]:
    return tuple(sorted(model._meta.fk_fields | model._meta.backward_fk_fields))


def _prefetched(model: Any, condition: dict[str, Any]) -> Any:
    relations = [
        Prefetch(name, queryset=model._meta.fields_map[name].related_model.filter(pk__isnull=False))
        for name in related(model)
    ]
    return _rows_that_match_anything(model, condition).prefetch_related(*relations)


async def _iterated(model: Any, condition: dict[str, Any]) -> list[Any]:
    return [row async for row in _found(model, condition)]


def _raw(model: Any, condition: dict[str, Any]) -> Any:
    return model.raw(_found(model, condition).sql(params_inline=True))


async def _in_bulk(model: Any, condition: dict[str, Any]) -> Any:
    ids = [value for value in condition.values() if isinstance(value, UUID)]
    return await _rows_that_match_anything(model, condition).in_bulk([OWN[0], OWN_EMBEDDING, OWN_EDGE, *ids], "pk")


READS: dict[str, Read] = {
    "get": lambda model, condition: model.get(**condition),
    "get_or_none": lambda model, condition: model.get_or_none(**condition),
    "filter": _found,
    "filter twice": lambda model, condition: _found(model, condition).filter(pk__isnull=False),
    "exclude": lambda model, condition: model.exclude(**condition).order_by(model._meta.pk_attr),
    "not": lambda model, condition: model.filter(~Q(**condition)).order_by(model._meta.pk_attr),
    "values": lambda model, condition: _found(model, condition).values(),
    "values_list": lambda model, condition: _found(model, condition).values_list(*sorted(model._meta.db_fields)),
    "values of relations": lambda model, condition: _found(model, condition).values(
        *(f"{name}__created_at" for name in related(model))
    ),
    "only": lambda model, condition: _found(model, condition).only(model._meta.pk_attr, "created_at"),
    "distinct": lambda model, condition: model.filter(**condition).distinct().values_list("created_at"),
    "annotate": lambda model, condition: (
        _found(model, condition).annotate(related=Count(f"{related(model)[0]}__created_at")).values("related")
    ),
    "annotate with SQL": lambda model, condition: (
        _rows_that_match_anything(model, condition)
        .annotate(elsewhere=RawSQL("(SELECT count(*) FROM memory_records AS every_memory)"))
        .values("elsewhere")
    ),
    "aggregate": lambda model, condition: (
        model.filter(**condition)
        .annotate(newest=Max("created_at"), number=Count(model._meta.pk_attr))
        .values("newest", "number")
    ),
    "group_by": lambda model, condition: (
        model.filter(Q(**condition) | Q(pk__isnull=False))
        .annotate(number=Count(model._meta.pk_attr))
        .group_by("created_at")
        .order_by("created_at")
        .values("created_at", "number")
    ),
    "order_by a relation": lambda model, condition: _rows_that_match_anything(model, condition).order_by(
        f"{related(model)[0]}__created_at", model._meta.pk_attr
    ),
    "count": lambda model, condition: model.filter(**condition).count(),
    "exists": lambda model, condition: model.exists(**condition),
    "first": lambda model, condition: model.filter(**condition).first(),
    "last": lambda model, condition: model.filter(**condition).last(),
    "latest": lambda model, condition: model.filter(**condition).latest("created_at"),
    "earliest": lambda model, condition: model.filter(**condition).earliest("created_at"),
    "limit and offset": lambda model, condition: _rows_that_match_anything(model, condition).limit(3).offset(1),
    "in_bulk": _in_bulk,
    "raw": _raw,
    "async for": _iterated,
    "for update": _locked({}),
    "for update nowait": _locked({"nowait": True}),
    "for update skip locked": _locked({"skip_locked": True}),
    "for no key update": _locked({"no_key": True}),
    "select_related": lambda model, condition: _found(model, condition).select_related(*model._meta.fk_fields),
    "prefetch_related": lambda model, condition: _rows_that_match_anything(model, condition).prefetch_related(
        *related(model)
    ),
    "prefetch_related with querysets": _prefetched,
    "or anything": _rows_that_match_anything,
    "or nothing": lambda model, condition: model.filter(Q(**condition) | Q(pk=OWN[3])).order_by(model._meta.pk_attr),
    "subquery": lambda model, condition: model.filter(
        pk__in=Subquery(model.filter(**condition).values(model._meta.pk_attr))
    ).order_by(model._meta.pk_attr),
    "update": lambda model, condition: model.filter(**condition).update(created_at=F("created_at")),
    "update or anything": lambda model, condition: model.filter(Q(**condition) | Q(pk__isnull=False)).update(
        created_at=F("created_at")
    ),
    "delete": lambda model, condition: model.filter(**condition).delete(),
    "delete or anything": lambda model, condition: model.filter(Q(**condition) | Q(pk__isnull=False)).delete(),
}
"""What can be done with the rows that a condition names."""


def _named(model: Any, way: str, name: str, read: Read) -> Operation:
    async def run(aim: Aim) -> Any:
        return await read(model, ways_to_name(model, aim)[way])

    return Operation(f"{model.__name__} by {way}: {name}", run)


def conditional_operations(model: Any) -> Iterator[Operation]:
    """Every read, update and delete for every way to name a row."""
    for way in ways_to_name(model, NOWHERE):
        for name, read in READS.items():
            yield _named(model, way, name, read)
