"""``memory-guild doctor``: are tenants isolated here, and what is to be done where they are not?"""

from __future__ import annotations

import asyncio

import typer
from rich.table import Table
from rich.text import Text

from memory_guild import schema
from memory_guild.cli.console import output

_STYLES = {"ok": "green", "notice": "yellow", "broken": "red"}


def run() -> None:
    """Say what isolates the tenants of this database, what does not, and how to mend it; exit code 1 if broken."""
    found = asyncio.run(schema.doctor())
    table = Table("", "what", "found", "to do")
    for finding in found:
        # As text, not as markup: names of the database's own may hold brackets.
        told = (finding.subject, finding.detail, finding.mend)
        table.add_row(Text(finding.level, _STYLES[finding.level]), *map(Text, told))
    output.print(table, soft_wrap=False)
    if any(finding.level == "broken" for finding in found):
        raise typer.Exit(1)
