"""The server, a database migrated once, and a fresh copy of it for every test that asks for one.

The server is the embedded one in a private temporary folder, or the one that ``MEMORY_GUILD_TEST_DATABASE_URL`` names
(its login must be a superuser: the tests create databases and roles). ``MEMORY_GUILD_TEST_EMBEDDED_VERSION`` chooses
16 or 18 for the embedded one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tortoise import Model
from tortoise.queryset import QuerySet

from memory_guild.database import scope as scopes
from memory_guild.database.connecting import connect
from memory_guild.database.engine import GuildClient, GuildTransaction
from memory_guild.database.executor import GuildExecutor
from memory_guild.database.scope import TenantManager, surrounding_scope
from memory_guild.schema.migrating import upgrade
from memory_guild.testing.databases import name_of
from memory_guild.testing.servers import server
from tests import citus
from tests.databases import (
    SpareDatabases,
    copied_database,
    new_database,
    run_statement,
    spare_databases_like,
    spare_databases_prepared,
)

pytest_plugins = ["tests.tenancy.plugin"]

ONCE_IS_ENOUGH = (
    "applications/",
    "cli/",
    "demo/",
    "embedded/",
    "examples/",
    "memories/test_screening.py",
    "migrations/test_aerich.py",
    "migrations/test_applications.py",
    "policies/test_decisions.py",
    "policies/test_kit.py",
    "policies/test_opa.py",
    "policies/test_projection.py",
    "policies/test_rego.py",
    "search/embedders/",
    "search/vectors/",
    "tenancy/test_injection.py",
    "testing/",
    "transfer/",
    "test_benchmarks.py",
    "test_docs.py",
    "test_error_table.py",
    "test_odd_arguments.py",
    "test_package.py",
    "test_serializers.py",
    "test_settings.py",
    "test_tools.py",
    "test_wheel.py",
)
"""What these test is the same on every server, so they are marked ``any_server``."""

NEED_ALL_EXTRAS = (
    "test_benchmarks.py",
    "test_chroma.py",
    "test_embed.py",
    "test_milvus.py",
    "test_minilm.py",
    "test_opa.py",
    "test_openai.py",
    "test_pinecone.py",
    "test_qdrant.py",
    "test_redacting.py",
    "test_servers.py",
    "test_static.py",
    "test_store_failures.py",
    "test_sync_qdrant.py",
    "test_traverse_properties.py",
    "test_weaviate.py",
)
"""They import what only the extra ``dev`` installs, so they are part of the long run."""


LONG_AS_A_WHOLE = (
    "applications/",
    "cli/",
    "demo/",
    "embedded/",
    "policies/test_enforcing.py",
    "policies/test_kit.py",
    "policies/test_rego.py",
    "sources/",
)
"""Each test is short, and there are many: the README's test command takes less than five minutes without them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that runs everything."""
    parser.addoption("--long", action="store_true", help="run the long tests too")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without ``--long``, do not even import what needs all extras."""
    return True if collection_path.name in NEED_ALL_EXTRAS and not config.getoption("--long") else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what need not run on every server, and leave out what is long, or begin with the files where that is."""
    folder = Path(__file__).parent
    for item in items:
        if item.path.relative_to(folder).as_posix().startswith(ONCE_IS_ENOUGH) or _never_asks_the_named_server(item):
            item.add_marker(pytest.mark.any_server)
        if item.path.name in NEED_ALL_EXTRAS or item.path.relative_to(folder).as_posix().startswith(LONG_AS_A_WHOLE):
            item.add_marker(pytest.mark.long)
    if citus.URL:
        items[:] = citus.choose(items)
    if not config.getoption("--long"):
        left_out = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    files_of_long_tests = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in files_of_long_tests)  # a worker that begins one last works on alone


def _never_asks_the_named_server(item: pytest.Item) -> bool:
    """Whether a server is named, and this test asks for none, or starts an embedded one of its own all the same."""
    fixtures = item.fixturenames if isinstance(item, pytest.Function) else ()
    return "MEMORY_GUILD_TEST_DATABASE_URL" in os.environ and "server_url" not in fixtures


