"""The table of operations, fifth part: the audit in plain SQL, and its verbs."""

from __future__ import annotations

from collections.abc import Iterator

import memory_guild as guild
from memory_guild.types import AuditEvent
from tests.tenancy.operations import Operation
from tests.tenancy.raw_operations import statements
from tests.tenancy.worlds import OTHERS_ROWS, SECRET, STRANGERS_ROWS, Witness

_ADD = "INSERT INTO memory_audit (audit_id, tenant_id, event, outcome) VALUES ({values}, 'denied', 'denied')"
_STATEMENTS = (
    "SELECT * FROM memory_audit",
    "SELECT count(*) FROM memory_audit WHERE tenant_id = '{tenant_id}'",
    "SELECT 1 AS found FROM memory_audit FOR UPDATE",
    "UPDATE memory_audit SET tenant_id = 'bolt'",
    "UPDATE memory_audit SET outcome = 'done' WHERE tenant_id = '{tenant_id}'",
    "DELETE FROM memory_audit WHERE tenant_id = '{tenant_id}'",
    "TRUNCATE memory_audit",
    "COPY memory_audit TO STDOUT",
    "ALTER TABLE memory_audit DISABLE TRIGGER ALL",
    "CREATE TEMP TABLE kept (LIKE memory_audit INCLUDING ALL);;INSERT INTO kept SELECT * FROM memory_audit",
    "SET LOCAL session_replication_role = replica;;DELETE FROM memory_audit",
    "SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'memory_audit'",
    _ADD.replace("{values}", "gen_random_uuid(), '{tenant_id}'"),
    _ADD.replace("{values}", "gen_random_uuid(), NULL"),
    _ADD.replace("{values}", "'{memory_id}', '{tenant_id}'") + " ON CONFLICT DO NOTHING",
    _ADD.replace("{values}", "'{memory_id}', '{tenant_id}'") + " RETURNING outcome",
    # An id that a stranger's entry has: whether it does must not be told.
    _ADD.replace("{values}", "'{memory_id}', 'bolt'") + " ON CONFLICT DO NOTHING",
    _ADD.replace("{values}", "'{memory_id}', 'bolt'")
    + " ON CONFLICT (audit_id, tenant_id) DO UPDATE SET outcome = 'own' RETURNING outcome",
)


class AuditWitness(Witness):
    """Looks at the strangers' entries, too. Nobody can put entries back, so the attacker's own are not looked at."""

    others_rows = (
        OTHERS_ROWS
        + f"""
INSERT INTO memory_audit (audit_id, tenant_id, agent_id, event, outcome, reason)
VALUES ('{STRANGERS_ROWS.memory_id}', '{STRANGERS_ROWS.tenant_id}', '{STRANGERS_ROWS.agent_id}', 'denied',
    'denied', '{SECRET}')
ON CONFLICT DO NOTHING;
"""
    )
    more_rows = (
        "UNION ALL SELECT false, a::text || a.xmin || a.xmax || a.ctid FROM memory_audit a WHERE tenant_id <> 'bolt'"
    )


def audit_operations() -> Iterator[Operation]:
    """Every statement, and the verbs of the audit."""
    yield from statements(_STATEMENTS)
    yield Operation("audit: read its entries", lambda aim: guild.audit.entries(tenant_id=aim.tenant_id))
    yield Operation(
        "audit: record for its tenant",
        lambda aim: guild.audit.record(AuditEvent.PURGE, tenant_id=aim.tenant_id),
    )
