-- The memory of agent $1 of tenant $2 with the hash $4: whether it has the text $3, what its metadata would be by the
-- metadata $5 and what remember_anew.sql says of $6 to $9, whether that fits, and whether anything is to be changed.
SELECT
    memory_records.memory_id,
    memory_records.is_deleted,
    memory_records.metadata AS metadata_before,
    memory_records.updated_at AS updated_before,
    merged.metadata,
    judged.same_text,
    judged.fits,
    CASE
        WHEN NOT (judged.same_text AND judged.fits) THEN false
        WHEN memory_records.is_deleted THEN $6::boolean
        ELSE (merged.metadata IS DISTINCT FROM memory_records.metadata)
    END AS is_needed
FROM memory_records
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN NOT $7::boolean OR $5::jsonb IS NULL OR (memory_records.is_deleted AND NOT $6) THEN memory_records.metadata
        WHEN $8::boolean AND jsonb_typeof(memory_records.metadata) = 'object' THEN memory_records.metadata || $5
        ELSE $5
    END AS metadata
) AS merged
CROSS JOIN LATERAL (
    SELECT
        memory_records.content_text = $3::text AS same_text,
        NOT $8
        OR (merged.metadata IS NOT DISTINCT FROM memory_records.metadata)
        OR octet_length(merged.metadata::text) <= $9::int AS fits
) AS judged
WHERE
    memory_records.agent_id = $1::varchar
    AND memory_records.tenant_id = $2::varchar
    AND memory_records.content_hash = $4::varchar;
