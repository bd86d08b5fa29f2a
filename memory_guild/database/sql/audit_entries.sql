-- At most $6 entries of the audit, the newest first: about tenant $1, of event $2 and of agent $3, from $4 on and
-- before $5.
SELECT audit_id, occurred_at, tenant_id, agent_id, login, event, subject, outcome, reason, details
FROM memory_audit
WHERE
    ($1::varchar IS NULL OR tenant_id = $1)
    AND ($2::varchar IS NULL OR event = $2)
    AND ($3::varchar IS NULL OR agent_id = $3)
    AND ($4::timestamptz IS NULL OR occurred_at >= $4)
    AND ($5::timestamptz IS NULL OR occurred_at < $5)
ORDER BY occurred_at DESC, audit_id
LIMIT $6::int;
