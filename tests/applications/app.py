"""A web application on Memory Guild: a lifespan, dependencies, background tasks, websockets, tools in threads.

``START`` in the environment says how the lifespan connects: ``connect`` or ``tortoise``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, Header, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse
from tortoise import Tortoise
from tortoise.transactions import in_transaction

import memory_guild as guild
from memory_guild.settings import TORTOISE_ORM

jobs: asyncio.Queue[tuple[str, str]]


async def worker() -> None:
    """Stores what requests leave for later; it is started before anything is connected."""
    while True:
        tenant_id, text = await jobs.get()
        async with guild.tenant_scope(tenant_id, agent_id="worker"):
            await guild.remember(text, source_type="document")
        jobs.task_done()


@asynccontextmanager
async def connected() -> AsyncIterator[None]:
    """Either way in."""
    if os.environ["START"] == "connect":
        async with guild.connect():
            yield
    else:
        await Tortoise.init(config=TORTOISE_ORM)
        yield
        await Tortoise.close_connections()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Connect for as long as the application runs."""
    global jobs
    jobs = asyncio.Queue()
    task = asyncio.create_task(worker())
    async with connected():
        app.state.loop = asyncio.get_running_loop()
        yield
        task.cancel()


app = FastAPI(lifespan=lifespan)


@app.exception_handler(guild.MemoryGuildError)
async def refuse(_: Request, error: guild.MemoryGuildError) -> JSONResponse:
    """The package's errors as answers."""
    return JSONResponse({"error": type(error).__name__, "message": str(error)}, 400)


async def tenant(x_tenant: Annotated[str, Header()]) -> AsyncIterator[str]:
    """A scope around the request."""
    async with guild.tenant_scope(x_tenant, agent_id="web"):
        yield x_tenant


Tenant = Annotated[str, Depends(tenant)]


@app.middleware("http")
async def count(request: Request, call_next: Any) -> Any:
    """Runs the endpoint in a task of its own."""
    return await call_next(request)


@app.post("/memories")
async def store(text: str, tenant: Tenant) -> str:
    stored = await guild.remember(text, source_type="document")
    return str(stored.memory.memory_id)


@app.get("/memories")
async def newest(tenant: Tenant) -> list[str]:
    return [memory.content_text for memory in await guild.find()]


@app.get("/models")
async def models(tenant: Tenant) -> list[str]:
    """Tortoise's querysets and in_transaction(), in the request's task."""
    async with in_transaction():
        await guild.MemoryRecord.filter(content_text="gone").delete()
    found = await guild.MemoryRecord.all().order_by("content_text")
    return [f"{memory.tenant_id}:{memory.content_text}" for memory in found]


@app.get("/sources")
async def sources() -> int:
    """A catalogue: no scope."""
    return await guild.DataSource.all().count()


@app.post("/later")
async def later(text: str, x_tenant: Annotated[str, Header()], background: BackgroundTasks) -> None:
    async def work() -> None:
        async with guild.tenant_scope(x_tenant, agent_id="background"):
            await guild.remember(text, source_type="document")

    background.add_task(work)
    await jobs.put((x_tenant, f"{text} again"))
    await jobs.join()


@app.get("/thread")
def thread(request: Request, x_tenant: Annotated[str, Header()]) -> int:
    """An endpoint in a thread hands the work to the application's loop."""

    async def work() -> int:
        async with guild.tenant_scope(x_tenant):
            return await guild.count()

    return asyncio.run_coroutine_threadsafe(work(), request.app.state.loop).result(20)


@app.get("/tool")
async def tool(tenant: Tenant) -> None:
    """A tool with an event loop of its own, in a thread, inside the scope."""
    await asyncio.to_thread(lambda: asyncio.run(_tool(tenant)))


async def _tool(tenant_id: str) -> None:
    async with guild.tenant_scope(tenant_id):
        raise HTTPException(500, "the pool was used in a foreign loop")


@app.get("/no-scope")
async def no_scope() -> int:
    return await guild.count()


@app.websocket("/chat/{tenant_id}")
async def chat(websocket: WebSocket, tenant_id: str) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        async with guild.tenant_scope(tenant_id, agent_id="chat"):
            await guild.remember(text, source_type="document")
            await websocket.send_text(str(await guild.count()))
