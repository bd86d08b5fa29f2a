"""Validate: compare the live catalog with the specification, without a second copy of the specification.

The specification's own DDL runs in a scratch schema, inside a transaction that is always rolled back. The same queries
(``sql/catalog_*.sql``) then read the scratch schema and the live one, and what they say is compared. So the server
itself decides what the DDL means, in its version, and the comparison cannot drift from ``sql/specification.sql``.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import asyncpg

from memory_guild.database.sqlstate import (
    INSUFFICIENT_PRIVILEGE,
    LOCK_NOT_AVAILABLE,
    READ_ONLY,
    explained_errors,
)
from memory_guild.database.statements import statement
from memory_guild.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

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

_DELIBERATE = "deliberate index"  # the kind that catalog_indexes gives what somebody added on purpose

# To print an expression the server takes ACCESS SHARE on the tables that it names, which blocks nothing but a migration
# and waits for nothing but a migration. Giving up before deadlock_timeout (1 s) keeps either from becoming a deadlock.
# The second setting, if it is on, puts quotes around every name.
_LOCAL_SETTINGS = "SET LOCAL lock_timeout = '500ms'; SET LOCAL quote_all_identifiers = off"

_UNDO_SAVEPOINT = "ROLLBACK TO SAVEPOINT memory_guild_validate; RELEASE SAVEPOINT memory_guild_validate"


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which the live catalog is not what the specification says.

    Attributes:
        problem: ``missing`` from the live schema, ``unexpected`` in it, or there but ``different``.
        kind: ``table``, ``column``, ``constraint``, ``index``, ``trigger``, ``rule``, ``row security``, ``policy``,
            ``function`` or ``grant``.
        table: The table that it belongs to; empty for a function.
        name: The object's name; the table's own for ``table`` and ``row security``, ``column order`` where the
            columns of a table are in another order, privilege and grantee for a grant.
        expected: The definition by the specification, much as ``psql`` prints it; None if unexpected.
        found: The definition in the live schema; None if missing.
    """

    problem: Literal["missing", "unexpected", "different"]
    kind: str
    table: str
    name: str
    expected: str | None
    found: str | None


