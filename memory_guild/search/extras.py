"""Packages that an extra brings along: imported when they are needed, missed when they are chosen."""

from __future__ import annotations

from importlib.util import find_spec

from memory_guild.errors import SettingsError


def require_extra(variable: str, extra: str, *packages: str) -> None:
    """Check that the packages of an extra are installed. It imports none of them, which may take seconds.

    Args:
        variable: The setting that chooses what needs them.
        extra: The extra.
        packages: What it installs, by the names that are imported.

    Raises:
        SettingsError: One is missing.
    """
    if any(find_spec(package) is None for package in packages):
        raise SettingsError(
            variable, f"{extra} is not installed: run `pip install 'memory-guild[{extra}]'`, or choose another one"
        )
