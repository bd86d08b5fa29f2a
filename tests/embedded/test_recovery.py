"""After a crash, and whatever became of the files meanwhile, the next process has a server, and only one."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from memory_guild import embedded
from memory_guild.embedded import watch
from memory_guild.errors import EmbeddedServerError
from tests.embedded.child import FAST, ask
from tests.embedded.processes import (
    NOBODY,
    Child,
    eventually,
    is_alive,
    kill_server,
    needs_root,
    stops,
    watcher_id,
)

SOCKET = Path("socket", ".s.PGSQL.5432")
LOCK_FILES = (Path("data", "postmaster.pid"), Path("socket", ".s.PGSQL.5432.lock"))


def processes(folder: Path) -> list[int]:
    return list(watch._processes(str(folder)))


def works(folder: Path) -> bool:
    """Whether the next process gets an answer, and the data of the one before."""
    server = embedded.attach(folder, options=FAST)
    try:
        return asyncio.run(ask(server.url, "SELECT count(*) FROM pg_database WHERE datname = 'memory_guild'")) == 1
    finally:
        server.detach()


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"garbled\n", b"\0" * 64, b"\xff\xfe\n", b"-1\n", b"9" * 30, b"1\n"], ids=repr
)
@pytest.mark.parametrize("lock_file", LOCK_FILES, ids=["data", "socket"])
@pytest.mark.long
def test_a_lock_file_that_says_nothing_true(folder: Path, lock_file: Path, content: bytes) -> None:
    embedded.attach(folder, options=FAST)
    kill_server(folder)
    (folder / lock_file).write_bytes(content)
    assert works(folder)


@needs_root
@pytest.mark.long
def test_a_process_id_that_is_another_users_now(place: Path) -> None:
    home = place / "home"
    home.mkdir(0o755)
    os.chown(home, NOBODY, NOBODY)
    with Child("attach", home / "pg", user_id=NOBODY) as first:
        server = first.answer()["server"]
        os.kill(server, signal.SIGKILL)
        assert eventually(lambda: not is_alive(server))
        for lock_file in LOCK_FILES:
            text = (home / "pg" / lock_file).read_text()
            (home / "pg" / lock_file).write_text(text.replace(str(server), "1", 1))
        with Child("attach", home / "pg", user_id=NOBODY) as second:
            assert second.answer()["answer"] == 42
    assert eventually(lambda: not (home / "pg" / "data" / "postmaster.pid").exists())


@needs_root
@pytest.mark.long
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv takes capabilities away")
def test_root_that_may_not_look_at_other_accounts_processes(folder: Path) -> None:
    # As in a container: Docker gives root no CAP_SYS_PTRACE.
    without = ("setpriv", "--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace")
    with Child("attach", folder, through=without) as first:
        server = first.answer()["server"]
        os.kill(server, signal.SIGKILL)
        assert eventually(lambda: not is_alive(server))
        with subprocess.Popen(["sleep", "60"], user=(folder / "data").stat().st_uid) as other:
            lock = folder / LOCK_FILES[0]
            lock.write_text(lock.read_text().replace(str(server), str(other.pid), 1))
            with Child("attach", folder, through=without) as second:
                replaced = second.answer()["server"]
                (folder / SOCKET).unlink()
                with Child("attach", folder, through=without) as third:
                    assert third.answer()["server"] not in (server, replaced)
                assert not is_alive(replaced)
            assert other.poll() is None
            other.kill()


@pytest.mark.parametrize(
    "lost",
    [[SOCKET], [SOCKET.parent], [SOCKET, *LOCK_FILES], [SOCKET, Path("server.lock")]],
    ids=["socket", "socket's folder", "socket and lock files", "socket and our lock"],
)
@pytest.mark.parametrize("way", ["attach", "stop", "last user"])
@pytest.mark.long
def test_a_server_that_nobody_can_reach_any_more(folder: Path, lost: list[Path], way: str) -> None:
    with Child("attach", folder) as user:
        server = user.answer()["server"]
        asyncio.run(ask(str(embedded.status(folder).url), "CREATE TABLE IF NOT EXISTS stored AS SELECT 7 AS number"))
        for path in lost:
            (folder / path).unlink() if (folder / path).is_file() or path == SOCKET else shutil.rmtree(folder / path)
        assert not embedded.status(folder).running
        assert is_alive(server)
        if way == "attach":
            new = embedded.attach(folder, options=FAST)
            assert asyncio.run(ask(new.url, "SELECT number FROM stored")) == 7
            assert list(watch._processes(str(folder)).values()).count(True) == 1
        elif way == "stop":
            assert embedded.stop(folder) is True
            assert embedded.stop(folder) is False
        else:
            user.end()
        assert eventually(lambda: not is_alive(server))


@pytest.mark.long
def test_a_copy_of_the_folder_of_a_running_server(folder: Path) -> None:
    copy = folder.with_name("copy")
    server = embedded.attach(folder, options=FAST)
    subprocess.run(["cp", "-a", folder, copy], check=True)
    try:
        other = embedded.attach(copy, options=FAST)
        assert asyncio.run(ask(other.url, "SELECT 1")) == asyncio.run(ask(server.url, "SELECT 1")) == 1
        assert embedded.status(copy).pid != embedded.status(folder).pid
        other.detach()
        assert stops(copy)
        assert asyncio.run(ask(server.url, "SELECT 1")) == 1
    finally:
        shutil.rmtree(copy)


def test_every_process_of_the_server_killed_at_once(folder: Path) -> None:
    embedded.attach(folder, options=FAST)
    for process_id in (killed := processes(folder)):
        with suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)
    assert eventually(lambda: not processes(folder))
    assert len(killed) > 3
    assert works(folder)
    creators = {int(line.split()[4]) for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}
    assert not creators & set(killed)


async def test_a_backend_that_outlives_its_server_is_ended(folder: Path) -> None:
    server = await asyncio.to_thread(embedded.attach, folder, options=FAST)
    busy = await asyncpg.connect(server.url)
    backend = await busy.fetchval("SELECT pg_backend_pid()")
    # It waits for nothing, so it does not hear that its server is gone.
    endless = "DO 'BEGIN LOOP BEGIN LOOP END LOOP; EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END'"
    query = asyncio.create_task(busy.execute(endless))
    await asyncio.sleep(0.2)
    kill_server(folder)
    assert is_alive(backend)
    os.kill(backend, signal.SIGSTOP)
    assert await asyncio.to_thread(works, folder)
    assert eventually(lambda: not is_alive(backend))
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await query
    busy.terminate()


@pytest.mark.long
def test_a_server_that_cannot_be_seen_is_left_alone(folder: Path) -> None:
    with open(folder / "server.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as a server in another container does
        with pytest.raises(EmbeddedServerError, match="a process that cannot be seen from here"):
            embedded.attach(folder, options=FAST)
        assert not processes(folder)
    assert works(folder)


def test_a_server_of_another_container_cannot_be_stopped(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:  # as one that a shared volume lets through
        server.bind(str(folder / SOCKET))
        server.listen()
        with pytest.raises(EmbeddedServerError, match="does not stop, or runs in another container"):
            embedded.stop(folder)
    (folder / SOCKET).unlink()


def test_a_child_forked_while_a_server_is_launched_does_not_hold_its_lock(folder: Path) -> None:
    from memory_guild.embedded import lease
    from memory_guild.embedded.folder import ServerFolder

    child = 0
    with lease.launch(ServerFolder(folder)):
        if not (child := os.fork()):
            signal.pause()
    try:
        assert eventually(lambda: not lease.is_held(ServerFolder(folder)))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.fixture
def small_disk(place: Path) -> Iterator[tuple[Path, Callable[[int], None]]]:
    """A disk of its own, and a function that changes its size in megabytes."""
    disk = place / "disk"
    disk.mkdir(0o755)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m,mode=755", "none", disk], check=False).returncode:
        pytest.skip("this container cannot mount")

    def resize(megabytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={megabytes}m", disk], check=True)

    yield disk, resize
    embedded.stop(disk / "pg")
    assert stops(disk / "pg")
    subprocess.run(["umount", "--lazy", disk], check=True)


@needs_root
@pytest.mark.long
def test_a_full_disk(small_disk: tuple[Path, Callable[[int], None]]) -> None:
    disk, resize = small_disk
    folder = disk / "pg"
    with pytest.raises(EmbeddedServerError, match=r"disk space|No space left") as caught:
        embedded.attach(folder, options=FAST)
    assert len(str(caught.value)) < 5000
    assert not [path for path in folder.iterdir() if path.name.startswith("data")]
    resize(200)
    assert works(folder)
    assert stops(folder)
    with suppress(OSError), open(disk / "filler", "wb", buffering=0) as filler:
        while filler.write(b"0" * 4096):
            pass
    with pytest.raises(EmbeddedServerError, match=r"disk space|No space left"):
        embedded.attach(folder, options=FAST)
    assert not processes(folder)
    (disk / "filler").unlink()
    with Child("attach", folder) as user:
        assert user.answer()["answer"] == 42
        user.end()
    assert stops(folder)
    assert eventually(lambda: not is_alive(watcher_id(folder)))
