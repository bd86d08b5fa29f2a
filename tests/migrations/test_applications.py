"""Applications with Tortoise and Aerich of their own: in the same schema, under the same label, in the same config."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from memory_guild import connect, remember, tenant_scope
from memory_guild.database.migrations import applied_migrations, known_migrations
from memory_guild.errors import PermissionDeniedError, SchemaTooNewError, TablesExistError
from memory_guild.schema import doctor, upgrade, validate
from memory_guild.tenancy import admin_scope
from tests.databases import run_statement
from tests.tenancy.logins import connected
from tests.tenancy.pgbouncer import address_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "your-own-models.md"
OURS = ["data_sources", "memory_access_policies", "memory_embeddings", "memory_records", "memory_relationships"]

PYPROJECT = """
[tool.aerich]
tortoise_orm = "shop.settings.TORTOISE_ORM"
location = "./migrations"
src_folder = "./."
"""
MODELS = """
from tortoise import Model, fields

class Order(Model):
    id = fields.IntField(primary_key=True)
    item = fields.CharField(max_length=255)

    class Meta:
        table = "shop_order"
"""
ITS_OWN_CONFIG = """
import json
import os

TORTOISE_ORM = {
    "connections": {
        "default": {"engine": "tortoise.backends.asyncpg", "credentials": json.loads(os.environ["SHOP_CREDENTIALS"])}
    },
    "apps": {"models": {"models": ["shop.models", "aerich.models"], "default_connection": "default"}},
}
"""
WITH_OURS = """
from memory_guild.settings import TORTOISE_ORM as MEMORY

