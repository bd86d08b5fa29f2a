"""What is measured through the ORM: the same querysets in both arms, with the tenant by hand where a scope adds it."""

from __future__ import annotations

from uuid import UUID

from tortoise.backends.base.client import BaseDBAsyncClient

from benchmarks.tenancy.by_hand import Memory, Relationship
from benchmarks.tenancy.statements import (
    HOPS,
    Arguments,
    Run,
    Work,
    many_edges,
    memories_with_edges,
    no_arguments,
    one_edge,
    one_memory,
)
from memory_guild.models import MemoryRecord, MemoryRelationship, StrictModel


async def _get(transaction: BaseDBAsyncClient, tenant_id: str, arguments: Arguments) -> object:
    return await MemoryRecord.get(memory_id=arguments[0])


async def _get_by_hand(transaction: BaseDBAsyncClient, tenant_id: str, arguments: Arguments) -> object:
    return await Memory.get(memory_id=arguments[0], tenant_id=tenant_id)


async def _newest(transaction: BaseDBAsyncClient, tenant_id: str, arguments: Arguments) -> object:
    return await MemoryRecord.filter(is_deleted=False).order_by("-created_at").limit(50)


async def _newest_by_hand(transaction: BaseDBAsyncClient, tenant_id: str, arguments: Arguments) -> object:
    return await Memory.filter(tenant_id=tenant_id, is_deleted=False).order_by("-created_at").limit(50)


def _edge(model: type[StrictModel], source: UUID, target: UUID, kind: str, confidence: float) -> StrictModel:
    return model(source_memory_id=source, target_memory_id=target, relationship_type=kind, confidence_score=confidence)


def _create(model: type[StrictModel]) -> Run:
    async def run(transaction: BaseDBAsyncClient, tenant_id: str, arguments: Arguments) -> None:
        await _edge(model, *arguments).save()

    return run


def _bulk_create(model: type[StrictModel]) -> Run:
    async def run(transaction: BaseDBAsyncClient, tenant_id: str, arguments: Arguments) -> None:
        await model.bulk_create([_edge(model, *edge) for edge in zip(*arguments, strict=True)])

    return run


async def _edges(transaction: BaseDBAsyncClient, tenant_id: str, arguments: Arguments) -> object:
    return await MemoryRelationship.filter(source_memory_id__in=arguments[0])


async def _edges_by_hand(transaction: BaseDBAsyncClient, tenant_id: str, arguments: Arguments) -> object:
    return await Relationship.filter(source_memory_id__in=arguments[0], source_memory__tenant_id=tenant_id)


async def _hops(transaction: BaseDBAsyncClient, tenant_id: str, arguments: Arguments) -> object:
    reached = set(arguments)
    for _ in range(HOPS):
        reached.update(
            await MemoryRelationship.filter(source_memory_id__in=list(reached)).values_list(
                "target_memory_id", flat=True
            )
        )
    return reached


async def _hops_by_hand(transaction: BaseDBAsyncClient, tenant_id: str, arguments: Arguments) -> object:
    reached = set(arguments)
    for _ in range(HOPS):
        reached.update(
            await Relationship.filter(
                source_memory_id__in=list(reached), source_memory__tenant_id=tenant_id
            ).values_list("target_memory_id", flat=True)
        )
    return reached


QUERYSETS = (
    Work("point read", one_memory, _get_by_hand, _get),
    Work("newest 50", no_arguments, _newest_by_hand, _newest, plan_cache_mode="force_custom_plan"),
    Work("one edge written", one_edge, _create(Relationship), _create(MemoryRelationship), writes=True),
    Work(
        "500 edges written (bulk_create)",
        many_edges,
        _bulk_create(Relationship),
        _bulk_create(MemoryRelationship),
        share=0.2,
        writes=True,
    ),
    Work("500 edges read", memories_with_edges, _edges_by_hand, _edges, share=0.25),
    Work("three hops (three queries)", one_memory, _hops_by_hand, _hops, share=0.5),
)
