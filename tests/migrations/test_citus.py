"""The migrations for Citus make what those for plain PostgreSQL make, as far as a plain server can tell."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

import asyncpg
import pytest
from aerich.utils import import_py_file

from memory_guild.database.migrations import known_migrations, migrations_folder
from memory_guild.database.scripts import single_statements
from memory_guild.database.statements import statement

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

PLAIN, CITUS = "models", "citus/models"
KINDS = ("tables", "columns", "constraints", "indexes", "row_security")
OF_THE_SEAL = ("memory_guild_seal",)
"""Its table has columns for the sequences that a worker is to have."""


async def scripts(app: str) -> list[str]:
    return [
        await import_py_file(migrations_folder() / app / name).upgrade(None) for name in known_migrations(app)
    ]


@pytest.fixture
async def schemas(connection: Connection) -> Any:
    """Two schemas, rolled back: with the migrations for plain PostgreSQL, and with those for Citus."""
    transaction = connection.transaction()
    await transaction.start()
    for schema, app in (("of_plain", PLAIN), ("of_citus", CITUS)):
        await connection.execute(f"CREATE SCHEMA {schema}")
        await connection.execute(statement("schema/catalog_search_path").replace("$1", f"'{schema}'"))
        for script in await scripts(app):
            for one in single_statements(script):
                await connection.execute(one)
    yield connection
    await transaction.rollback()


async def catalog(connection: Connection, schema: str, kind: str) -> dict[tuple[str, str], str]:
    """What the catalog says of the tables of a schema, without those of the seal."""
    names = [row["name"] for row in await connection.fetch(statement("schema/catalog_names"), schema, "table")]
    names += [row["name"] for row in await connection.fetch(statement("schema/catalog_names"), schema, "index")]
    await connection.execute(f"SET LOCAL search_path = {schema}, pg_temp")
    rows = await connection.fetch(statement(f"schema/catalog_{kind}"), schema, names)
    return {
        (row["table_name"], row["name"]): row["definition"] for row in rows if row["table_name"] not in OF_THE_SEAL
    }


@pytest.mark.parametrize("kind", KINDS)
async def test_tables_are_the_same(schemas: Connection, kind: str) -> None:
    plain, citus = await catalog(schemas, "of_plain", kind), await catalog(schemas, "of_citus", kind)

    assert citus == plain
    assert plain


async def test_the_application_role_may_change_the_same_columns(schemas: Connection) -> None:
    grants = [
        {
            key: text
            for key, text in (await catalog(schemas, schema, "grants")).items()
            if "INSERT" not in text  # the coordinator fills in the defaults, see the migration
        }
        for schema in ("of_plain", "of_citus")
    ]

    assert grants[0] == grants[1]


@pytest.mark.parametrize("app", [PLAIN, CITUS])
def test_scripts_split_into_statements(app: str) -> None:
    for script in asyncio.run(scripts(app)):
        statements = single_statements(script)

        assert "".join("".join(statements).replace(";", "").split()) == "".join(script.replace(";", "").split())
        for one in statements:
            assert one.count("$migration$") in (0, 2)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", []),
        (" ; -- nothing; at all\n ; /* nor ; here */", []),
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';''; ' ; SELECT \";\"", ["SELECT ';''; '", 'SELECT ";"']),
        ("SELECT E'\\';' ; SELECT 2", ["SELECT E'\\';'", "SELECT 2"]),
        ("DO $a$ BEGIN; $$;$$ END $a$; SELECT 2;", ["DO $a$ BEGIN; $$;$$ END $a$", "SELECT 2"]),
        ("-- why; so\nSELECT 1;", ["-- why; so\nSELECT 1"]),
        ("SELECT a$b; SELECT c$b", ["SELECT a$b", "SELECT c$b"]),
    ],
)
def test_statements_end_where_the_server_thinks_so(script: str, expected: list[str]) -> None:
    assert single_statements(script) == expected