TORTOISE_ORM = {**MEMORY, "apps": APPS}
"""
IN_ONE_APP = WITH_OURS.replace(
    "APPS", '{"models": {**MEMORY["apps"]["models"], "models": ["shop.models", "memory_guild.models", "aerich.models"]}}'
)
ONLY_OURS = WITH_OURS.replace("APPS", 'MEMORY["apps"]')
BESIDE_OURS = WITH_OURS.replace(
    "APPS", '{**MEMORY["apps"], "shop": {**MEMORY["apps"]["models"], "models": ["shop.models"]}}'
)
WITH_A_FOREIGN_KEY = MODELS.replace(
    "    class Meta",
    """    memory = fields.ForeignKeyField("models.MemoryRecord", related_name=False, on_delete=fields.CASCADE)

    class Meta""",
)


class Shop:
    """An application in a folder of its own."""

    def __init__(self, folder: Path, url: str, settings: str, models: str = MODELS) -> None:
        self.folder, self.url = folder, url
        (folder / "shop").mkdir(exist_ok=True)
        for name, text in {
            "pyproject.toml": PYPROJECT,
            "shop/__init__.py": "",
            "shop/models.py": models,
            "shop/settings.py": settings,
        }.items():
            (folder / name).write_text(text)

    def run(self, *command: str, exit_code: int = 0) -> str:
        """What a command prints in the folder."""
        credentials = json.dumps(address_of(self.url)._asdict())
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env={**os.environ, "MEMORY_GUILD_DATABASE_URL": self.url, "SHOP_CREDENTIALS": credentials, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == exit_code, done.stdout + done.stderr
        return done.stdout + done.stderr


async def tables(url: str) -> list[str]:
    async with connected(url) as connection:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return [row["tablename"] for row in rows]


# --- the same schema and the same label -------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.long
async def test_another_app_with_our_label_is_another_app(empty_database_url: str, tmp_path: Path, order: str) -> None:
    shop = Shop(tmp_path, empty_database_url, ITS_OWN_CONFIG)
    if order == "after":
        await upgrade(empty_database_url)
    shop.run("-m", "aerich", "init-db")
    if order == "before":
        assert await upgrade(empty_database_url) == known_migrations()

    assert await upgrade(empty_database_url) == []
    assert (await validate(empty_database_url)).differences == ()
    assert [finding for finding in await doctor(empty_database_url) if finding.level == "broken"] == []
    async with connect(empty_database_url):
        assert await applied_migrations() == known_migrations()
        async with tenant_scope("acme", agent_id="a"):
            await remember("text", source_type="document")


NEXT = len(known_migrations())

RECORDS = {
    "another application's": (f"{NEXT}_20260101000000_orders.py", '{"models.Order": {"table": "shop_order"}}', False),
    "another application's first": ("0_20260101000000_init.py", "{}", False),
    "a name without a number": ("init.py", "{}", False),
    "no object": (f"{NEXT}_20260101000000_init.py", '[{"table": 1}, 2]', True),
    "ours and others": (
        f"{NEXT}_x.py",
        '{"models.MemoryRecord": {"table": "memory_records"}, "models.Order": {"table": "shop_order"}}',
        False,
    ),
    "models without tables": (f"{NEXT}_x.py", '{"models.Order": 5}', False),
    "a newer version's": (f"{NEXT}_x.py", '{"a": {"table": "memory_records"}, "b": {"table": "memory_outbox"}}', True),
    "nothing known": ("99_later.py", "{}", True),
}


@pytest.mark.parametrize(("version", "content", "is_newer"), RECORDS.values(), ids=RECORDS)
async def test_what_a_recorded_migration_is(database_url: str, version: str, content: str, is_newer: bool) -> None:
    row = f"INSERT INTO aerich (version, app, content) VALUES ('{version}', 'models', '{content}')"
    await run_statement(database_url, row)

    if is_newer:
        with pytest.raises(SchemaTooNewError) as refused:
            await upgrade(database_url)
        assert refused.value.unknown == [version]
    else:
        assert await upgrade(database_url) == []
        async with connect(database_url):
            pass
    await run_statement(database_url, f"DELETE FROM aerich WHERE version = '{version}'")


# --- tables without isolation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [IN_ONE_APP, ONLY_OURS], ids=["in one app", "alone"])
@pytest.mark.long
async def test_aerich_does_not_make_our_tables(empty_database_url: str, tmp_path: Path, settings: str) -> None:
    shop = Shop(tmp_path, empty_database_url, settings)

    printed = shop.run("-m", "aerich", "init-db", exit_code=1)

    assert "Run `memory-guild upgrade`" in printed
    assert await tables(empty_database_url) == []
    assert await upgrade(empty_database_url) == known_migrations()


@pytest.mark.parametrize("models", [MODELS, WITH_A_FOREIGN_KEY], ids=["alone", "with a foreign key to ours"])
@pytest.mark.long
async def test_an_app_beside_ours_gets_its_own_tables_only(
    empty_database_url: str, tmp_path: Path, models: str
) -> None:
    shop = Shop(tmp_path, empty_database_url, BESIDE_OURS, models)
    if "ForeignKey" in models:
        await upgrade(empty_database_url)

    shop.run("-m", "aerich", "--app", "shop", "init-db")

    (migration,) = (tmp_path / "migrations" / "shop").glob("0_*.py")
    assert "CREATE TABLE IF NOT EXISTS \"shop_order\"" in migration.read_text()
    assert "CREATE TABLE IF NOT EXISTS \"memory" not in migration.read_text()
    await upgrade(empty_database_url)
    assert {"aerich", *OURS, "shop_order"} <= set(await tables(empty_database_url))
    assert (await validate(empty_database_url)).differences == ()
    assert "No changes detected" in shop.run("-m", "aerich", "--app", "shop", "migrate", "--no-input")
    async with connect(empty_database_url):
        pass


GENERATE = """
import asyncio
from tortoise import Tortoise
from shop.settings import TORTOISE_ORM

async def main():
    await Tortoise.init(config=TORTOISE_ORM)
    try:
        await Tortoise.generate_schemas()
    finally:
        await Tortoise.close_connections()

asyncio.run(main())
"""


@pytest.mark.long
async def test_generate_schemas_does_not_make_our_tables(empty_database_url: str, tmp_path: Path) -> None:
    for settings, exit_code in ((ONLY_OURS, 1), (IN_ONE_APP, 1), (BESIDE_OURS, 0)):
        shop = Shop(tmp_path, empty_database_url, settings)
        assert ("Run `memory-guild upgrade`" in shop.run("-c", GENERATE, exit_code=exit_code)) == bool(exit_code)
        assert not set(OURS) & set(await tables(empty_database_url))
    assert "shop_order" in await tables(empty_database_url)


@pytest.mark.parametrize("table", ["memory_records", "data_sources"])
async def test_tables_from_elsewhere_are_refused_with_the_way_out(empty_database_url: str, table: str) -> None:
    """As an older version's `aerich init-db` left them, or as another application calls its own."""
    await run_statement(empty_database_url, f"CREATE TABLE {table} (id int)")

    for work in (upgrade(empty_database_url), connect(empty_database_url).__aenter__()):
        with pytest.raises(TablesExistError, match="memory-guild upgrade") as refused:
            await work
        assert refused.value.tables == [table]
    assert await tables(empty_database_url) == [table]
    finding = next(finding for finding in await doctor(empty_database_url) if finding.subject == "migrations")
    assert (finding.level, table in finding.detail) == ("broken", True)

    await run_statement(empty_database_url, f"CREATE SCHEMA aside; ALTER TABLE {table} SET SCHEMA aside")
    assert await upgrade(empty_database_url) == known_migrations()


