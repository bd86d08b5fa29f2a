"""The application under real servers, and in the test clients of Starlette and FastAPI."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect as websocket

ROOT = Path(__file__).parents[2]
APP = "tests.applications.app:app"
SERVERS = {
    "uvicorn": ["uvicorn", APP, "--log-level", "warning", "--port"],
    "hypercorn": ["hypercorn", APP, "--log-level", "warning", "--bind"],
}
STARTS = ["connect", "tortoise"]


@asynccontextmanager
async def served(server: str, start: str, database_url: str) -> AsyncIterator[str]:
    """The application, running; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", *SERVERS[server], str(port) if server == "uvicorn" else address]
    environment = os.environ | {"START": start, "MEMORY_GUILD_DATABASE_URL": database_url, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)  # noqa: ASYNC220 - it only starts
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}") as client:
            while True:
                assert process.poll() is None, "the server ended"
                try:
                    await client.get("/sources")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
        yield address
        process.terminate()
        assert await asyncio.to_thread(process.wait, 20) in (0, -15)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.long
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("server", SERVERS)
async def test_an_application_under_a_server(server: str, start: str, database_url: str) -> None:
    async with served(server, start, database_url) as address:
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=30) as client:

            async def store(tenant_id: str, number: int) -> None:
                answer = await client.post("/memories", params={"text": f"{number}"}, headers={"x-tenant": tenant_id})
                assert answer.status_code == 200, answer.text

            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(store("acme", number))
                    group.create_task(store("globex", number + 100))
            for tenant_id, first in (("acme", 0), ("globex", 100)):
                headers = {"x-tenant": tenant_id}
                expected = {str(first + number) for number in range(20)}
                assert set((await client.get("/memories", headers=headers)).json()) == expected
                found = (await client.get("/models", headers=headers)).json()
                assert set(found) == {f"{tenant_id}:{text}" for text in expected}
                assert (await client.get("/thread", headers=headers)).json() == 20
                assert (await client.post("/later", params={"text": "late"}, headers=headers)).status_code == 200
                stored: set[str] = set()
                for _ in range(100):  # the server answers before it stores these
                    stored = set((await client.get("/memories", headers=headers)).json())
                    if {"late", "late again"} <= stored:
                        break
                    await asyncio.sleep(0.05)
                assert {"late", "late again"} <= stored
            assert (await client.get("/sources")).json() == 0
            assert (await client.get("/no-scope")).json()["error"] == "TenantNotSetError"
            assert (await client.get("/tool", headers={"x-tenant": "acme"})).json()["error"] == "WrongEventLoopError"
        for _ in range(2):
            async with websocket(f"ws://{address}/chat/initech") as chat:
                await chat.send("hello")
                assert await chat.recv() == "1"


@pytest.mark.parametrize("start", STARTS)
def test_an_application_in_the_test_client(start: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi.testclient import TestClient

    from tests.applications.app import app

    monkeypatch.setenv("START", start)
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    headers = {"x-tenant": "acme"}
    for runs in (1, 2):  # each has an event loop of its own
        with TestClient(app) as client:
            assert client.post("/memories", params={"text": f"{runs}"}, headers=headers).status_code == 200
            assert len(client.get("/memories", headers=headers).json()) == runs
            assert len(client.get("/models", headers=headers).json()) == runs
            assert client.get("/thread", headers=headers).json() == runs
            assert client.get("/sources").json() == 0
            with client.websocket_connect("/chat/globex") as chat:
                chat.send_text("hello")
                assert chat.receive_text() == "1"
