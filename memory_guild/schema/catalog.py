"""Compare the live catalog with the specification, without a second copy of the specification.

The specification's own DDL runs in a scratch schema, in a transaction that is always rolled back. The same queries
(``sql/catalog_*.sql``) read the scratch schema and the live one, and their results are compared. So the server decides
what the DDL means in its version, and the comparison cannot drift from ``sql/specification.sql``.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, overload

import asyncpg

from memory_guild.database.sqlstate import (
    DRIVER_ERRORS,
    INSUFFICIENT_PRIVILEGE,
    LOCK_NOT_AVAILABLE,
    READ_ONLY,
    explained_errors,
)
from memory_guild.database.statements import statement
from memory_guild.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Key = tuple[str, str, str]  # kind, table, name
    Catalog = dict[Key, str]

_QUERIES = (
    "catalog_tables",
    "catalog_columns",
    "catalog_constraints",
    "catalog_indexes",
    "catalog_triggers",
    "catalog_rules",
    "catalog_row_security",
    "catalog_policies",
    "catalog_functions",
    "catalog_grants",
)

_DELIBERATE = "deliberate index"  # the kind that catalog_indexes gives to an index that somebody added on purpose

# To print an expression, the server locks the tables in it with ACCESS SHARE. That lock blocks only a migration, and
# waits only for a migration; giving up before deadlock_timeout (1 s) rules out a deadlock with one.
# quote_all_identifiers, where it is on, would put quotes around every name. To compile the queries on the catalog takes
# longer than to run them.
_LOCAL_SETTINGS = "SET LOCAL lock_timeout = '500ms'; SET LOCAL quote_all_identifiers = off; SET LOCAL jit = off"

_UNDO_SAVEPOINT = "ROLLBACK TO SAVEPOINT memory_guild_validate; RELEASE SAVEPOINT memory_guild_validate"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between the live catalog and the specification.

    Attributes:
        problem: ``missing`` from the live schema, ``unexpected`` in it, or there but ``different``.
        kind: ``table``, ``column``, ``constraint``, ``index``, ``trigger``, ``rule``, ``row security``, ``policy``,
            ``function`` or ``grant``.
        table: The table that the object belongs to; empty for a function.
        name: The object's name. For ``table`` and ``row security`` the name of the table, or ``column order`` if the
            columns of a table are in another order; for a grant the privilege and the grantee.
        expected: The definition in the specification, much as ``psql`` prints it; None if unexpected.
        found: The definition in the live schema; None if missing.
    """

    problem: Literal["missing", "unexpected", "different"]
    kind: str
    table: str
    name: str
    expected: str | None
    found: str | None


class DeliberateIndex(NamedTuple):
    """An index that somebody added to the specification's on purpose; it does not count as a difference.

    Attributes:
        table: The table that it belongs to.
        name: Its name.
        definition: As ``psql`` prints it, with a note if an interrupted build left it invalid.
    """

    table: str
    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class Comparison(Sequence[Difference]):
    """The live catalog compared with the specification: the sequence of the differences, false if there are none.

    Attributes:
        differences: Sorted by table, kind and name; empty if the catalog matches the specification.
        deliberate_indexes: The indexes that were added on purpose, sorted by table and name.
    """

    differences: tuple[Difference, ...]
    deliberate_indexes: tuple[DeliberateIndex, ...]

    def __len__(self) -> int:
        return len(self.differences)

    @overload
    def __getitem__(self, index: int) -> Difference: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Difference, ...]: ...

    def __getitem__(self, index: int | slice) -> Difference | tuple[Difference, ...]:
        """A difference, or several."""
        return self.differences[index]


