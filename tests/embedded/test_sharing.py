"""One server for all processes of a user, as long as there is one, whatever becomes of the others."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from memory_guild import embedded
from memory_guild.embedded import lease, watch
from tests.embedded.child import FAST
from tests.embedded.processes import Child, eventually, is_alive, kill_server, stops, watcher_id


def test_a_second_process_shares_the_server(folder: Path) -> None:
    with Child("attach", folder) as first, Child("attach", folder) as second:
        answers = first.answer(), second.answer()
    assert answers[0] == answers[1]
    assert answers[0]["answer"] == 42


@pytest.mark.long
def test_the_death_of_the_owner_leaves_the_server_to_the_other(folder: Path) -> None:
    with Child("attach", folder) as owner:
        server = owner.answer()["server"]
        with Child("attach", folder) as other:
            other.answer()
            owner.kill()
            assert not eventually(lambda: embedded.status(folder).pid != server, seconds=0.5)
            other.end()
    assert stops(folder)


def test_the_server_stops_when_the_last_process_ends(folder: Path) -> None:
    with Child("attach", folder) as child:
        server = child.answer()["server"]
        child.end()
    assert stops(folder)
    assert eventually(lambda: not is_alive(server))
    assert eventually(lambda: not is_alive(watcher_id(folder)))


@pytest.mark.long
def test_the_server_stops_when_the_last_process_is_killed(folder: Path) -> None:
    with Child("attach", folder) as child:
        child.answer()
        child.kill()
    assert stops(folder)
    assert "database system is shut down" in (folder / "server.log").read_text()


@pytest.mark.long
def test_six_processes_at_once_create_one_server(place: Path) -> None:
    with ExitStack() as stack:
        children = [stack.enter_context(Child("attach", place / "pg")) for _ in range(6)]
        answers = [child.answer() for child in children]
        assert [answer["answer"] for answer in answers] == [42] * 6
        assert len({answer["server"] for answer in answers}) == 1
        for child in children:
            child.kill()
    assert stops(place / "pg")


@pytest.mark.long
def test_threads_attach_and_detach_at_once(folder: Path) -> None:
    errors: list[BaseException] = []

    def use() -> None:
        try:
            for _ in range(3):
                embedded.attach(folder, options=FAST).detach()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert stops(folder)


def test_every_attach_of_a_process_counts(folder: Path) -> None:
    first = embedded.attach(folder, options=FAST)
    second = embedded.attach(folder, options=FAST)
    assert first == second
    first.detach()
    assert not eventually(lambda: not embedded.status(folder).running, seconds=0.3)
    second.detach()
    assert stops(folder)
    second.detach()  # once too often does no harm


def test_a_forked_child_keeps_what_its_parent_attached(folder: Path) -> None:
    with Child("fork", folder) as parent:
        answer = parent.answer()
        parent.process.wait()
        assert not eventually(lambda: embedded.status(folder).pid != answer["server"], seconds=0.5)
        os.kill(answer["child"], signal.SIGKILL)
    assert stops(folder)


def test_a_process_that_closed_its_descriptors_attaches_again(folder: Path) -> None:
    server = embedded.attach(folder, options=FAST)
    lock = lease._leases[folder].descriptor
    with open(os.devnull) as stranger:
        os.dup2(stranger.fileno(), lock)
    assert stops(folder)
    embedded.attach(folder, options=FAST)
    server.detach()
    assert stops(folder)
    os.close(lock)  # it was not the server's to close


def test_a_killed_watcher_is_replaced(folder: Path) -> None:
    server = embedded.attach(folder, options=FAST)
    first = watcher_id(folder)
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: not is_alive(first))
    embedded.attach(folder, options=FAST)
    assert watcher_id(folder) != first
    server.detach()
    server.detach()
    assert stops(folder)


def test_the_watcher_is_small(folder: Path) -> None:
    server = embedded.attach(folder, options=FAST)
    status = Path(f"/proc/{watcher_id(folder)}/status").read_text()
    (own_kilobytes,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))
    assert own_kilobytes < 8 * 1024
    server.detach()


def test_a_killed_server_is_started_again(folder: Path) -> None:
    server = embedded.attach(folder, options=FAST)
    killed = kill_server(folder)
    embedded.attach(folder, options=FAST)
    assert embedded.status(folder).pid != killed
    server.detach()
    server.detach()
    assert stops(folder)


@pytest.mark.long
def test_a_process_killed_while_it_starts_the_server_leaves_none_behind(folder: Path) -> None:
    log = folder / "server.log"
    log.unlink()
    with Child("attach", folder) as child:
        assert eventually(log.exists, seconds=60)
        watcher = watcher_id(folder)
        child.kill()
    assert eventually(lambda: not is_alive(watcher))
    assert stops(folder)


def test_a_watcher_sleeps_through_the_users_and_then_stops_the_server(folder: Path) -> None:
    server = embedded.start(folder, options=FAST)
    (folder / "keep_running").unlink()
    locks = [os.open(folder / name, os.O_RDWR) for name in ("users.lock", "start.lock", "watcher.lock", "server.lock")]
    user = os.open(folder / "users.lock", os.O_RDWR)
    fcntl.flock(user, fcntl.LOCK_SH)
    watcher = threading.Thread(target=watch.watch, args=(str(folder), *locks, f"{folder}/socket/.s.PGSQL.5432"))
    watcher.start()
    assert not eventually(lambda: embedded.status(folder) != replace(server, kept_running=False), seconds=0.3)
    os.close(user)
    watcher.join()
    assert not embedded.status(folder).running


def test_the_task_of_stopping(folder: Path) -> None:
    arguments = "stop", str(folder), f"{folder}/socket/.s.PGSQL.5432", os.geteuid(), os.getegid()
    embedded.start(folder, options=FAST)
    assert watch.main(*arguments) == 0
    assert not embedded.status(folder).running
    assert watch.main(*arguments) == watch.NOTHING_TO_STOP
