"""Databases for tests: made, named in URLs, and dropped again. Each function has an event loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg

_Result = TypeVar("_Result")


def completed(work: Coroutine[Any, Any, _Result]) -> _Result:
    """The result of a coroutine, run to its end in another thread: the caller's may run an event loop already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def with_database(url: str, name: str) -> str:
    """The URL, for another database of the same server."""
    before, _, query = url.partition("?")
    scheme, _, place = before.partition("://")
    return f"{scheme}://{place.partition('/')[0]}/{name}{'?' + query if query else ''}"


async def run_statement(url: str, statement: str) -> None:
    """One statement on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def create_database(server_url: str, options: str = "") -> str:
    """The name of a new database."""
    name = f"mg_test_{uuid4().hex[:12]}"
    await run_statement(server_url, f'CREATE DATABASE "{name}" {options}')
    return name


async def drop_database(server_url: str, name: str) -> None:
    """Drop a database, and whoever is connected to it."""
    await run_statement(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def new_database(server_url: str, options: str = "") -> Iterator[str]:
    """The URL of a database of one's own, gone after the block."""
    name = completed(create_database(server_url, options))
    try:
        yield with_database(server_url, name)
    finally:
        completed(drop_database(server_url, name))


@contextmanager
def copied_database(server_url: str, template: str) -> Iterator[str]:
    """The URL of a copy of the database with the name ``template``, gone after the block."""
    with new_database(server_url, f'TEMPLATE "{template}"') as url:
        yield url


def name_of(url: str) -> str:
    """The name of the database that a URL names."""
    return url.partition("?")[0].rpartition("/")[2]
