"""Every private name of Tortoise and asyncpg that the package relies on, each with the reason.

``tests/database/test_tortoise.py`` fails when a release of either library changes one of them; this is why pyproject
bounds their versions from above. ``engine`` and ``transaction`` implement Tortoise's interface for backends, whose
names are private too (``_in_transaction``, ``_translate_exceptions`` and so on); the same test covers them.
``rendering``, ``executor`` and ``querysets`` override what builds and runs Tortoise's queries, because it has no other
place where keys could become parameters; ``tests/tenancy/test_injection.py`` tries every lookup and function for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from asyncpg.pool import PoolConnectionProxy
from tortoise import Model
from tortoise.backends.base.schema_generator import BaseSchemaGenerator
from tortoise.fields.relational import BackwardFKRelation, ReverseRelation

_Model = TypeVar("_Model", bound=Model)

LOADED: dict[str, Any] = {"_partial": False, "_saved_in_db": True, "_custom_generated_pk": True}
"""What an instance that was read from the database has beside its columns.

Reason: ``Model._init_from_db`` sets columns one by one, through ``__setattr__`` and each field's conversion; that takes
seven times as long as filling the instance's dictionary at once.
"""


def loaded_instance(model: type[_Model]) -> tuple[_Model, dict[str, Any]]:
    """An instance as after a read, still without columns, and the dictionary that holds its columns."""
    instance = model.__new__(model)
    attributes = instance.__dict__
    attributes.update(LOADED)
    attributes["_await_when_save"] = {}
    return instance, attributes


def set_relation(instance: Model, name: str, related: Sequence[Model]) -> None:
    """Make a reverse relation one that was fetched: iterating it sends no query.

    Reason: ``prefetch_related`` would send its own query, and plan it anew, for each relation.

    Source: ``tortoise.models._rfk_getter``, which looks for ``_<name>`` in the instance first.
    """
    relation = cast("BackwardFKRelation[Model]", instance._meta.fields_map[name])
    fetched: ReverseRelation[Model] = ReverseRelation(
        relation.related_model, relation.relation_field, instance, instance._meta.pk_attr
    )
    fetched._set_result_for_query(list(related))
    instance.__dict__[f"_{name}"] = fetched


def index_statement(
    generator: BaseSchemaGenerator, model: type[Model], columns: list[str], safe: bool, name: str | None
) -> str:
    """The statement that creates an index of columns that are written as given, such as ``"created_at" DESC``.

    Reason: Tortoise's ``Index`` quotes every column and knows no order.
    """
    return generator._get_index_sql(model, columns, safe, index_name=name)


def driver_connection(lent: PoolConnectionProxy[Any]) -> Any:
    """The connection behind what a pool lends.

    Reason: the proxy checks at each call whether it was released; a scope knows that, and its end must work even where
    the pool has taken the connection back already.
    """
    return lent._con  # type: ignore[attr-defined]  # asyncpg-stubs leave it out
