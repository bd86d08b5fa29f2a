"""The table of errors in the docs: every class, its HTTP status, whether to retry, and when it is raised."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from memory_guild import errors
from memory_guild.errors import InvalidInputError, MemoryGuildError

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"

pytestmark = pytest.mark.any_server


def tree(error: type[MemoryGuildError], depth: int = 0) -> Iterator[tuple[int, type[MemoryGuildError]]]:
    """The class and those under it, in the order of errors.py; a class with two bases stands under the first."""
    yield depth, error
    for kind in vars(errors).values():
        if isinstance(kind, type) and kind.__bases__[0] is error:
            yield from tree(kind, depth + 1)


def row(depth: int, error: type[MemoryGuildError]) -> str:
    summary = inspect.cleandoc(error.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    summary = re.sub(r":\w+:`~?([\w.]+)`", r"`\1`", summary).replace("``", "`").replace("|", "\\|")
    retry = "yes" if error.retryable else "no"
    return f"| {'· ' * depth}`{error.__name__}` | {error.http_status} | {retry} | {summary} |"


def test_the_docs_list_every_error() -> None:
    expected = [row(depth, error) for depth, error in tree(MemoryGuildError)]
    listed = [line for line in PAGE.read_text().splitlines() if re.match(r"\| (· )*`", line)]

    assert listed == expected, "replace the table of docs/errors.md by:\n" + "\n".join(expected)


def test_the_tree_has_every_error_once() -> None:
    defined = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MemoryGuildError)}
    listed = [error for _, error in tree(MemoryGuildError)]

    assert len(listed) == len(defined)
    assert set(listed) == defined


def test_each_status_is_an_error_and_bad_input_is_the_requests_fault() -> None:
    for _, error in tree(MemoryGuildError):
        assert HTTPStatus(error.http_status) >= 400
        if issubclass(error, InvalidInputError):
            assert error.http_status == 422, error.__name__
