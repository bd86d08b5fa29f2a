"""Tortoise's querysets with the package's errors for bad arguments, and with parameters for every value.

Each method of :class:`CheckedQuerySet` checks what it is given as far as Tortoise looks at it, and makes the query that
it returns one that checks the rest when it is run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from functools import wraps
from typing import Any, TypeVar

from pypika_tortoise.terms import Term
from tortoise import Model, queryset
from tortoise.expressions import Expression
from tortoise.manager import Manager
from tortoise.query_utils import expand_lookup_expression
from tortoise.queryset import QuerySet

from memory_guild.database.refusals import checked_name, refusing
from memory_guild.database.rendering import with_parameters
from memory_guild.errors import InvalidInputError, InvalidQueryError

_MOST = 2**63 - 1

_Model = TypeVar("_Model", bound=Model)


class _Awaited:
    """A query that says in our words why it cannot be built, or its rows not be read.

    It is mixed into Tortoise's classes, which mypy does not see here: hence the ignored errors at ``super()``
    and at their attributes.
    """

    __slots__ = ()

    def _choose_db(self, for_write: bool = False) -> Any:
        # Tortoise would ask the process's routers, which may be those of another application.
        return self._db or self.model._choose_db(for_write)  # type: ignore[attr-defined]

    def __await__(self) -> Generator[Any, None, Any]:
        with refusing:
            return super().__await__()  # type: ignore[misc, no-any-return]

    async def _execute(self) -> Any:
        with refusing:
            return await super()._execute()  # type: ignore[misc]

    async def _execute_many(self, *arguments: Any) -> Any:
        with refusing:
            return await super()._execute_many(*arguments)  # type: ignore[misc]


class _Checked(_Awaited):
    """The same, for a query that can also be looked at."""

    __slots__ = ()

    def sql(self, params_inline: bool = False) -> str:
        """The statement's text."""
        with refusing:
            return super().sql(params_inline)  # type: ignore[misc, no-any-return]


class _Values(_Checked, queryset.ValuesQuery[Any]):
    __slots__ = ()


class _ValuesList(_Checked, queryset.ValuesListQuery[Any]):
    __slots__ = ()


class _Update(_Checked, queryset.UpdateQuery):
    __slots__ = ()


class _Delete(_Checked, queryset.DeleteQuery):
    __slots__ = ()


class _Exists(_Checked, queryset.ExistsQuery):
    __slots__ = ()


class _Contains(_Checked, queryset.ContainsQuery):
    __slots__ = ()


class _Count(_Checked, queryset.CountQuery):
    __slots__ = ()


class _Raw(_Checked, queryset.RawSQLQuery):
    __slots__ = ()


class _BulkUpdate(_Checked, queryset.BulkUpdateQuery[Any]):
    __slots__ = ()


class _BulkCreate(_Checked, queryset.BulkCreateQuery[Any]):
    __slots__ = ()


class _UnionCount(_Checked, queryset.UnionCountQuery):
    __slots__ = ()

    async def _execute(self) -> int:
        with refusing:
            statement, values = with_parameters(self.query, self.query.QUERY_CLS.SQL_CONTEXT)
        _, rows = await self._db.execute_query(statement, values)
        (number,) = dict(rows[0]).values()
        return int(number)


class _Union(_Awaited, queryset.UnionQuery[Any]):
    __slots__ = ()

    async def _execute(self) -> Sequence[Any]:
        if self._union_query is None:
            return []
        with refusing:
            statement, values = with_parameters(self._union_query, self._qs[0].query.QUERY_CLS.SQL_CONTEXT)
            rows: list[Any] = await _executor(self, values).execute_union(
                statement, self.TORTOISE_APP_FIELD, self.TORTOISE_MODEL_FIELD, self._models
            )
            return rows


class _WithValues:
    """A connection that runs statements with their values; Tortoise would send the text alone."""

    def __init__(self, connection: Any, values: list[Any]) -> None:
        self._connection = connection
        self._values = values

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute_query(self, statement: str) -> tuple[int, list[dict[Any, Any]]]:
        """Run it."""
        affected, rows = await self._connection.execute_query(statement, self._values)
        return affected, rows


def _executor(query: Any, values: list[Any]) -> Any:
    """Tortoise's executor for a query whose statement has parameters."""
    return query._db.executor_class(model=query.model, db=_WithValues(query._db, values))


_KINDS: dict[type, type] = {
    kind.__bases__[1]: kind
    for kind in (
        *(_Values, _ValuesList, _Update, _Delete, _Exists, _Contains, _Count, _Raw),
        *(_BulkUpdate, _BulkCreate, _Union, _UnionCount),
    )
}
"""Which class a query of Tortoise's becomes: it has the same attributes, and the methods of :class:`_Checked`."""