async def compare_catalog(
    connection: Connection, schema: str, *, additions: Sequence[str] = (), settings: Sequence[str] = ()
) -> Comparison:
    """Compare the five tables in ``schema`` with the specification.

    Everything runs in a transaction that is rolled back, even when the task is cancelled; in a savepoint if the
    connection already is in a transaction. Only the catalog is read, not the live tables.

    These do not count as differences: other tables, functions with other names, and an index that is not unique and
    whose comment starts with ``deliberate:``; such an index is listed separately. Grants are compared only if
    ``additions`` grant something.

    Args:
        connection: A connection whose role may create a schema.
        schema: The live schema's name, unquoted. A schema that does not exist lacks all tables.
        additions: Scripts that run after the specification, in order: triggers, functions, policies, grants. In them
            ``current_schema()`` is the scratch schema. They must not end the transaction.
        settings: Statements that set something for the transaction.

    Returns:
        The differences, and the indexes that were added on purpose. For a missing table, its columns, constraints and
        indexes are not listed as well.

    Raises:
        SchemaError: The role may not use ``schema``, create the scratch schema or run the additions; or the server is
            read-only; or a migration holds a lock on the tables.
    """
    refused = {
        READ_ONLY: lambda _: SchemaError(
            "validate creates a scratch schema and rolls it back, but this server or transaction is read-only; "
            "connect to the primary, or set default_transaction_read_only to off for this role"
        ),
        LOCK_NOT_AVAILABLE: lambda _: SchemaError(
            f"the tables in schema {schema!r} are locked, probably by a migration; validate again when it has finished"
        ),
    }
    with explained_errors(refused):
        async with _rolled_back(connection):
            expected, found = await _both_catalogs(connection, schema, additions, settings)
    deliberate = [key for key in found if key[0] == _DELIBERATE]
    indexes = [DeliberateIndex(key[1], key[2], found.pop(key)) for key in deliberate]
    differences = sorted(_differences(expected, found), key=lambda one: (one.table, one.kind, one.name))
    return Comparison(tuple(differences), tuple(sorted(indexes)))


@asynccontextmanager
async def _rolled_back(connection: Connection) -> AsyncIterator[None]:
    """Open a transaction or a savepoint, and roll it back however the block ends.

    Not ``connection.transaction()``: it refuses to nest in a transaction that a plain BEGIN opened, and if the task is
    cancelled during its own BEGIN, it leaves the transaction open.
    """
    nested = connection.is_in_transaction()
    if nested:
        # Before the try: if this fails, there is no savepoint to roll back to. A leftover savepoint does no harm.
        await connection.execute("SAVEPOINT memory_guild_validate")
    try:
        if not nested:
            await connection.execute("BEGIN")
        yield
    finally:
        if not connection.is_closed():
            # Shielded: the task may be cancelled again while asyncpg still sends the first cancellation to the server.
            await asyncio.shield(_undo(connection, _UNDO_SAVEPOINT if nested else "ROLLBACK"))


async def _undo(connection: Connection, statement: str) -> None:
    """Roll back; the server does so itself where the connection is lost, and the error that ended the block says so."""
    with suppress(*DRIVER_ERRORS):
        await connection.execute(statement)


async def _both_catalogs(
    connection: Connection, schema: str, additions: Sequence[str], settings: Sequence[str]
) -> tuple[Catalog, Catalog]:
    """The specification's catalog, as it would read in ``schema``, and the catalog of ``schema``."""
    await connection.execute("; ".join((_LOCAL_SETTINGS, *settings)))
    scratch = f"memory_guild_validate_{secrets.token_hex(8)}"
    words = await connection.fetchrow(statement("schema/catalog_scratch"), scratch, schema)
    assert words is not None
    if words["lacks_usage"]:
        # search_path skips a schema that the role may not use, so every name would be printed with its schema.
        raise SchemaError(
            f"this role may not use schema {schema!r}; let its owner run `{words['allow_usage']}`, "
            "or validate as the role that runs the migrations"
        )
    names = await _build(connection, scratch, words, additions)

    def as_in_live_schema(catalog: Catalog) -> Catalog:
        # Most definitions are printed without the schema, because each schema is read with itself as search_path. But
        # function bodies and string constants contain its name. Only the scratch schema's name is replaced: it is
        # random, so it cannot occur by chance. A live name such as "public" may well occur in a word or a comment.
        # Within a string constant, the quotes of a qualified name are doubled.
        qualified = "'" + words["live_identifier"].replace("'", "''") + "."
        return {
            key: definition.replace(f"'{scratch}'", words["live_literal"])
            .replace(f"'{scratch}.", qualified)
            .replace(scratch, words["live_identifier"])
            for key, definition in catalog.items()
        }

    expected = as_in_live_schema(await _read(connection, scratch, names))
    for row in await connection.fetch(statement("schema/catalog_restate"), scratch):
        await connection.execute(row["statement"])
    restored = as_in_live_schema(await _read(connection, scratch, names, ["catalog_constraints"]))
    found = await _read(connection, schema, names)
    # After a restore from a dump, or pg_upgrade, the server prints a CHECK as in `restored`; that is no difference.
    return expected, {key: expected[key] if restored.get(key) == text else text for key, text in found.items()}


