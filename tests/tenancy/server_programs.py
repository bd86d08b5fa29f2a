"""PostgreSQL's own client programs, of the same major version as the server under test or newer."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

from memory_guild.embedded import binaries
from tests.tenancy.pgbouncer import address_of


class Outcome(NamedTuple):
    """What a program left behind."""

    code: int | None
    output: bytes
    errors: str


@cache
def program(name: str, version: int) -> Path | None:
    """Where a program is that can talk to a server of this major version; None if there is none."""
    candidates = [Path(f"/usr/lib/postgresql/{version}/bin/{name}")]
    if version in binaries.INSTALLATIONS:
        candidates.insert(0, binaries.find(version).program(name))
    if found := shutil.which(name):
        candidates.append(Path(found))
    return next((path for path in candidates if path.exists() and _version(path) >= version), None)


def _version(path: Path) -> int:
    output = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
    return int(output.split()[2].partition(".")[0])


async def run(path: Path, url: str, *arguments: str, given: bytes = b"") -> Outcome:
    """Run a program on the URL's database."""
    address = address_of(url)
    connection = {
        "PGHOST": address.host,
        "PGPORT": str(address.port),
        "PGUSER": address.user,
        "PGPASSWORD": address.password,
        "PGDATABASE": address.database,
    }
    process = await asyncio.create_subprocess_exec(
        path,
        *arguments,
        env={**os.environ, **connection},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(given)
    return Outcome(process.returncode, output, errors.decode())
