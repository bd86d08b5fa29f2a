"""The table of operations, fifth part: sources, their stamps, and what is held in quarantine.

A name that contains ``own`` is that of an operation that also needs a row of the attacker's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import memory_guild as guild
from memory_guild.memories.arguments import MemoryArgument
from tests.tenancy.operations import Operation
from tests.tenancy.raw_operations import statements
from tests.tenancy.verb_operations import WAYS, Verb
from tests.tenancy.worlds import OTHERS_ROWS, OWN, OWN_ROWS, STRANGERS_ROWS, Aim, Witness

_SOURCES = """
INSERT INTO data_sources (source_id, source_name, source_type, created_at, metadata) VALUES
    ('bbbbbbbb-0000-4000-8000-0000000000b1', 'crm', 'api', '2003-03-03 00:00:00+00', '{"trust": 0.5}'),
    ('bbbbbbbb-0000-4000-8000-0000000000b2', 'feed', 'api', '2003-03-03 00:00:00+00', '{"quarantine": true}')
    ON CONFLICT DO NOTHING;
"""
# Past the triggers: a stamp moves the time of the source's last ingestion, which is everybody's.
_STAMPED = """
SET session_replication_role = replica;
INSERT INTO memory_sources (memory_id, tenant_id, source_id, is_held, stored_at)
SELECT memory_id, tenant_id, 'bbbbbbbb-0000-4000-8000-0000000000b1', false, '2003-03-03' FROM memory_records
WHERE memory_id IN ({live});
INSERT INTO memory_sources (memory_id, tenant_id, source_id, is_held, stored_at)
SELECT memory_id, tenant_id, 'bbbbbbbb-0000-4000-8000-0000000000b2', true, '2003-03-03' FROM memory_records
WHERE memory_id IN ({held});
SET session_replication_role = origin;
"""


def _stamped(*live: object, held: str) -> str:
    return _STAMPED.format(live=", ".join(f"'{memory_id}'" for memory_id in live), held=held)


class SourceWitness(Witness):
    """Looks at the stamps, too."""

    others_rows = (
        _SOURCES
        + OTHERS_ROWS
        + _stamped(
            STRANGERS_ROWS.memory_id,
            STRANGERS_ROWS.other_memory_id,
            held=f"'{STRANGERS_ROWS.forgotten_memory_id}'",
        )
    )
    own_rows = _SOURCES + OWN_ROWS + _stamped(OWN[0], held="NULL")
    more_rows = "UNION ALL SELECT tenant_id = 'bolt', s::text || s.xmin || s.xmax || s.ctid FROM memory_sources s"


VERBS: dict[str, Verb] = {
    "find by source": lambda aim: guild.find(source="crm"),
    "find what is held": lambda aim: guild.find(held=True),
    "count by trust": lambda aim: guild.count(min_trust=0.1),
    "count its agent's by source": lambda aim: guild.count(source=["crm", "feed"], agent_id=aim.agent_id),
    "forget by source": lambda aim: guild.forget_where(source="crm", agent_id=aim.agent_id),
    "release what is held": lambda aim: guild.sources.release("feed"),
    "release it": lambda aim: guild.sources.release(memories=[aim.forgotten_memory_id]),
}

_AIMS = ("tenant_id = '{tenant_id}'", "memory_id = '{memory_id}'", "is_held", "true")
_EVERYWHERE = (
    "SELECT * FROM memory_sources WHERE {aimed} ORDER BY memory_id",
    "SELECT 1 AS found FROM memory_sources WHERE {aimed} FOR UPDATE",
    "UPDATE memory_sources SET is_held = is_held WHERE {aimed} RETURNING 1",
    "UPDATE memory_sources SET is_held = NOT is_held WHERE {aimed} AND tenant_id <> 'bolt' RETURNING 1",
    "UPDATE memory_sources SET source_id = source_id WHERE {aimed} AND tenant_id <> 'bolt' RETURNING 1",
    "UPDATE memory_sources SET tenant_id = 'bolt' WHERE {aimed} RETURNING 1",
    "DELETE FROM memory_sources WHERE {aimed} RETURNING 1",
)
_CRM = "(SELECT source_id FROM data_sources WHERE source_name = '{source}')"
_OTHERS = (
    *(
        f"INSERT INTO memory_sources (memory_id, tenant_id, source_id, is_held) VALUES ('{{memory_id}}', '{tenant}',"
        f" {_CRM.replace('{source}', source)}, {held}) {conflict}"
        for tenant in ("bolt", "{tenant_id}")
        for source in ("crm", "feed", "no source")
        for held in ("false", "true")
        for conflict in (
            "",
            "ON CONFLICT DO NOTHING RETURNING 1",
            "ON CONFLICT (memory_id, tenant_id) DO UPDATE SET is_held = false RETURNING 1",
        )
    ),
    "TRUNCATE memory_sources",
    "SELECT memory_guild_released('{memory_id}')",
    "SELECT memory_guild_released('{forgotten_memory_id}')",
    "SELECT memory_guild_check_stamps(ARRAY['{memory_id}'::uuid],"
    " ARRAY(SELECT source_id FROM data_sources WHERE source_name = 'crm'), ARRAY[false])",
    "SELECT * FROM memory_guild_locked_source('crm')",
    "DELETE FROM data_sources WHERE source_name = 'crm'",
    "UPDATE data_sources SET is_active = false",
)


def _releasing(way: str, named: Callable[[Aim], MemoryArgument]) -> Iterator[Operation]:
    yield Operation(
        f"sources: release beside own by {way}", lambda aim: guild.sources.release(memories=[OWN[0], named(aim)])
    )


def source_verbs() -> Iterator[Operation]:
    """What can be asked and done by source."""
    for name, run in VERBS.items():
        yield Operation(f"sources: {name}", run)
    for way, named in WAYS.items():
        yield from _releasing(way, named)


def source_statements() -> Iterator[Operation]:
    """Plain SQL on the stamps and their functions."""
    templates = [template.replace("{aimed}", aimed) for template in _EVERYWHERE for aimed in _AIMS]
    return statements([*templates, *_OTHERS])
