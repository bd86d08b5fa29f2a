-- Stamps the memories $4 of tenant $1 as coming from the source $2, held in quarantine if $3.
INSERT INTO memory_sources (memory_id, tenant_id, source_id, is_held, stored_at)
-- From the table, and without its default: so the worker does it by itself. A trigger sets the time.
SELECT memory_id, $1::varchar, $2::uuid, $3::boolean, NULL::timestamptz
FROM memory_records
WHERE memory_id = ANY ($4::uuid[])
-- One that was forgotten and is restored may have a stamp already.
ON CONFLICT (memory_id, tenant_id) DO UPDATE SET source_id = EXCLUDED.source_id;
