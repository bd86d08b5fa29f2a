"""How Tortoise's statements become text: every word of a caller's is a parameter, never SQL.

Tortoise writes the keys of JSON paths and the names of results (``.annotate(**{…})``, ``.only(…)``) into the text as
they are, and values too where it sends no parameters. All of its statements begin with the query class of the client.
This one binds the keys, writes values that cannot be parameters as literals, and refuses names that end their quotes.
"""

from __future__ import annotations

import json
from datetime import date, time
from enum import Enum
from functools import lru_cache
from typing import Any
from uuid import UUID

from pypika_tortoise.context import SqlContext
from pypika_tortoise.dialects.postgresql import PostgreSQLQuery, PostgreSQLQueryBuilder
from pypika_tortoise.enums import Dialects
from pypika_tortoise.queries import Join, QueryBuilder, Selectable
from pypika_tortoise.terms import Field, JSONAttributeCriterion, Node, Parameter, Parameterizer, ValueWrapper
from pypika_tortoise.utils import format_alias_sql
from tortoise.expressions import Subquery

from memory_guild.database.quoting import quote_literal
from memory_guild.database.refusals import checked_name, checked_text, refusing
from memory_guild.errors import InvalidInputError


class _Parameters(Parameterizer):
    """The parameters of a statement. A path that occurs twice is one parameter, so that GROUP BY recognises it."""

    def __init__(self) -> None:
        super().__init__(placeholder_factory=lambda number: f"${number}")  # a set operation forgets its dialect
        self._paths: dict[tuple[str, ...], Parameter] = {}

    def create_param(self, value: Any) -> Parameter:
        if isinstance(value, str):
            checked_text("query", value)
        elif isinstance(value, dict):
            value = json.dumps(value)
        return super().create_param(value)

    def path(self, keys: tuple[str, ...]) -> Parameter:
        if keys not in self._paths:
            self._paths[keys] = super().create_param(list(keys))
        return self._paths[keys]


class _Literals(_Parameters):
    """Literals instead of parameters, for a statement that has none, such as ``.sql(params_inline=True)``."""

    def create_param(self, value: Any) -> Parameter:
        return Parameter(placeholder=_literal(value))

    def path(self, keys: tuple[str, ...]) -> Parameter:
        return self.create_param(list(keys))


def _literal(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).lower()
        case Enum():
            return _literal(value.value)
        case str():
            return quote_literal(checked_text("query", str.__str__(value)))
        case int() | float():
            return repr(value) if value == value and abs(value) != float("inf") else f"'{value}'"
        case date() | time():
            return _literal(value.isoformat())
        case UUID():
            return _literal(str(value))
        case dict():
            return _literal(json.dumps(value))
        case list() | tuple() | set():
            return f"ARRAY[{', '.join(map(_literal, value))}]"
        case bytes():
            return f"'\\x{value.hex()}'::bytea"
        case _:
            return _literal(str(value))


class JsonPath(JSONAttributeCriterion):
    """What a JSON column has at a path, as text; the path is a parameter."""

    def get_sql(self, ctx: SqlContext) -> str:
        """The SQL; in parentheses, because the operator binds as loosely as ``||``."""
        keys = tuple(checked_text("query (a JSON key)", str(key)) for key in self.path)
        parameters = ctx.parameterizer if isinstance(ctx.parameterizer, _Parameters) else _Literals()
        sql = f"({self.json_column.get_sql(ctx)}#>>{parameters.path(keys).get_sql(ctx)}::text[])"
        return format_alias_sql(sql, self.alias, ctx) if ctx.with_alias else sql


class GuildQueryBuilder(PostgreSQLQueryBuilder):
    """Renders what Tortoise has put together."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dialect = Dialects.POSTGRESQL

    def get_sql(self, ctx: SqlContext | None = None) -> str:
        """The text. Without parameters, values are literals."""
        ctx = ctx or self.QUERY_CLS.SQL_CONTEXT
        if not isinstance(ctx.parameterizer, _Parameters):
            ctx = ctx.copy(parameterizer=_Literals())
        with refusing:
            _secure(self)
            return super().get_sql(ctx)

    def get_parameterized_sql(self, ctx: SqlContext | None = None) -> tuple[str, list[Any]]:
        """The text, and the values of its parameters."""
        return with_parameters(self, ctx or self.QUERY_CLS.SQL_CONTEXT)


def with_parameters(statement: Any, ctx: SqlContext) -> tuple[str, list[Any]]:
    """The text of a statement, and the values of its parameters; those of a statement around it come first."""
    parameters = ctx.parameterizer if isinstance(ctx.parameterizer, _Parameters) else _Parameters()
    with refusing:
        return statement.get_sql(ctx.copy(parameterizer=parameters)), parameters.values


class GuildQuery(PostgreSQLQuery):
    """The query class of the package's clients: Tortoise begins every statement with it."""

    @classmethod
    def _builder(cls, **kwargs: Any) -> GuildQueryBuilder:
        return GuildQueryBuilder(**kwargs)


GuildQueryBuilder.QUERY_CLS = GuildQuery

_RENDERED_APART = (QueryBuilder, Subquery)
"""Each of them is rendered by a builder of its own."""


_PLAIN = frozenset((bool, int, str, type, type(None)))


def _secure(builder: QueryBuilder) -> None:
    """Look at everything that the builder will render: refuse names that end their quotes, bind the keys of JSON."""
    found: list[Any] = list(vars(builder).values())
    tables = set()  # each column refers to its own
    while found:
        thing = found.pop()
        kind = type(thing)
        if kind in _PLAIN:
            continue
        if kind is list or kind is tuple or kind is set:
            found += thing
        elif kind is Field:
            _refuse_unnamed(thing.name)
            _refuse_unquotable(thing.alias)
            if id(thing.table) not in tables:
                tables.add(id(thing.table))
                found.append(thing.table)
        elif isinstance(thing, (Node, Selectable, Join)):
            _refuse_unquotable(getattr(thing, "alias", None))
            if isinstance(thing, (ValueWrapper, *_RENDERED_APART)):
                continue
            if isinstance(thing, Field):
                _refuse_unnamed(thing.name)
            elif kind is JSONAttributeCriterion:
                thing.__class__ = JsonPath
            found += vars(thing).values()


@lru_cache(10_000)
def _refuse_unnamed(column: object) -> None:
    if column != "*":
        checked_name("query (a column)", column)


@lru_cache(10_000)
def _refuse_unquotable(name: object) -> None:
    if name is not None and (not isinstance(name, str) or '"' in checked_text("query (a name)", name)):
        raise InvalidInputError("query (a name)", "is not an identifier; use letters, digits and underscores")
