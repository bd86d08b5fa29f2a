"""Cells of a notebook, in a real kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

STARTS = {
    "connect": ["connection = guild.connect()\nawait connection.__aenter__()"],
    "tortoise": [
        "from tortoise import Tortoise\nfrom memory_guild.settings import TORTOISE_ORM",
        "await Tortoise.init(config=TORTOISE_ORM)",
    ],
}
CELLS = [
    "async with guild.tenant_scope('acme', agent_id='notebook'):\n"
    "    await guild.remember('from a cell', source_type='document')",
    "async with guild.tenant_scope('acme'):\n"
    "    print(await guild.count(), [memory.content_text for memory in await guild.MemoryRecord.all()])",
    "print(await guild.DataSource.all().count())",
]


@pytest.mark.long
@pytest.mark.parametrize("start", STARTS)
def test_each_cell_finds_the_database(start: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    sources = ["import memory_guild as guild", *STARTS[start], *CELLS]
    v4: Any = nbformat.v4  # it has no types
    notebook = v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    printed = [output["text"] for cell in notebook.cells for output in cell.outputs if output.output_type == "stream"]
    assert printed == ["1 ['from a cell']\n", "0\n"]
