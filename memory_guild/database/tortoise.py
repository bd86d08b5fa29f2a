"""Every private name of Tortoise and asyncpg that the package relies on, each with the reason.

``tests/database/test_tortoise.py`` fails when a release of either library changes one of them; this is why pyproject
bounds their versions from above. ``engine`` and ``transaction`` implement Tortoise's interface for backends, whose
names are private too (``_in_transaction``, ``_translate_exceptions`` and so on); the same test covers them.
``rendering``, ``executor`` and ``querysets`` override what builds and runs Tortoise's queries, because it has no other
place where keys could become parameters; ``tests/tenancy/test_injection.py`` tries every lookup and function for that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from tortoise import Model
from tortoise.backends.base.schema_generator import BaseSchemaGenerator
from tortoise.fields.relational import BackwardFKRelation, ReverseRelation
from tortoise.queryset import QuerySet

from memory_guild.database.refusals import refusing
from memory_guild.errors import NotFetchedError

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
    fetched = _relation(instance, relation)
    fetched._set_result_for_query(list(related))
    instance.__dict__[f"_{name}"] = fetched


def index_statement(
    generator: BaseSchemaGenerator, model: type[Model], columns: list[str], safe: bool, name: str | None
) -> str:
    """The statement that creates an index of columns that are written as given, such as ``"created_at" DESC``.

    Reason: Tortoise's ``Index`` quotes every column and knows no order.
    """
    return generator._get_index_sql(model, columns, safe, index_name=name)


def add_codec(
    connection: asyncpg.Connection[Any],
    type_oid: int,
    type_name: str,
    encode: Callable[[Any], bytes],
    decode: Callable[[bytes], Any],
) -> None:
    """Let a connection read and write a built-in type in its binary format.

    Reason: ``Connection.set_type_codec`` asks the server for the type's OID first, on each new connection; those of
    built-in types never change.
    """
    settings = connection._protocol.get_settings()  # type: ignore[attr-defined]  # asyncpg-stubs leave it out
    settings.add_python_codec(type_oid, type_name, "pg_catalog", [], "scalar", encode, decode, "binary")


class FetchedRelation(ReverseRelation[_Model]):
    """A reverse relation that raises the package's errors: where it was not fetched, and for an unsaved instance."""

    def _raise_if_not_fetched(self) -> None:
        if not self._fetched:
            raise NotFetchedError(
                "the relation was not fetched; await it, or use relations=, fetch_relations() or prefetch_related()"
            )

    @property
    def _query(self) -> QuerySet[_Model]:
        with refusing:
            return super()._query


class RelationDefault:
    """What stands behind a model's reverse relation until it is fetched; as the attribute ``_<name>`` of the model.

    Reason: Tortoise names the class of relations itself, in ``tortoise.models._rfk_getter``, which looks for this
    attribute first.
    """

    def __set_name__(self, owner: type[Model], name: str) -> None:
        self._name = name

    def __get__(self, instance: Model | None, owner: type[Model]) -> Any:
        if instance is None:
            return self
        relation = instance._meta.fields_map[self._name[1:]]
        unfetched = _relation(instance, cast("BackwardFKRelation[Model]", relation))
        instance.__dict__[self._name] = unfetched
        return unfetched


def _relation(instance: Model, relation: BackwardFKRelation[Model]) -> FetchedRelation[Model]:
    return FetchedRelation(relation.related_model, relation.relation_field, instance, instance._meta.pk_attr)


def driver_connection(lent: PoolConnectionProxy[Any]) -> Any:
    """The connection behind what a pool lends.

    Reason: the proxy checks at each call whether it was released; a scope knows that, and its end must work even where
    the pool has taken the connection back already.
    """
    return lent._con  # type: ignore[attr-defined]  # asyncpg-stubs leave it out
