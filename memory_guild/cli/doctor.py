"""``memory-guild doctor``: are tenants isolated here, and how do you fix it if not?"""

from __future__ import annotations

import asyncio

import typer
from rich.table import Table
from rich.text import Text

from memory_guild import schema
from memory_guild.cli.console import output

_STYLES = {"ok": "green", "notice": "yellow", "broken": "red"}


def run() -> None:
    """Check what isolates the tenants of this database, and say how to fix what does not. Exit code 1 if broken."""
    found = asyncio.run(schema.doctor())
    if len(found) == 1:
        output.print(f"{found[0].detail}; {found[0].mend}", markup=False, highlight=False)
        raise typer.Exit(1)
    has_groups = any(finding.group is not None for finding in found)
    table = Table("", *["group"] * has_groups, "what", "found", "to do")
    for finding in found:
        # As text, not as markup: names in the database may contain brackets.
        told = (*[finding.group or ""] * has_groups, finding.subject, finding.detail, finding.mend)
        table.add_row(Text(finding.level, _STYLES[finding.level]), *map(Text, told))
    output.print(table, soft_wrap=False)
    if any(finding.level == "broken" for finding in found):
        raise typer.Exit(1)
