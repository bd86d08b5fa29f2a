"""Scripts of several statements, one statement at a time: Citus refuses some statements in the company of others."""

from __future__ import annotations

import re

# What a semicolon does not end a statement in: comments, quoted strings and names, and dollar-quoted bodies.
_PARTS = re.compile(
    r"""
    --[^\n]*
    | /\*.*?\*/
    | (?<![A-Za-z0-9_$])[eE]'(?:[^'\\]|''|\\.)*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | (?<![A-Za-z0-9_$])(\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$).*?\1
    | ;
    """,
    re.DOTALL | re.VERBOSE,
)


def single_statements(script: str) -> list[str]:
    """The statements of a script, in order, each with the comments before it.

    Args:
        script: SQL without a body in ``BEGIN ATOMIC`` and without nested comments.
    """
    statements, start = [], 0
    for part in _PARTS.finditer(script):
        if part[0] == ";":
            statements.append(script[start : part.start()].strip())
            start = part.end()
    statements.append(script[start:].strip())
    return [statement for statement in statements if _says_something(statement)]


def _says_something(statement: str) -> bool:
    """Whether there is anything but comments."""
    return bool(re.sub(r"--[^\n]*|/\*.*?\*/", "", statement, flags=re.DOTALL).strip())