# --- grants -----------------------------------------------------------------------------------------------------

SETUP = """
CREATE TABLE orders (id int PRIMARY KEY, item text);
CREATE TABLE "Odd name" (id int);
CREATE SCHEMA shop;
CREATE TABLE shop.notes (id int);
CREATE SEQUENCE numbers;
CREATE VIEW all_orders AS SELECT * FROM orders;
CREATE FUNCTION price() RETURNS int LANGUAGE sql AS 'SELECT 1';
REVOKE EXECUTE ON FUNCTION price() FROM PUBLIC;
"""
DENIED = {
    'SELECT "id" FROM "orders"': "GRANT SELECT ON orders TO memory_guild_app",
    'INSERT INTO "orders" ("id") VALUES (1)': "GRANT INSERT ON orders TO memory_guild_app",
    'INSERT INTO orders VALUES (2) RETURNING "id"': "GRANT SELECT, INSERT ON orders TO memory_guild_app",
    "INSERT INTO orders VALUES (1) ON CONFLICT (id) DO NOTHING": "GRANT SELECT, INSERT ON orders TO memory_guild_app",
    'UPDATE "orders" SET "item" = NULL WHERE "id" = 1': "GRANT SELECT, UPDATE ON orders TO memory_guild_app",
    "DELETE FROM orders": "GRANT DELETE ON orders TO memory_guild_app",
    "DELETE FROM orders WHERE id = 1": "GRANT SELECT, DELETE ON orders TO memory_guild_app",
    'SELECT * FROM "Odd name"': 'GRANT SELECT ON "Odd name" TO memory_guild_app',
    "SELECT nextval('numbers')": "GRANT USAGE ON SEQUENCE numbers TO memory_guild_app",
    "SELECT * FROM shop.notes": "GRANT USAGE ON SCHEMA shop TO memory_guild_app",
    "SELECT * FROM all_orders": "GRANT SELECT ON all_orders TO memory_guild_app",
    "SELECT price()": "GRANT EXECUTE ON FUNCTION price TO memory_guild_app",
}


async def test_the_error_names_the_grant_that_is_missing_and_the_grant_helps(database_url: str) -> None:
    await run_statement(database_url, SETUP)
    async with connect(database_url):
        for query, grant in DENIED.items():
            with pytest.raises(PermissionDeniedError) as refused:
                async with tenant_scope("acme") as scope:
                    await scope.transaction.execute_query(query)
            assert (refused.value.grant, grant in str(refused.value)) == (grant, True)
            await run_statement(database_url, grant)
            if "SCHEMA" not in grant:
                async with tenant_scope("acme") as scope:
                    await scope.transaction.execute_query(query)
            for object_ in ("orders", '"Odd name"', "all_orders"):
                await run_statement(database_url, f"REVOKE ALL ON {object_} FROM memory_guild_app")
        with pytest.raises(PermissionDeniedError, match="GRANT SELECT ON shop.notes TO memory_guild_app"):
            async with tenant_scope("acme") as scope:
                await scope.transaction.execute_query('SELECT * FROM "shop"."notes"')
        with pytest.raises(PermissionDeniedError, match="memory_guild_admin"):
            async with admin_scope("a test") as scope:
                await scope.transaction.execute_query("SELECT * FROM orders")


# --- the documented example -------------------------------------------------------------------------------------


@pytest.mark.long
async def test_the_documented_application_works_and_without_its_grants_says_so(
    empty_database_url: str, tmp_path: Path
) -> None:
    page = PAGE.read_text()
    shop = Shop(tmp_path, empty_database_url, "")
    files = dict(re.findall(r'^```\w+ title="([\w./]+)"\n(.*?)^```$', page, re.DOTALL | re.MULTILINE))
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    shown = re.findall(r"^```text\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    commands = re.findall(r"^\$ ((?:memory-guild|aerich|python) .*)$", page, re.MULTILINE)[:3]
    assert [command.split()[0] for command in commands] == ["memory-guild", "aerich", "python"]

    shop.run("-m", "memory_guild.cli", *commands[0].split()[1:])
    shop.run("-m", *commands[1].split())
    assert shown[1].strip() in shop.run(*commands[2].split()[1:], exit_code=1)
    await run_statement(empty_database_url, files["grants.sql"])
    assert shop.run(*commands[2].split()[1:]) == shown[0]
