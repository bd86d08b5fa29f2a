-- Adds entries to the audit: $1 to $8 have a column each. One that is there already, because it was committed although
-- nobody heard of it, stays as it is. Whoever adds entries may not read them, so nothing is returned.
INSERT INTO memory_audit (audit_id, tenant_id, agent_id, event, subject, outcome, reason, details)
SELECT audit_id, tenant_id, agent_id, event, subject, outcome, reason, details
FROM unnest($1::uuid[], $2::varchar[], $3::varchar[], $4::varchar[], $5::text[], $6::varchar[], $7::text[], $8::jsonb[])
    AS entry (audit_id, tenant_id, agent_id, event, subject, outcome, reason, details)
ON CONFLICT DO NOTHING;