async def _build(connection: Connection, scratch: str, words: asyncpg.Record, additions: Sequence[str]) -> list[str]:
    """Create the scratch schema; the names of the tables, indexes and functions to compare."""
    may_not_create = SchemaError(
        "validate creates a scratch schema and rolls it back, but this role may not create a schema; let a DBA run "
        f"`{words['allow_create']}`, or validate as the role that runs the migrations"
    )
    with explained_errors({INSUFFICIENT_PRIVILEGE: lambda _: may_not_create}):
        await connection.execute(words["create_schema"])
    await _set_search_path(connection, scratch)
    await connection.execute(statement("schema/specification"))
    # Before the additions run: a table that they create is the package's own, not the specification's.
    tables = await _names(connection, scratch, "table")
    with explained_errors({INSUFFICIENT_PRIVILEGE: _may_not_migrate}):
        for script in additions:
            await connection.execute(script)
    return [*tables, *await _names(connection, scratch, "index"), *await _names(connection, scratch, "function")]


def _may_not_migrate(error: asyncpg.PostgresError) -> SchemaError:
    return SchemaError(
        f"this role may not run the migrations in a scratch schema ({error.args[0]}); "
        "validate as the role that runs the migrations"
    )


async def _names(connection: Connection, schema: str, kind: str) -> list[str]:
    return [row["name"] for row in await connection.fetch(statement("schema/catalog_names"), schema, kind)]


async def _read(connection: Connection, schema: str, names: list[str], queries: Sequence[str] = _QUERIES) -> Catalog:
    await _set_search_path(connection, schema)
    return {
        (row["kind"], row["table_name"], row["name"]): row["definition"]
        for query in queries
        for row in await connection.fetch(statement(f"schema/{query}"), schema, names)
    }


async def _set_search_path(connection: Connection, schema: str) -> None:
    # pg_temp comes first unless it is named, and a temporary table would hide a table with the same name.
    # The schema of pgvector's types follows, so that they are printed alike wherever the tables are.
    await connection.execute(statement("schema/catalog_search_path"), schema)


def _differences(expected: Catalog, found: Catalog) -> Iterator[Difference]:
    tables = {table for kind, table, _ in found if kind == "table"}
    grants_matter = any(kind == "grant" for kind, _, _ in expected)
    for key in expected.keys() | found.keys():
        kind, table, name = key
        of_missing_table = kind != "table" and table and table not in tables
        if expected.get(key) == found.get(key) or of_missing_table or (kind == "grant" and not grants_matter):
            continue
        problem: Literal["missing", "unexpected", "different"] = (
            "missing" if key not in found else "unexpected" if key not in expected else "different"
        )
        yield Difference(problem, kind, table, name, expected.get(key), found.get(key))
    for table in tables:
        # Only the columns that both have: a dropped or added column already is a difference.
        orders = [_column_order(one, other, table) for one, other in ((expected, found), (found, expected))]
        if orders[0] != orders[1]:
            yield Difference("different", "table", table, "column order", orders[0], orders[1])


def _column_order(catalog: Catalog, other: Catalog, table: str) -> str:
    return ", ".join(key[2] for key in catalog if key[:2] == ("column", table) and key in other)
