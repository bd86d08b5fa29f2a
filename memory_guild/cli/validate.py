"""``memory-guild validate``: is the database what the specification says?"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from memory_guild import validate as library
from memory_guild.cli.console import output
from memory_guild.schema import Difference


def validate(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of the differences.")] = False,
) -> None:
    """Compare the live catalog with the specification; exit code 1 where they differ."""
    differences = asyncio.run(library.validate())
    if as_json:
        output.print_json(json.dumps([asdict(difference) for difference in differences]))
    elif differences:
        output.print(_table(differences), soft_wrap=False)
    else:
        output.print("the database is exactly what the specification says")
    if differences:
        raise typer.Exit(1)


def _table(differences: list[Difference]) -> Table:
    table = Table("problem", "kind", "table", "name", "expected", "found")
    for difference in differences:
        table.add_row(
            difference.problem,
            difference.kind,
            difference.table,
            difference.name,
            difference.expected or "",
            difference.found or "",
        )
    return table