class DeliberateIndex(NamedTuple):
    """An index that is not the specification's and was added on purpose; it is no difference.

    Attributes:
        table: The table that it belongs to.
        name: Its name.
        definition: As ``psql`` prints it, with a note where an interrupted build has left it invalid.
    """

    table: str
    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the live catalog is beside the specification.

    Attributes:
        differences: By table, kind and name; empty where the catalog is what the specification says.
        deliberate_indexes: What was added on purpose, by table and name; no difference.
    """

    differences: tuple[Difference, ...]
    deliberate_indexes: tuple[DeliberateIndex, ...]


async def compare_catalog(connection: Connection, schema: str, *, additions: Sequence[str] = ()) -> Comparison:
    """Compare the five tables in ``schema`` with the specification.

    Everything happens in a transaction that is rolled back (a savepoint, if the connection is in a transaction
    already), also when the task is cancelled. The live tables are not read, only the catalog.

    What an operator may add without a difference: other tables, functions of other names, and an index that is not
    unique and whose comment starts with ``deliberate:``, which is listed apart. Grants are compared only where
    ``additions`` grant something.

    Args:
        connection: A connection whose role may create a schema.
        schema: The live schema's name, unquoted. One that does not exist is one that lacks all tables.
        additions: Scripts that ran after the specification, in order: triggers, functions, policies, grants. They run
            with ``current_schema()`` being the scratch schema, and must not end the transaction.

    Returns:
        The differences, and the indexes that were added on purpose. What belongs to a missing table is not listed
        again.

    Raises:
        SchemaError: The role may not look into ``schema``, create the scratch schema or run the additions, the server
            is read-only, or a migration holds a lock on the tables.
    """
    refused = {
        READ_ONLY: lambda _: SchemaError(
            "validate needs a scratch schema, which it rolls back, but this server or transaction is read-only; "
            "connect to the primary, or set default_transaction_read_only to off for this role"
        ),
        LOCK_NOT_AVAILABLE: lambda _: SchemaError(
            f"the tables of schema {schema!r} are locked, probably by a migration; validate again when it has finished"
        ),
    }
    with explained_errors(refused):
        async with _rolled_back(connection):
            expected, found = await _both_catalogs(connection, schema, additions)
    deliberate = [key for key in found if key[0] == _DELIBERATE]
    indexes = [DeliberateIndex(key[1], key[2], found.pop(key)) for key in deliberate]
    differences = sorted(_differences(expected, found), key=lambda one: (one.table, one.kind, one.name))
    return Comparison(tuple(differences), tuple(sorted(indexes)))


@asynccontextmanager
async def _rolled_back(connection: Connection) -> AsyncIterator[None]:
    """Open a transaction or a savepoint and undo it, however the block ends.

    ``connection.transaction()`` refuses to nest in a transaction that was begun with a plain BEGIN, and a
    cancellation during its own BEGIN leaves that transaction open.
    """
    nested = connection.is_in_transaction()
    if nested:
        # Before the try: without the savepoint there is nothing to roll back to, and a savepoint alone does no harm.
        await connection.execute("SAVEPOINT memory_guild_validate")
    try:
        if not nested:
            await connection.execute("BEGIN")
        yield
    finally:
        if not connection.is_closed():
            # Shielded: a second cancellation may come while asyncpg still waits for the first one to reach the server.
            await asyncio.shield(connection.execute(_UNDO_SAVEPOINT if nested else "ROLLBACK"))


async def _both_catalogs(connection: Connection, schema: str, additions: Sequence[str]) -> tuple[Catalog, Catalog]:
    """Return the specification's catalog, as it would read in ``schema``, and the catalog of ``schema``."""
    await connection.execute(_LOCAL_SETTINGS)
    scratch = f"memory_guild_validate_{secrets.token_hex(8)}"
    words = await connection.fetchrow(statement("schema/catalog_scratch"), scratch, schema)
    assert words is not None
    if words["lacks_usage"]:
        # search_path passes over a schema that the role may not use, so every name would be printed with the schema.
        raise SchemaError(
            f"this role may not look into schema {schema!r}; have its owner run `{words['allow_usage']}`, "
            "or validate as the role that runs the migrations"
        )
    names = await _build(connection, scratch, words, additions)

    def as_in_live_schema(catalog: Catalog) -> Catalog:
        # The one place where definitions are made to agree on the schema's name. Most are printed without it, because
        # each schema is read with itself as search_path; function bodies and string constants hold it literally. Only
        # the scratch schema's name is replaced: it is random, so nothing else can read like it, whereas a live name
        # such as "public" may well occur in a word or a comment.
        return {
            key: definition.replace(f"'{scratch}'", words["live_literal"]).replace(scratch, words["live_identifier"])
            for key, definition in catalog.items()
        }

    expected = as_in_live_schema(await _read(connection, scratch, names))
    for row in await connection.fetch(statement("schema/catalog_restate"), scratch):
        await connection.execute(row["statement"])
    restored = as_in_live_schema(await _read(connection, scratch, names, ["catalog_constraints"]))
    found = await _read(connection, schema, names)
    # A database that was restored from a dump, or upgraded by pg_upgrade, is as good as the one it was made from.
    return expected, {key: expected[key] if restored.get(key) == text else text for key, text in found.items()}


async def _build(connection: Connection, scratch: str, words: asyncpg.Record, additions: Sequence[str]) -> list[str]:
    """Create the scratch schema and return the names of the tables, indexes and functions that are to be compared."""
    may_not_create = SchemaError(
        "validate needs a scratch schema, which it rolls back, and this role may not create one; have a DBA run "
        f"`{words['allow_create']}`, or validate as the role that runs the migrations"
    )
    with explained_errors({INSUFFICIENT_PRIVILEGE: lambda _: may_not_create}):
        await connection.execute(words["create_schema"])
    await _set_search_path(connection, scratch)
    await connection.execute(statement("schema/specification"))
    # Read now: a table that the additions create is the package's own and none of the specification's.
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
    # pg_temp comes first unless it is named: a temporary table would hide the table of the same name.
    await connection.execute("SELECT set_config('search_path', format('%I, pg_temp', $1::text), true)", schema)


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
        # Only the columns that both have: one that was dropped or added is a difference of its own already.
        orders = [_column_order(one, other, table) for one, other in ((expected, found), (found, expected))]
        if orders[0] != orders[1]:
            yield Difference("different", "table", table, "column order", orders[0], orders[1])


def _column_order(catalog: Catalog, other: Catalog, table: str) -> str:
    return ", ".join(key[2] for key in catalog if key[:2] == ("column", table) and key in other)
