"""An embedded server of a test module's own: roles belong to a whole server, and other tests need theirs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memory_guild import embedded
from tests.conftest import FAST_BUT_NOT_DURABLE


@contextmanager
def private_server() -> Iterator[str]:
    """A superuser's URL of a new server, which is stopped and deleted after the block."""
    folder = Path(tempfile.mkdtemp(prefix="mg-"))
    folder.chmod(0o711)  # a server started by root runs as another user, who must get through
    version = int(os.environ.get("MEMORY_GUILD_TEST_EMBEDDED_VERSION", "0")) or None
    try:
        server = embedded.attach(folder / "pg", version, options=FAST_BUT_NOT_DURABLE)
        yield server.url
        server.detach()
        embedded.stop(folder / "pg")
    finally:
        shutil.rmtree(folder)
