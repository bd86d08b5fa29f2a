"""Models are loaded when they are needed, once, and from packages that an extra brings along."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """A value that is made when it is first asked for. Threads that ask meanwhile wait for it.

    If making it fails, the next one who asks tries again.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []
        self._lock = Lock()

    def __call__(self) -> T:
        """The value."""
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]


def folder_of(package: str) -> Path:
    """Where an installed package has its files. It is not imported."""
    found = find_spec(package)
    (folder, *_) = found.submodule_search_locations if found and found.submodule_search_locations else [""]
    return Path(folder)
