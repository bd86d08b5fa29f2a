"""``memory-guild policy``: check and test a policy in a file, without a database."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from memory_guild.cli.commands import Commands
from memory_guild.cli.console import output
from memory_guild.policies.cases import check as check_policy
from memory_guild.policies.cases import read_cases, read_source, run_cases

File = Annotated[Path, typer.Argument(help="The policy, such as own_memories.rego.", show_default=False)]

commands = Commands("policy", "Access policies in files: check, test.")


@commands.command()
def check(file: File) -> None:
    """Compile a policy. Exit code 1 if it does not, with the line and column."""
    asyncio.run(check_policy(read_source(file)))
    output.print(f"{file} compiles", markup=False, highlight=False)


@commands.command("test")
def decide_cases(
    file: File,
    cases: Annotated[
        Path | None, typer.Option(help="The cases; by default the .cases.json beside the policy.", show_default=False)
    ] = None,
) -> None:
    """Decide each case of a file by a policy. Exit code 1 if a decision is another than the case wants."""
    found = read_cases(cases or file.with_suffix(".cases.json"))
    results = asyncio.run(run_cases(read_source(file), found))
    table = Table("", "case", "action", "wanted", "decided", "because")
    for result in results:
        table.add_row(
            Text("ok", "green") if result.is_right else Text("wrong", "red"),
            Text(result.case.name),
            str(result.case.input.action),
            _word(allowed=result.case.allowed),
            _word(allowed=result.allowed),
            Text(result.reason),
        )
    output.print(table, soft_wrap=False)
    wrong = sum(not result.is_right for result in results)
    output.print(f"{len(results)} cases, {wrong} wrong", highlight=False)
    if wrong:
        raise typer.Exit(1)


def _word(*, allowed: bool) -> str:
    return "allow" if allowed else "deny"
