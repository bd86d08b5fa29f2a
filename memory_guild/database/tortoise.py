"""Every private name of Tortoise and asyncpg that the package relies on, each with the reason.

``tests/database/test_tortoise.py`` fails when a release of either library changes one of them; this is why pyproject
bounds their versions from above. ``engine`` and ``transaction`` implement Tortoise's interface for backends, whose
names are private too (``_in_transaction``, ``_translate_exceptions`` and so on); the same test covers them.
``rendering``, ``executor`` and ``querysets`` override what builds and runs Tortoise's queries, because it has no other
place where keys could become parameters; ``tests/tenancy/test_injection.py`` tries every lookup and function for that.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar, cast

import asyncpg
from asyncpg.connection import _StatementCache  # type: ignore[attr-defined]  # asyncpg-stubs leave it out
from asyncpg.pool import PoolConnectionProxy
from pypika_tortoise.queries import Query, Table
from tortoise import Model, Tortoise
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.base.schema_generator import BaseSchemaGenerator
from tortoise.context import TortoiseContext, _current_context, get_current_context
from tortoise.fields.relational import BackwardFKRelation, ReverseRelation
from tortoise.models import MetaInfo
from tortoise.queryset import QuerySet
from tortoise.router import router
from tortoise.timezone import _reset_timezone_cache

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


ARRAYS: dict[str, tuple[int, int]] = {
    "float8": (1022, 701),
    "int4": (1007, 23),
    "int8": (1016, 20),
    "jsonb": (3807, 3802),
    "timestamptz": (1185, 1184),
    "uuid": (2951, 2950),
    "varchar": (1015, 1043),
}
"""The OIDs of an array and of its elements, by the elements' type: the arrays that the package's statements take."""


def add_arrays(connection: asyncpg.Connection[Any]) -> None:
    """Let a connection read and write those arrays; it takes the elements' codecs as they are now.

    Reason: asyncpg asks the server what such an array is, on each new connection that meets one, in several round
    trips. It knows the elements' types by their OIDs; those of the arrays never change either.
    """
    settings = connection._protocol.get_settings()  # type: ignore[attr-defined]  # asyncpg-stubs leave it out
    nothing_else = {"range_subtype": None, "attrtypoids": None, "basetype": None}
    settings.register_data_types(
        {"oid": oid, "name": f"_{name}", "ns": "pg_catalog", "elemtype": element, "elemdelim": ",", **nothing_else}
        for name, (oid, element) in ARRAYS.items()
    )


class GroupedStatements(_StatementCache):  # type: ignore[misc]  # for the same reason
    """The statements that a connection has prepared, kept apart for each schema that they were prepared in.

    Reason: the server plans a prepared statement anew whenever the search_path is another one than the last time, which
    takes as long as running a short one. The driver knows a statement by its text only.

    Attributes:
        schema: The schema that the connection works in now.
    """

    def __init__(self, driver: asyncpg.Connection[Any]) -> None:
        theirs = driver._stmt_cache  # type: ignore[attr-defined]  # asyncpg-stubs leave it out
        super().__init__(
            loop=theirs._loop,
            max_size=theirs.get_max_size(),
            on_remove=theirs._on_remove,
            max_lifetime=theirs.get_max_lifetime(),
        )
        self.schema: str | None = None

    def get(self, query: Any, *, promote: bool = True) -> Any:
        """The prepared statement, if there is one for this schema."""
        return super().get((query, self.schema), promote=promote)

    def has(self, query: Any) -> bool:
        """Nothing: :meth:`holds` tells."""
        return False

    def put(self, query: Any, statement: Any) -> None:
        """Keep a statement."""
        super().put((query, self.schema), statement)

    def holds(self, statement: Any) -> bool:
        """Whether this very statement is kept, for whichever schema."""
        return any(kept is statement for kept in self.iter_statements())


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


def prepare_models(
    module: str,
    app: str,
    models: Iterable[type[Model]],
    connection: Callable[[], BaseDBAsyncClient],
    offline: type[Any],
) -> None:
    """Make models usable without ``Tortoise.init``, on a connection that they find themselves.

    Reason: ``Tortoise.init`` adds the columns of foreign keys and builds what querysets begin with, and models ask its
    context for a connection by the name that the last ``Tortoise.init`` of the process gave it. The application's own
    ``Tortoise.init`` would be asked for ours.

    Args:
        module: Where the models are.
        app: Their label.
        models: The models.
        connection: Returns the connection that the current task uses.
        offline: The class of that connection, for its dialect.

    Source: ``tortoise.apps.Apps._build_initial_querysets``.
    """
    with TortoiseContext():
        Tortoise.init_models([module], app)

    class Meta(MetaInfo):
        __slots__ = ()

        db: Any = property(lambda self: offline)

    for model in models:
        meta = model._meta
        meta.__class__ = Meta
        meta.default_connection = "default"
        meta.finalise_model()
        meta.basetable = Table(name=meta.db_table, schema=meta.schema)
        query = meta.db.query_class.from_(meta.basetable)
        meta.basequery = cast("Query", query)
        meta.basequery_all_fields = cast("Query", query.select(*meta.db_fields))
    Meta.db = property(lambda self: connection())


def context_of_task() -> TortoiseContext | None:
    """Tortoise's context in the current task; None where it is not set up."""
    return get_current_context()


def connections_of(context: TortoiseContext | None, engine: str) -> Iterator[str]:
    """The names of the connections of an engine in Tortoise's context.

    Reason: Tortoise finds a connection by its name only, and another application chooses the name.
    """
    handler = None if context is None else context._connections
    for name, description in ((handler and handler._db_config) or {}).items():
        if isinstance(description, dict) and description.get("engine") == engine:
            yield name


class GuestContext(TortoiseContext):
    """A context for ``in_transaction()`` where Tortoise is not set up; ``Tortoise.init`` makes its own beside it.

    Reason: ``Tortoise.init`` closes the connections of the context that it finds, and puts its own there.
    """

    inited: Any = False  # so Tortoise.init closes nothing

    def __init__(self, name: str, engine: str, connection: BaseDBAsyncClient) -> None:
        super().__init__()
        self.connections._db_config = {name: {"engine": engine, "credentials": {}}}
        self.connections._get_storage()[name] = connection

    async def init(self, *arguments: Any, **keywords: Any) -> None:
        """Set up the application's own context, and make it the current one."""
        context = TortoiseContext()
        context.__enter__()
        await context.init(*arguments, **keywords)


@contextmanager
def tortoise_context(context: TortoiseContext | None) -> Iterator[None]:
    """Make a context Tortoise's current one inside the block, unless there is one already."""
    if context is None or get_current_context() is not None:
        yield
        return
    token = _current_context.set(context)
    try:
        yield
    finally:
        if _current_context.get() is context:  # the application may have called Tortoise.init inside
            with suppress(ValueError):  # the block ended in another task
                _current_context.reset(token)


@asynccontextmanager
async def separate_tortoise() -> AsyncIterator[None]:
    """A block in which ``Tortoise.init`` changes nothing outside.

    Reason: it sets the process's routers and time zone, and labels the models of ``aerich.models``, which the
    application may use under its own label.
    """
    from aerich.models import Aerich

    routers, label, name = router._routers, Aerich._meta.app, Aerich._meta.default_connection
    zone = {variable: os.environ.get(variable) for variable in ("USE_TZ", "TIMEZONE")}
    try:
        async with TortoiseContext():
            yield
    finally:
        router._routers, Aerich._meta.app, Aerich._meta.default_connection = routers, label, name
        for variable, value in zone.items():
            if value is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value
        _reset_timezone_cache()
