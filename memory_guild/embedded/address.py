"""Where an embedded server listens, which user and database it has, and URLs that no environment variable changes.

asyncpg and libpq fill in what a URL leaves out from variables such as ``PGPORT`` and ``PGSSLMODE``, which somebody has
set for another server. So the URLs here say it all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

PORT = 5432
USER = "postgres"
LOGINS = {"owner": USER, "agents": "memory_guild_agents", "maintenance": "memory_guild_maintenance"}
"""Who connects: the owner of the tables, a superuser, or one of the logins that own nothing."""
DATABASE = "memory_guild"

_OVERRIDES = {
    "PGCHANNELBINDING": "channel_binding=disable",
    "PGGSSENCMODE": "gssencmode=disable",
    "PGGSSLIB": "gsslib=gssapi",
    "PGHOSTADDR": "hostaddr=",
    "PGOPTIONS": "options=",
    "PGREQUIREPEER": "requirepeer=",
    "PGSSLMAXPROTOCOLVERSION": "ssl_max_protocol_version=",
    "PGSSLMINPROTOCOLVERSION": "ssl_min_protocol_version=",
    "PGSSLROOTCERT": "sslrootcert=",
}
"""Variables of libpq that can make the server unreachable, and the parameter that overrides each.

Every version of libpq knows these parameters, but asyncpg sends some of them to the server, which refuses them.
"""

NOT_OVERRIDDEN = ("PGMINPROTOCOLVERSION", "PGREQUIREAUTH", "PGSERVICE", "PGSSLCERTMODE")
"""Variables of libpq that a URL cannot override: it has no neutral value, or older versions refuse the parameter."""


def connection_url(socket_folder: Path | str) -> str:
    """The URL for asyncpg of the embedded database with the socket in `socket_folder`; it needs no password."""
    pinned = {
        "sslmode": "disable",
        "sslnegotiation": "postgres",
        "target_session_attrs": "any",
        "gsslib": "gssapi",
        # A file that does not exist: asyncpg reads ~/.pgpass before it knows that no password is needed, and fails on
        # a line that it does not understand.
        "passfile": f"{socket_folder}/none",
    }
    return _url(socket_folder, urlencode(pinned, quote_via=quote, safe=""))


def psql_url(socket_folder: Path | str, environment: Mapping[str, str] = os.environ) -> str:
    """The URL for psql of any version, and for other programs that use libpq, started with `environment`.

    Unless the environment has one of libpq's rarer variables, asyncpg takes it too.
    """
    # libpq refuses direct negotiation without sslmode=require, and ignores both on a Unix socket. Versions before 17
    # refuse the parameter sslnegotiation.
    direct = environment.get("PGSSLNEGOTIATION") == "direct"
    pinned = [f"sslmode={'require' if direct else 'disable'}", "target_session_attrs=any"]
    return _url(
        socket_folder,
        *pinned,
        *(override for name, override in _OVERRIDES.items() if environment.get(name) is not None),
    )


def _url(socket_folder: Path | str, *parameters: str) -> str:
    here = urlencode({"host": str(socket_folder), "port": PORT}, quote_via=quote, safe="")
    return f"postgresql://{USER}@/{DATABASE}?{'&'.join((here, *parameters))}"


def as_login(url: str, login: str) -> str:
    """The owner's URL for another login: ``agents`` or ``maintenance``."""
    return url.replace(f"//{USER}@", f"//{LOGINS[login]}@", 1)
