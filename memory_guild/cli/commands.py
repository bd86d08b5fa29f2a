"""Groups of commands: what all of them have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _without_types_of_flags(params: list[Any]) -> list[Any]:
    """The parameters; the help of a flag, which takes no value, then shows no ``<bool>`` after it."""
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag and param.metavar is None:
            param.metavar = ""
    return params


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types_of_flags(super().get_params(ctx))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types_of_flags(super().get_params(ctx))


class Commands(typer.Typer):
    """A group of commands, which prints its help if no command is given."""

    def __init__(self, name: str, purpose: str) -> None:
        super().__init__(name=name, help=purpose, cls=_Group, no_args_is_help=True, pretty_exceptions_enable=False)

    def command(self, name: str | None = None, **options: Any) -> Callable[[_Function], _Function]:
        """Add a command, see ``typer.Typer.command``."""
        return super().command(name, cls=_Command, **options)
