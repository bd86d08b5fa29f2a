"""On the embedded server agents connect as a login that owns nothing, and their scopes are sealed from the start."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import memory_guild as guild
from memory_guild import embedded
from memory_guild.database.engine import client
from memory_guild.schema import doctor, indexes, validate
from tests.embedded.child import FAST

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a server that the environment names, running, and without tables."""
    monkeypatch.setenv("MEMORY_GUILD_EMBEDDED_FOLDER", str(own_folder))
    server = embedded.attach(own_folder, options=FAST)
    yield own_folder
    server.detach()
    embedded.stop(own_folder)


WHO = "SELECT session_user::text AS login, rolsuper OR rolbypassrls OR rolcreaterole AS is_privileged FROM pg_roles"


async def test_agents_are_nobody_and_sealed(store: Path) -> None:
    assert len(await guild.upgrade()) >= 3
    async with guild.connect():
        (who,) = await client().execute_query_dict(f"{WHO} WHERE rolname = session_user")
        assert who == {"login": "memory_guild_agents", "is_privileged": False}
        owned = "SELECT count(*) AS owned FROM pg_class WHERE pg_get_userbyid(relowner) = session_user"
        assert await client().execute_query_dict(owned) == [{"owned": 0}]
        async with guild.tenant_scope("acme", agent_id="scribe"):
            await guild.remember("what acme knows", source_type="document")
        async with guild.tenant_scope("bolt"):
            switched = (
                "SELECT set_config('memory_guild.tenant_id', 'acme', true), (SELECT count(*) FROM memory_records) AS n"
            )
            assert (await client().execute_query_dict(switched))[0]["n"] == 0
        for role in ("postgres", "memory_guild_admin", "memory_guild_maintenance"):
            with pytest.raises(guild.MemoryGuildError):
                async with guild.tenant_scope("bolt"):
                    await client().execute_query(f"SET ROLE {role}")
    levels = {finding.subject: finding.level for finding in await doctor()}
    assert (levels["seal"], levels["login"], levels["maintenance role"]) == ("ok", "ok", "ok")
    assert "other roles" not in levels


async def test_maintenance_has_connections_of_its_own(store: Path) -> None:
    await guild.upgrade()
    async with guild.connect():
        async with guild.tenant_scope("acme", agent_id="scribe"):
            await guild.remember("text", source_type="document")
        async with guild.admin_scope("the test"):
            assert await guild.MemoryRecord.all().count() == 1
            await guild.DataSource.create(source_name="wiki", source_type="api")
            (who,) = await client().execute_query_dict(f"{WHO} WHERE rolname = session_user")
            assert who == {"login": "memory_guild_maintenance", "is_privileged": False}

        async def afterwards() -> int:
            await asyncio.sleep(0.01)
            async with guild.tenant_scope("acme"):
                return await guild.count()

        async with guild.admin_scope("the test of what is started inside"):
            task = asyncio.create_task(afterwards())
        assert await task == 1
        assert await guild.DataSource.all().count() == 1


async def test_operators_commands_are_the_owners(store: Path) -> None:
    await guild.upgrade()
    async with guild.connect():
        pass
    assert (await validate()).differences == ()
    created = [change.outcome for change in await indexes.create()]
    assert set(created) == {"created"}
    key = await guild.schema.seal()
    assert key == await guild.schema.seal()


@pytest.mark.long
def test_aerich_is_the_owner(store: Path) -> None:
    for command in (["upgrade"], ["-c", "aerich.toml", "history"], ["downgrade", "--yes"], ["upgrade"]):
        run = subprocess.run(
            [sys.executable, "-m", "aerich", *command],
            cwd=ROOT,
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert run.returncode == 0, run.stdout + run.stderr


async def test_agents_that_connect_at_once_make_one_key_and_the_logins_once(store: Path) -> None:
    await guild.upgrade()

    async def work(number: int) -> int:
        async with guild.connect(), guild.tenant_scope(f"tenant-{number % 2}", agent_id="scribe"):
            await guild.remember(f"text {number}", source_type="document")
            return await guild.count()

    assert all(await asyncio.gather(*(work(number) for number in range(8))))