HAS_VECTORS = """
SELECT count(*) > 0 FROM pg_available_extension_versions
WHERE name = 'vector' AND string_to_array(version, '.')::int[] >= '{0,7,0}'
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's own reaches a test."""
    for name in os.environ:
        if name.startswith("MEMORY_GUILD_") and not name.startswith("MEMORY_GUILD_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A superuser's URL of the server under test, for its maintenance database."""
    if citus.URL:
        with pytest.MonkeyPatch.context() as patch:
            citus.obey_urls(patch)
            citus.name_errors(patch)
            yield citus.URL
        return
    with server() as url:
        yield url


@pytest.fixture(scope="session")
def template(server_url: str) -> Iterator[str]:
    """The name of a database that the real migrations have built, once for the whole run."""
    if citus.URL:
        yield "each schema is migrated"
        return
    with new_database(server_url) as url:
        asyncio.run(upgrade(url))
        yield name_of(url)


@pytest.fixture(scope="session")
def spare_databases(server_url: str, template: str) -> Iterator[SpareDatabases | citus.SpareSchemas]:
    """Copies of it that tests use one after the other."""
    with spare_databases_like(server_url, template) as spare:
        yield spare


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    """A database without a table."""
    with new_database(server_url) as url:
        yield url


@pytest.fixture
async def database_url(spare_databases: SpareDatabases | citus.SpareSchemas) -> AsyncIterator[str]:
    """A migrated database that is empty and nobody else's, reached as a superuser."""
    url = await spare_databases.take()
    yield url
    await spare_databases.give_back(url)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A plain asyncpg connection to the test's database."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def below_the_scopes() -> Iterator[None]:
    """Outside scopes, let the models work on the pool's own login: for tests of the tables underneath."""
    scoped_rows, require_scope = TenantManager.get_queryset, scopes.require_scope

    def rows(manager: TenantManager) -> QuerySet[Any]:
        return scoped_rows(manager) if surrounding_scope() else manager.unscoped()

    def require_scope_inside(model: type[Model]) -> None:
        if surrounding_scope():
            require_scope(model)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TenantManager, "get_queryset", rows)
        patch.setattr(scopes, "require_scope", require_scope_inside)
        for kind in (GuildClient, GuildTransaction):
            patch.setattr(kind, "executor_class", GuildExecutor)
        yield


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[str]:
    """Tortoise, connected to the test's database as a superuser; tenants' data needs a scope."""
    async with connect(database_url, check_schema=False):  # the checks take longer than most tests
        yield database_url


@pytest.fixture
def tables(database: str, below_the_scopes: None) -> str:
    """The same, with the models let loose on the tables, as if there were no tenants."""
    return database


@pytest.fixture(scope="session")
def verbs_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database for the tests of the verbs."""
    with copied_database(server_url, template) as url:
        yield url


@pytest.fixture
async def superuser(verbs_database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A plain connection to it, past the package; there is no memory yet."""
    connection = await asyncpg.connect(verbs_database_url)
    await connection.execute("DELETE FROM memory_records")
    yield connection
    await connection.close()


@pytest.fixture
async def shared_database(verbs_database_url: str, superuser: asyncpg.Connection[asyncpg.Record]) -> AsyncIterator[str]:
    """Tortoise, connected to it as a superuser."""
    async with connect(verbs_database_url, check_schema=False):
        yield verbs_database_url


@pytest.fixture(scope="session")
def has_vectors(server_url: str) -> bool:
    """Whether the server under test can install pgvector 0.7 or newer."""

    async def ask() -> bool:
        connection = await asyncpg.connect(server_url)
        try:
            return bool(await connection.fetchval(HAS_VECTORS))
        finally:
            await connection.close()

    return asyncio.run(ask())


CLEAR = ";".join(
    f"DELETE FROM {table}"
    for table in (
        *("memory_records", "memory_words", "memory_word_counts", "memory_vectors", "memory_own_vectors"),
        *("memory_vector_models", "memory_vector_indexes", "memory_vector_outbox", "memory_access_policies"),
        "data_sources",
    )
)
"""Some tests work past the triggers, so no table is sure to be empty when the memories are gone."""


@pytest.fixture(scope="session")
def _search_databases(
    server_url: str, template: str, has_vectors: bool
) -> Iterator[SpareDatabases | citus.SpareSchemas]:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    with spare_databases_prepared(server_url, template, partial(upgrade, search=True)) as spare:
        yield spare


@pytest.fixture
async def search_url(_search_databases: SpareDatabases | citus.SpareSchemas) -> AsyncIterator[str]:
    """An empty database with the search installed, reached as a superuser."""
    url = await _search_databases.take()
    yield url
    await run_statement(url, CLEAR)
    await _search_databases.give_back(url)