def _checking(*methods: str) -> Callable[[type], type]:
    """Make methods refuse what they cannot use, and return checked queries."""

    def decorate(kind: type) -> type:
        for name in methods:
            setattr(kind, name, _checking_method(getattr(kind, name)))
        return kind

    return decorate


def _checking_method(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def checked(self: Any, *arguments: Any, **keywords: Any) -> Any:
        with refusing:
            query = method(self, *arguments, **keywords)
        if (kind := _KINDS.get(type(query))) is not None:
            query.__class__ = kind
        return query

    return checked


_checking("union", "order_by", "limit", "offset", "count")(_Union)


@_checking(
    *("filter", "exclude", "get", "get_or_none", "first", "last", "latest", "earliest", "all", "raw", "using_db"),
    *("order_by", "limit", "offset", "__getitem__", "distinct", "group_by", "only", "annotate", "values"),
    *("values_list", "select_related", "prefetch_related", "select_for_update", "force_index", "use_index", "union"),
    *("update", "delete", "count", "exists", "contains", "bulk_create", "bulk_update"),
)
class CheckedQuerySet(_Checked, QuerySet[_Model]):
    """A queryset of the package's models."""

    def annotate(self, **kwargs: Expression | Term) -> QuerySet[_Model]:
        """Add results of expressions, see ``tortoise.queryset.QuerySet.annotate``."""
        for name, expression in kwargs.items():
            checked_name("annotate (a name)", name)
            if name in self.model._meta.fields_map:
                raise InvalidInputError(name, f"is a field of {self.model.__name__}; name the result otherwise")
            if not isinstance(expression, (Expression, Term)):
                raise InvalidInputError(
                    name, f"must be an expression, such as F or Count, not {type(expression).__name__}"
                )
        return super().annotate(**kwargs)

    def only(self, *fields_for_select: str) -> QuerySet[_Model]:
        """Read some fields, see ``tortoise.queryset.QuerySet.only``."""
        for name in fields_for_select:
            if name not in self._annotations:
                expand_lookup_expression(self.model, name)
        return super().only(*fields_for_select)

    def bulk_create(
        self,
        objects: Iterable[_Model],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_fields: Iterable[str] | None = None,
        on_conflict: Iterable[str] | None = None,
    ) -> queryset.BulkCreateQuery[_Model]:
        """Insert rows, see ``tortoise.queryset.QuerySet.bulk_create``."""
        updated, conflicting = list(update_fields or ()), list(on_conflict or ())
        for name in updated + conflicting:
            if name not in self.model._meta.fields_db_projection:
                raise InvalidQueryError(f"{self.model.__name__} has not all columns of update_fields and on_conflict")
        return super().bulk_create(objects, batch_size, ignore_conflicts, updated or None, conflicting or None)

    def limit(self, limit: int) -> QuerySet[_Model]:
        """At most so many rows, see ``tortoise.queryset.QuerySet.limit``."""
        return super().limit(_checked_number("limit", limit))

    def offset(self, offset: int) -> QuerySet[_Model]:
        """Skip so many rows, see ``tortoise.queryset.QuerySet.offset``."""
        return super().offset(_checked_number("offset", offset))

    def values(self, *args: str, **kwargs: str) -> queryset.ValuesQuery[Any]:
        """Return dicts, see ``tortoise.queryset.QuerySet.values``."""
        for name in kwargs:
            checked_name("values (a name)", name)
        return super().values(*args, **kwargs)

    def select_for_update(
        self, nowait: bool = False, skip_locked: bool = False, of: tuple[str, ...] = (), no_key: bool = False
    ) -> QuerySet[_Model]:
        """Lock the rows, see ``tortoise.queryset.QuerySet.select_for_update``."""
        for name in of:
            checked_name("select_for_update (a table)", name)
        return super().select_for_update(nowait, skip_locked, of, no_key)

    async def in_bulk(self, id_list: Iterable[Any], field_name: str) -> dict[Any, _Model]:
        """Instances by a unique field, see ``tortoise.queryset.QuerySet.in_bulk``."""
        with refusing:
            return await super().in_bulk(id_list, field_name)

    async def explain(self, output_fmt: str | None = None, **options: bool) -> Any:
        """The plan of the query, see ``tortoise.queryset.QuerySet.explain``."""
        with refusing:
            self._choose_db_if_not_chosen()
            self._make_query()
            statement, values = with_parameters(self.query, self.query.QUERY_CLS.SQL_CONTEXT)
            return await _executor(self, values).execute_explain(statement, output_fmt, **options)


def _checked_number(field: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise InvalidQueryError(f"must be a whole number from 0 to {_MOST:,}", field=field)
    return value


class CheckedManager(Manager):
    """Gives a model checked querysets."""

    def get_queryset(self) -> QuerySet[Any]:
        """All rows."""
        return CheckedQuerySet(self._model)
