"""Logins with real passwords, at a server that asks for them: the strange ones work, and none is ever shown."""

from __future__ import annotations

import logging
import secrets
import string
import traceback
from collections.abc import Iterator
from urllib.parse import quote

import asyncpg
import pytest
from tortoise import Tortoise

from memory_guild import settings
from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.errors import AuthenticationError
from memory_guild.models import MemoryRecord
from memory_guild.testing.servers import private_server, server_folder

pytestmark = pytest.mark.usefixtures("below_the_scopes")

RULES = "local all postgres trust\nlocal all all scram-sha-256\n"


@pytest.fixture(scope="module")
def password_server_url() -> Iterator[str]:
    """A private server that asks everybody but ``postgres`` for a password, whatever the server under test does."""
    with server_folder() as folder:
        rules = folder / "rules.conf"
        rules.write_text(RULES)
        rules.chmod(0o644)
        with private_server({"hba_file": str(rules)}) as url:
            yield url


async def role_with(password: str, server_url: str) -> str:
    """A new role's name."""
    connection = await asyncpg.connect(server_url)
    name = f"guild_{secrets.token_hex(4)}"
    statement = await connection.fetchval(
        "SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)", name, password
    )
    await connection.execute(statement)
    await connection.close()
    return name


def url_for(server_url: str, user: str, password: str) -> str:
    return f"postgresql://{user}:{password}@{server_url.rpartition('@')[2]}"


NASTY = [
    "@:/?#[]%&=+ ü\\",
    string.punctuation,
    "postgresql://u:p@h/d?host=/tmp&password=x",
    "%40%2F%25",
    " leading and trailing ",
    "漢字 𝄞 é",
    "'\"; DROP ROLE postgres; --",
]


@pytest.mark.parametrize("password", NASTY)
async def test_encoded_password_logs_in(password: str, password_server_url: str) -> None:
    user = await role_with(password, password_server_url)

    async with connect(url_for(password_server_url, user, quote(password, safe="")), check_schema=False):
        (row,) = await client().execute_query_dict("SELECT current_user")
    assert row["current_user"] == user


@pytest.mark.parametrize("password", [password for password in NASTY if "%" not in password])
async def test_password_as_it_is_logs_in(password: str, password_server_url: str) -> None:
    user = await role_with(password, password_server_url)

    async with connect(url_for(password_server_url, user, password), check_schema=False):
        (row,) = await client().execute_query_dict("SELECT current_user")
    assert row["current_user"] == user


async def test_password_in_the_query_logs_in(password_server_url: str) -> None:
    user = await role_with("p&q r", password_server_url)
    url = password_server_url.replace("postgres@", f"{user}@") + "&password=p%26q+r"

    async with connect(url, check_schema=False):
        (row,) = await client().execute_query_dict("SELECT current_user")
    assert row["current_user"] == user


async def test_wrong_and_missing_passwords_are_refused(
    password_server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    user = await role_with("right", password_server_url)
    at = password_server_url.rpartition("@")[2]

    for url in (url_for(password_server_url, user, "swordfish"), f"postgresql://{user}@{at}", url_for(at, user, "")):
        with pytest.raises(AuthenticationError) as caught:
            async with connect(url, check_schema=False):
                pass
        assert str(caught.value) == (
            f"postgresql://{user}@{at} refused the login; check user and password, and pg_hba.conf"
        )
        assert "swordfish" not in "".join(traceback.format_exception(caught.value))


async def test_password_is_in_no_log_and_no_traceback(
    password_server_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    user = await role_with("swordfish", password_server_url)
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", url_for(password_server_url, user, "swordfish"))

    async with connect(check_schema=False):
        await client().execute_query("SELECT 1")
        with pytest.raises(Exception, match="does not exist") as caught:
            await MemoryRecord.all().count()
    shown = "".join(traceback.format_exception(caught.value))
    await Tortoise.init(config=settings.TORTOISE_ORM)
    await Tortoise.get_connection("default").execute_query("SELECT 1")
    await Tortoise.close_connections()
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", url_for(password_server_url, user, "swordfish%21"))
    with pytest.raises(AuthenticationError) as refused:
        async with connect(check_schema=False):
            pass
    shown += "".join(traceback.TracebackException.from_exception(refused.value, capture_locals=True).format())

    assert any("SELECT 1" in record.getMessage() for record in caplog.records)
    assert "swordfish" not in caplog.text
    assert "swordfish" not in shown
