"""A database that is not in UTF-8 is refused before anything is stored: later an emoji would abort whole scopes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tortoise import Tortoise

from memory_guild.database.connecting import connect, settings_for
from memory_guild.database.engine import client
from memory_guild.errors import UnsupportedEncodingError
from memory_guild.schema import doctor, upgrade, validate
from memory_guild.testing.databases import new_database


@pytest.fixture(params=["LATIN1", "WIN1252", "EUC_JP", "SQL_ASCII"])
def other_database(server_url: str, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The URL and the encoding of a database that is not in UTF-8."""
    options = f"TEMPLATE template0 ENCODING '{request.param}' LOCALE_PROVIDER libc LOCALE 'C'"
    with new_database(server_url, options) as url:
        yield url, request.param


async def test_it_is_refused_with_the_reason(other_database: tuple[str, str]) -> None:
    url, encoding = other_database
    for work in (upgrade(url), validate(url)):
        with pytest.raises(UnsupportedEncodingError, match=f"encoding is {encoding}, .*ENCODING 'UTF8'") as refused:
            await work
        assert refused.value.encoding == encoding
    for check_schema in (True, False):
        with pytest.raises(UnsupportedEncodingError):
            async with connect(url, check_schema=check_schema):
                pytest.fail("connected")


async def test_tortoise_alone_is_refused_too(other_database: tuple[str, str]) -> None:
    url, _ = other_database
    await Tortoise.init(config=settings_for(url).tortoise_config())
    with pytest.raises(UnsupportedEncodingError):
        await client().execute_query("SELECT 1")
    await Tortoise.close_connections()


async def test_the_doctor_says_what_is_wrong(other_database: tuple[str, str]) -> None:
    url, encoding = other_database
    (finding,) = await doctor(url)
    assert (finding.level, finding.subject) == ("broken", "encoding")
    assert encoding in finding.detail


async def test_utf_8_is_fine_with_any_locale(server_url: str) -> None:
    with new_database(server_url, "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER libc LOCALE 'C'") as url:
        assert await upgrade(url)
