-- Stores the given memories that are not there yet, forgotten or not, and returns the key and id of each new one.
-- Sorted by the unique key: batches that overlap wait for each other instead of deadlocking.
INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash, metadata)
SELECT agent_id, tenant_id, source_type, content_text, content_hash, metadata
FROM
    unnest($1::varchar[], $2::varchar[], $3::varchar[], $4::text[], $5::varchar[], $6::jsonb[])
    AS given (agent_id, tenant_id, source_type, content_text, content_hash, metadata)
ORDER BY agent_id, tenant_id, content_hash
ON CONFLICT (agent_id, tenant_id, content_hash) DO NOTHING
RETURNING memory_id, agent_id, tenant_id, content_hash;
