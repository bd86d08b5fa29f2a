-- Adds an entry to the audit, unless it is there already.
INSERT INTO memory_audit (audit_id, tenant_id, agent_id, event, subject, outcome, reason, details)
VALUES ($1::uuid, $2::varchar, $3::varchar, $4::varchar, $5::text, $6::varchar, $7::text, $8::jsonb)
ON CONFLICT DO NOTHING;
