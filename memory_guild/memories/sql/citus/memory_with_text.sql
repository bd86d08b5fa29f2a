-- The memory of agent $1 of tenant $2 with the hash $4, and whether it has the text $3.
SELECT 'existing' AS outcome, content_text = $3::text AS same_text, true AS fits, *
FROM include.memories AS memory_records
WHERE agent_id = $1::varchar AND tenant_id = $2::varchar AND content_hash = $4::varchar;
