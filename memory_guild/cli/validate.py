"""``memory-guild validate``: does the database match the specification?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from memory_guild import schema
from memory_guild.cli.console import output
from memory_guild.schema import Comparison, Difference


def run(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of the differences.")] = False,
) -> None:
    """Compare the live catalog with the specification, and list the indexes that were added on purpose.

    Exit code 1 if they differ; an index that was added on purpose is no difference.
    """
    found = asyncio.run(_comparisons())
    if as_json:
        differences = [
            asdict(difference) | ({} if group is None else {"group": group})
            for group, comparison in found.items()
            for difference in comparison
        ]
        output.print_json(json.dumps(differences))
    else:
        for group, comparison in found.items():
            if group is not None:
                output.print(f"the group {group}:", markup=False, highlight=False)
            _print(comparison)
    if any(found.values()):
        raise typer.Exit(1)


async def _comparisons() -> dict[str | None, Comparison]:
    """The comparison of each group of tenants; under None where there is one."""
    groups: Sequence[str | None] = await schema.groups.names() or [None]
    return {group: await schema.validate(schema=group) for group in groups}


def _print(found: Comparison) -> None:
    if found.differences:
        output.print(_table(found.differences), soft_wrap=False)
    elif found.deliberate_indexes:
        output.print("the database matches the specification; indexes were added on purpose")
    else:
        output.print("the database matches the specification exactly")
    for index in found.deliberate_indexes:
        # One line each, however long: the definition contains the name of the index and of its table.
        output.print(f"added on purpose: {index.definition}", markup=False, highlight=False)


def _table(differences: Iterable[Difference]) -> Table:
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
