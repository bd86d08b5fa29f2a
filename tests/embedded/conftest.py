"""Short, private folders that another user can get through to, and data directories made once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memory_guild import embedded
from memory_guild.embedded import lease
from memory_guild.testing.servers import server_folder
from tests.embedded.child import FAST
from tests.embedded.processes import stops


def forget_uses(base: Path) -> None:
    """Detach this process from the servers below `base`: a test that failed or was skipped has not done so."""
    for folder, used in list(lease._leases.items()):
        if base in (folder, *folder.parents):
            for _ in range(used.uses):
                lease.release(folder)


@pytest.fixture(scope="session")
def prepared() -> Iterator[Callable[[int], Path]]:
    """The folder of a stopped server of a version, made when it is first asked for."""
    with server_folder() as base:

        def prepare(version: int) -> Path:
            folder = base / str(version)
            if not folder.exists():
                embedded.attach(folder, version, options=FAST).detach()
                assert stops(folder)
            return folder

        yield prepare


@pytest.fixture
def folder(prepared: Callable[[int], Path]) -> Iterator[Path]:
    """The folder of a server of the newest version, not running; the next test gets the same one, stopped again."""
    folder = prepared(18)
    assert not embedded.status(folder).running
    yield folder
    forget_uses(folder)
    embedded.stop(folder)
    assert stops(folder)


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder that all users can get through, as /var/lib is; the servers in it are stopped afterwards."""
    with server_folder() as base:
        yield base
        forget_uses(base)
        for lock in base.glob("**/start.lock"):
            if lock.parent.stat().st_uid == base.stat().st_uid:
                embedded.stop(lock.parent)


@pytest.fixture
def copy_of(place: Path, prepared: Callable[[int], Path]) -> Callable[[int], Path]:
    """A folder of the test's own with the data of a version, not running."""

    def copy(version: int) -> Path:
        subprocess.run(["cp", "-a", prepared(version), place / "pg"], check=True)
        return place / "pg"

    return copy


@pytest.fixture
def own_folder(copy_of: Callable[[int], Path]) -> Path:
    """The same as `folder`, for a test that leaves traces."""
    return copy_of(18)
