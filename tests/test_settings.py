"""The settings: every variable, every URL, and a password that shows itself nowhere."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import pickle
import string
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
from asyncpg import connect_utils
from hypothesis import example, given
from hypothesis import strategies as st
from tortoise.context import TortoiseContext

from memory_guild import embedded, upgrade
from memory_guild import settings as settings_module
from memory_guild.database.engine import GuildClient
from memory_guild.errors import EmbeddedServerError, SettingsError
from memory_guild.models import MemoryRecord
from memory_guild.schema import validate
from memory_guild.settings import OWNER_ORM, TORTOISE_ORM, DatabaseUrl, Settings

URL = "postgresql://guild:secret@db.example:5433/memories?sslmode=verify-full"
PRINTABLE = [*string.printable.strip(), " ", "ü", "漢", "𝄞", "\u00a0"]


def password_of(url: DatabaseUrl) -> str | None:
    return None if url.password is None else url.password()


def asyncpg_arguments(url: DatabaseUrl) -> tuple[Any, Any]:
    """Where asyncpg would connect, and how, with the arguments that the engine passes."""
    addresses, parameters, _ = connect_utils._parse_connect_arguments(  # type: ignore[attr-defined]
        dsn=url.dsn,
        host=None,
        port=None,
        user=url.user,
        password=url.password,
        passfile=None,
        database=url.database,
        command_timeout=None,
        statement_cache_size=100,
        max_cached_statement_lifetime=300,
        max_cacheable_statement_size=1024,
        ssl=None,
        service=None,
        servicefile=None,
        direct_tls=None,
        server_settings=None,
        target_session_attrs=None,
        krbsrvname=None,
        gsslib=None,
    )
    return addresses, parameters


# --- URLs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("character", [character for character in PRINTABLE if character != "%"])
@pytest.mark.parametrize("frame", ["{}", "{}x", "x{}", "x{}y{}z"])
def test_password_may_hold_any_character_as_it_is(character: str, frame: str) -> None:
    password = frame.replace("{}", character)

    url = DatabaseUrl.parse(f"postgresql://guild:{password}@db.example:5433/memories?sslmode=require")

    assert password_of(url) == password
    assert (url.user, url.hosts, url.database, url.query) == ("guild", "db.example:5433", "memories", "sslmode=require")


@pytest.mark.parametrize("character", PRINTABLE)
def test_password_may_hold_any_character_percent_encoded(character: str) -> None:
    encoded = "".join(f"%{byte:02X}" for byte in character.encode())

    url = DatabaseUrl.parse(f"postgresql://guild:x{encoded}y{encoded.lower()}@db.example/memories")

    assert password_of(url) == f"x{character}y{character}"


@given(password=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), user=st.text("aü@:/?# %", min_size=1))
@example(password="@:/?#[]%&=+ ü\\", user="a@b")
@example(password="%2F%", user="%")
@example(password="p@h/d?host=evil&password=x", user="u")
def test_encoding_a_password_round_trips(password: str, user: str) -> None:
    url = DatabaseUrl.parse(f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@db.example:5433/memories")

    assert (password_of(url), url.user) == (password, user)
    assert (url.hosts, url.database, url.query) == ("db.example:5433", "memories", "")


@given(password=st.text(string.printable.replace("%", ""), min_size=1))
def test_any_printable_password_without_a_percent_sign_needs_no_encoding(password: str) -> None:
    url = DatabaseUrl.parse(f"postgresql://guild:{password}@db.example:5433/memories")

    assert (password_of(url), url.user, url.hosts) == (password, "guild", "db.example:5433")


PARSED: list[tuple[str, tuple[str | None, str | None, str, str | None, str]]] = [
    ("postgresql://", (None, None, "", None, "")),
    ("postgres://db.example", (None, None, "db.example", None, "")),
    ("postgresql://db.example/", (None, None, "db.example", None, "")),
    ("postgresql://guild@db.example", ("guild", None, "db.example", None, "")),
    ("postgresql://guild:@db.example", ("guild", None, "db.example", None, "")),
    ("postgresql://@db.example", (None, None, "db.example", None, "")),
    ("postgresql://:secret@db.example", (None, "secret", "db.example", None, "")),
    ("postgresql:///memories", (None, None, "", "memories", "")),
    ("postgresql://guild@/memories?host=/run/pg", ("guild", None, "", "memories", "host=/run/pg")),
    ("postgresql://guild@?host=/run/pg", ("guild", None, "", None, "host=/run/pg")),
    ("postgresql://a,b:5433,c/memories", (None, None, "a,b:5433,c", "memories", "")),
    ("postgresql://[::1]:5433/memories", (None, None, "[::1]:5433", "memories", "")),
    ("postgresql://g%40x@db.example/m%2Fe%20m", ("g@x", None, "db.example", "m/e m", "")),
    ("postgresql://guild@db.example/m?password=se%26c+ret", ("guild", "se&c ret", "db.example", "m", "")),
    ("postgresql://guild@h/m?password=one&sslmode=require", ("guild", "one", "h", "m", "sslmode=require")),
    ("postgresql://guild:first@h/m?sslmode=require&password=two", ("guild", "first", "h", "m", "sslmode=require")),
]


@pytest.mark.parametrize(("text", "expected"), PARSED, ids=[case[0] for case in PARSED])
def test_url_is_split(text: str, expected: tuple[str | None, str | None, str, str | None, str]) -> None:
    url = DatabaseUrl.parse(text)

    assert (url.user, password_of(url), url.hosts, url.database, url.query) == expected


ADDRESSES: list[tuple[str, list[Any]]] = [
    ("postgresql://u:p@db.example:5433/m", [("db.example", 5433)]),
    ("postgresql://u:p@db.example/m", [("db.example", 5432)]),
    ("postgresql://u:p@a,b:5433/m", [("a", 5432), ("b", 5433)]),
    ("postgresql://u:p@[::1]:5433/m", [("::1", 5433)]),
    ("postgresql://u:p@/m?host=/run/pg", ["/run/pg/.s.PGSQL.5432"]),
    ("postgresql://u:p@/m?host=/run/pg&port=5433", ["/run/pg/.s.PGSQL.5433"]),
    ("postgresql://u:p@/m?host=%2Frun%2Fp%20g", ["/run/p g/.s.PGSQL.5432"]),
    ("postgresql://u:p@%2Frun%2Fpg/m", ["/run/pg/.s.PGSQL.5432"]),
    ("postgresql://u:p@/m?host=a,b&port=1,2", [("a", 1), ("b", 2)]),
]


@pytest.mark.parametrize(("text", "addresses"), ADDRESSES, ids=[case[0] for case in ADDRESSES])
def test_driver_connects_where_the_url_says(text: str, addresses: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE"):
        monkeypatch.delenv(name, raising=False)

    found, parameters = asyncpg_arguments(DatabaseUrl.parse(text))

    assert found == addresses
    assert (parameters.user, parameters.password(), parameters.database) == ("u", "p", "m")


@pytest.mark.parametrize(
    ("query", "mode"), [("", "prefer"), ("?sslmode=disable", "disable"), ("?sslmode=require", "require")]
)
def test_driver_is_told_the_sslmode(query: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    _, parameters = asyncpg_arguments(DatabaseUrl.parse(f"postgresql://u:p@db.example/m{query}"))

    assert parameters.sslmode.name == mode


GARBAGE = [
    "secret",
    "mysql://guild:secret@db.example/m",
    "postgresql:/guild:secret@db.example/m",
    "postgresql+asyncpg://guild:secret@db.example/m",
    "Postgresql://guild:secret@db.example/m",
    " postgresql://guild:secret@db.example/m",
    "host=db.example password=secret",
    "://guild:secret@db.example",
]


@pytest.mark.parametrize("text", GARBAGE)
def test_garbage_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        DatabaseUrl.parse(text)

    assert str(caught.value) == (
        "MEMORY_GUILD_DATABASE_URL: must look like postgresql://user:password@host:5432/database?sslmode=require"
    )
    assert caught.value.setting == "MEMORY_GUILD_DATABASE_URL"
    assert isinstance(caught.value, ValueError)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@given(text=st.text())
def test_any_other_text_is_a_url_or_a_settings_error(text: str) -> None:
    for candidate in (text, f"postgresql://{text}", f"postgresql://u:{text}"):
        with contextlib.suppress(SettingsError):
            assert DatabaseUrl.parse(candidate).dsn.startswith("postgresql://")


# --- the password shows itself nowhere --------------------------------------------------------------------------

SECRETS = [
    URL,
    "postgresql://guild:s:e@cret/secret?#@db.example/m",
    "postgresql://guild@db.example/m?password=secret",
    "postgresql://guild@db.example/m?sslmode=require&sslpassword=secret",
]


@pytest.mark.parametrize("text", SECRETS)
def test_password_is_in_no_text_of_the_settings(text: str) -> None:
    url = DatabaseUrl.parse(text)
    settings = Settings(database_url=url)
    config = settings.tortoise_config()

    for shown in (url, settings, config, url.password, [url.password]):
        for text in (str(shown), repr(shown), f"{shown}", f"{shown!r:>80}"):
            assert "secret" not in text
            assert "cret/" not in text
    assert "guild" in str(url)
    assert "guild" in repr(config)


def test_password_shows_asterisks() -> None:
    assert repr(DatabaseUrl.parse(URL).password) == "'**********'"


def test_configuration_can_be_copied_and_keeps_the_password_to_itself() -> None:
    config = copy.deepcopy(Settings(database_url=DatabaseUrl.parse(URL)).tortoise_config())

    settings = config["connections"]["default"]["credentials"]["settings"]
    assert settings.database_url.password() == "secret"
    assert "secret" not in repr(config)


def test_dsn_that_the_driver_sees_has_no_password() -> None:
    for text in SECRETS[:3]:
        assert "secret" not in DatabaseUrl.parse(text).dsn


# --- the environment --------------------------------------------------------------------------------------------

READ: list[tuple[str, str, str, Any]] = [
    ("SCHEMA", "guild", "schema", "guild"),
    ("SCHEMA", 'Guild Of "Memory"; -- ü', "schema", 'Guild Of "Memory"; -- ü'),
    ("SCHEMA", "x" * 63, "schema", "x" * 63),
    ("SCHEMA", "", "schema", "public"),
    ("POOL_MIN", "0", "pool_min", 0),
    ("POOL_MIN", " 7 ", "pool_min", 7),
    ("POOL_MAX", "1", "pool_max", 1),
    ("POOL_MAX", "500", "pool_max", 500),
    ("APPLICATION_NAME", "librarian ü", "application_name", "librarian ü"),
    ("APPLICATION_NAME", " ", "application_name", "memory-guild"),
    ("CONNECT_TIMEOUT_SECONDS", "0.5", "connect_timeout_seconds", 0.5),
    ("CONNECT_TIMEOUT_SECONDS", "30", "connect_timeout_seconds", 30.0),
    ("STATEMENT_TIMEOUT_SECONDS", "0", "statement_timeout_seconds", 0.0),
    ("STATEMENT_TIMEOUT_SECONDS", "1.25", "statement_timeout_seconds", 1.25),
    ("SCOPE_IDLE_TIMEOUT_SECONDS", "0", "scope_idle_timeout_seconds", 0.0),
    ("POOLER", "1", "pooler", True),
    ("POOLER", "0", "pooler", False),
    ("EMBEDDER", "", "embedder", "none"),
    ("EMBEDDER", "none", "embedder", "none"),
    ("EMBEDDER", " static ", "embedder", "static"),
    ("EMBEDDER", "minilm", "embedder", "minilm"),
    ("EMBEDDER", "openai:text-embedding-3-small", "embedder", "openai:text-embedding-3-small"),
    ("EMBEDDER", "openai:nomic-embed-text:v1.5", "embedder", "openai:nomic-embed-text:v1.5"),
    ("EMBEDDER", "openai:@cf/baai/bge-m3?dimensions=512", "embedder", "openai:@cf/baai/bge-m3?dimensions=512"),
    ("EMBEDDER", "sentence-transformers:/srv/my model", "embedder", "sentence-transformers:/srv/my model"),
    ("EMBEDDER", "openai:" + "x" * 93, "embedder", "openai:" + "x" * 93),
    ("EMBEDDED_FOLDER", "/srv/pg", "embedded_folder", Path("/srv/pg")),
    ("EMBEDDED_VERSION", "16", "embedded_version", 16),
    ("EMBEDDED_VERSION", "0", "embedded_version", None),
    ("EMBEDDED_VERSION", "", "embedded_version", None),
]


@pytest.mark.parametrize(("name", "text", "attribute", "expected"), READ)
def test_variable_is_read(name: str, text: str, attribute: str, expected: Any) -> None:
    settings = Settings.from_environment({f"MEMORY_GUILD_{name}": text})

    assert getattr(settings, attribute) == expected


NOT_A_NAME = "must be a schema's name of at most 63 bytes that does not begin with pg_"
SECONDS = "must be a number of seconds, such as 30 or 0.5"
NO_EMBEDDER = "must be none, static, minilm, openai:MODEL or sentence-transformers:MODEL"
BAD: list[tuple[str, str, str]] = [
    ("EMBEDDER", "Static", NO_EMBEDDER),
    ("EMBEDDER", "static:256", NO_EMBEDDER),
    ("EMBEDDER", "openai", NO_EMBEDDER),
    ("EMBEDDER", "openai:", NO_EMBEDDER),
    ("EMBEDDER", "openai:x?dimensions=0", NO_EMBEDDER),
    ("EMBEDDER", "openai:x?dimensions=many", NO_EMBEDDER),
    ("EMBEDDER", "openai:x\ny", NO_EMBEDDER),
    ("EMBEDDER", "sentence-transformers:", NO_EMBEDDER),
    ("EMBEDDER", "text-embedding-3-small", NO_EMBEDDER),
    (
        "EMBEDDER",
        "openai:" + "x" * 94,
        "must have at most 100 characters, because vectors are kept under this name",
    ),
    ("SCHEMA", "x" * 64, NOT_A_NAME),
    ("SCHEMA", "ü" * 32, NOT_A_NAME),
    ("SCHEMA", "pg_guild", NOT_A_NAME),
    ("SCHEMA", "a\x00b", NOT_A_NAME),
    ("SCHEMA", "a\udcff", "is not UTF-8"),
    ("APPLICATION_NAME", "a\udcff", "is not UTF-8"),
    ("DATABASE_URL", "postgresql://u:\udcff@h/d", "is not UTF-8"),
    ("POOL_MIN", "-1", "must be a whole number, 0 or more"),
    ("POOL_MIN", "1.5", "must be a whole number, 0 or more"),
    ("POOL_MIN", "ten", "must be a whole number, 0 or more"),
    ("POOL_MIN", "11", "is 11, more than MEMORY_GUILD_POOL_MAX (10)"),
    ("POOL_MAX", "0", "must be a whole number, 1 or more"),
    ("POOL_MAX", "1e3", "must be a whole number, 1 or more"),
    ("POOL_MAX", "²", "must be a whole number, 1 or more"),
    ("CONNECT_TIMEOUT_SECONDS", "soon", SECONDS),
    ("CONNECT_TIMEOUT_SECONDS", "-1", SECONDS),
    ("CONNECT_TIMEOUT_SECONDS", "inf", SECONDS),
    ("CONNECT_TIMEOUT_SECONDS", "1s", SECONDS),
    ("STATEMENT_TIMEOUT_SECONDS", "nan", SECONDS),
    ("STATEMENT_TIMEOUT_SECONDS", ".5", SECONDS),
    ("SCOPE_IDLE_TIMEOUT_SECONDS", "a minute", SECONDS),
    ("POOLER", "yes", "must be 1 for yes, or 0 for no"),
    ("EMBEDDED_VERSION", "latest", "must be a whole number, 0 or more"),
]


@pytest.mark.parametrize(("name", "text", "reason"), BAD, ids=ascii)
def test_bad_variable_is_refused(name: str, text: str, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({f"MEMORY_GUILD_{name}": text})

    assert (caught.value.setting, caught.value.reason) == (f"MEMORY_GUILD_{name}", reason)
    assert str(caught.value) == f"MEMORY_GUILD_{name}: {reason}"


def test_content_limit_is_read_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_module.content_max_bytes() == 1_000_000
    monkeypatch.setenv("MEMORY_GUILD_CONTENT_MAX_BYTES", "5")
    assert settings_module.content_max_bytes() == 5
    for text in ("0", "-1", "1 MB"):
        monkeypatch.setenv("MEMORY_GUILD_CONTENT_MAX_BYTES", text)
        with pytest.raises(SettingsError, match=r"^MEMORY_GUILD_CONTENT_MAX_BYTES: must be a whole number, 1 or more$"):
            settings_module.content_max_bytes()
    with pytest.raises(SettingsError):
        MemoryRecord._meta.fields_map["content_text"].to_db_value("x", MemoryRecord)


def test_a_content_limit_that_postgresql_cannot_keep_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_CONTENT_MAX_BYTES", "1000000000")
    assert settings_module.content_max_bytes() == 1_000_000_000
    monkeypatch.setenv("MEMORY_GUILD_CONTENT_MAX_BYTES", "1000000001")
    with pytest.raises(SettingsError, match="less than 2\\*\\*30 bytes"):
        settings_module.content_max_bytes()


@pytest.mark.parametrize("schema", ["$user", "information_schema", "", "pg_guild", "x" * 64])
async def test_no_way_of_naming_a_schema_takes_what_is_none(schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="MEMORY_GUILD_SCHEMA: must"):
        Settings(schema=schema)
    for work in (upgrade("postgresql://nobody@/nowhere", schema=schema), validate(schema=schema)):
        with pytest.raises(SettingsError, match="MEMORY_GUILD_SCHEMA: must"):
            await work
    if schema:
        with pytest.raises(SettingsError, match="MEMORY_GUILD_SCHEMA: must"):
            Settings.from_environment({"MEMORY_GUILD_SCHEMA": schema})
    assert Settings(schema="$users").schema == "$users"


@pytest.mark.parametrize("name", ["", "Static", "openai:", "openai:\ud800", "static\0", None, 7])
def test_no_way_of_naming_an_embedder_takes_what_is_none(name: Any) -> None:
    with pytest.raises(SettingsError, match=f"^MEMORY_GUILD_EMBEDDER: {NO_EMBEDDER}$"):
        Settings(embedder=name)


TEMPLATES = ["{content_text}", "{agent_id} {created_at} {source_type}: {content_text}", "{{as JSON}} {content_text}"]
NO_TEMPLATE = "must contain {content_text}; {agent_id}, {created_at} and {source_type} are the other fields"


@pytest.mark.parametrize("template", TEMPLATES)
def test_text_for_the_embedder_is_read(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_module.embedder_text() == "{agent_id} {created_at}: {content_text}"
    monkeypatch.setenv("MEMORY_GUILD_EMBEDDER_TEXT", template)
    assert settings_module.embedder_text() == template


@pytest.mark.parametrize(
    "template",
    [
        "passage:",
        "{agent_id}",
        "{content_text",
        "{content_text}}",
        "{} {content_text}",
        "{0} {content_text}",
        "{tenant_id} {content_text}",
        "{content_text!r}",
        "{content_text:>{agent_id}}",
        "{content_text} {agent_id.__class__}",
        "{content_text} {agent_id[0]}",
    ],
)
def test_bad_text_for_the_embedder_is_refused(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_EMBEDDER_TEXT", template)

    with pytest.raises(SettingsError) as caught:
        settings_module.embedder_text()

    assert (caught.value.setting, caught.value.reason) == ("MEMORY_GUILD_EMBEDDER_TEXT", NO_TEMPLATE)


def test_a_folder_of_nobody_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="a user who does not exist"):
        Settings.from_environment({"MEMORY_GUILD_EMBEDDED_FOLDER": "~nosuchuser/data"})
    with pytest.raises(EmbeddedServerError, match="no such user"):
        embedded.status(Path("~nosuchuser/data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    given = {"MEMORY_GUILD_EMBEDDED_FOLDER": "~/data"}
    assert Settings.from_environment(given).embedded_folder == tmp_path / "data"


def test_every_setting_has_a_variable_of_its_name() -> None:
    names = [f"MEMORY_GUILD_{field.name.upper()}" for field in dataclasses.fields(Settings)]

    assert [variable.name for variable in settings_module.VARIABLES] == [
        *names,
        "MEMORY_GUILD_CONTENT_MAX_BYTES",
        "MEMORY_GUILD_METADATA_MAX_BYTES",
        "MEMORY_GUILD_EMBEDDER_TEXT",
        "MEMORY_GUILD_SOURCES",
    ]


def test_without_variables_there_are_defaults() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings().database_url is None
    assert (Settings().schema, Settings().pool_min, Settings().pool_max) == ("public", 1, 10)


def test_variables_without_the_prefix_are_not_read() -> None:
    assert Settings.from_environment({"DATABASE_URL": URL, "SCHEMA": "x", "POOL_MAX": "x"}) == Settings()


# --- TORTOISE_ORM -----------------------------------------------------------------------------------------------


async def settings_of(configuration: dict[str, Any]) -> Settings:
    """What Tortoise is set up with; nothing is connected."""
    async with TortoiseContext() as context:
        await context.init(config=configuration)
        return cast("GuildClient", context.connections.get("default")).settings


@pytest.mark.parametrize("configuration", [TORTOISE_ORM, OWNER_ORM], ids=["agents", "owner"])
async def test_the_environment_is_read_when_tortoise_uses_it(
    configuration: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await settings_of(configuration)).database_url is None
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", URL)  # as load_dotenv() does, long after the import
    monkeypatch.setenv("MEMORY_GUILD_SCHEMA", "guild")
    found = await settings_of(configuration)
    assert (str(found.database_url), found.schema) == (URL.replace(":secret", ""), "guild")
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "0")
    with pytest.raises(SettingsError):
        await settings_of(configuration)


MISSPELT = {
    "MEMORY_GUILD_DATABSE_URL": "MEMORY_GUILD_DATABASE_URL",
    "MEMORYGUILD_DATABASE_URL": "MEMORY_GUILD_DATABASE_URL",
    "memory_guild_database_url": "MEMORY_GUILD_DATABASE_URL",
    "MEMORY_GUILD_DATABASE_URI": "MEMORY_GUILD_DATABASE_URL",
    "MEMORY_GUILD_POOL_MAXI": "MEMORY_GUILD_POOL_MAX",
    "MEMORY_GUILD_SHEMA": "MEMORY_GUILD_SCHEMA",
}


@pytest.mark.parametrize(("name", "meant"), MISSPELT.items())
def test_a_misspelt_variable_is_an_error_that_says_what_was_meant(name: str, meant: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name}: is no setting; did you mean {meant}\?$"):
        Settings.from_environment({name: "x"})


def test_a_variable_that_is_no_setting_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    environment = {"MEMORY_GUILD_DEPARTMENT_OF_BIRDS": "x", "MEMORY_GUILD_TEST_DATABASE_URL": "x", "MEMORY": "x"}
    assert Settings.from_environment(environment) == Settings.from_environment(environment) == Settings()
    assert [record.getMessage() for record in caplog.records] == [
        "MEMORY_GUILD_DEPARTMENT_OF_BIRDS is no setting of memory-guild, so it has no effect"
    ]


def test_a_variable_beside_the_setting_that_it_resembles_is_no_error() -> None:
    Settings.from_environment({"MEMORY_GUILD_DATABASE_URL": URL, "MEMORY_GUILD_DATABASE_URL2": "x"})


def test_tortoise_orm_is_what_tortoise_and_aerich_expect() -> None:
    config = settings_module.TORTOISE_ORM

    assert config["connections"]["default"]["engine"] == "memory_guild.database.engine"
    assert config["apps"] == {
        "models": {"models": ["memory_guild.models", "aerich.models"], "default_connection": "default"},
        "search": {"models": ["memory_guild.search.tables"], "default_connection": "default"},
        "groups": {"models": ["memory_guild.schema.tables"], "default_connection": "default"},
    }
    assert (config["use_tz"], config["timezone"]) == (True, "UTC")


def test_other_names_are_missing() -> None:
    with pytest.raises(AttributeError, match="TORTOISE"):
        settings_module.TORTOISE  # type: ignore[attr-defined]  # noqa: B018


NO_NETWORK = """
import socket, sys

def refuse(*_):
    raise SystemExit("a connection was opened")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import memory_guild.settings, memory_guild.models, memory_guild.database.connecting, memory_guild.serializers
import memory_guild.schema.migrating
config = memory_guild.settings.TORTOISE_ORM
assert "secret" not in repr(config)
print(len(config["connections"]))
"""


@pytest.mark.parametrize("url", ["", URL])
def test_importing_and_building_connect_to_nothing(url: str, tmp_path: Path) -> None:
    environment = {"MEMORY_GUILD_DATABASE_URL": url, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}

    run = subprocess.run(
        [sys.executable, "-c", NO_NETWORK], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (run.stdout, run.stderr, run.returncode) == ("1\n", "", 0)
    assert list(tmp_path.iterdir()) == []


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().schema = "x"  # type: ignore[misc]


def test_settings_can_be_sent_to_another_process() -> None:
    settings = Settings(database_url=DatabaseUrl.parse(URL))

    again = pickle.loads(pickle.dumps(settings))

    assert again.database_url.password() == "secret"
    assert "secret" not in repr(again)
