-- Locks the memories $1 that are about to get the metadata $2, merged with their own if $3. Returns for each whether
-- its metadata changes, and how many bytes it will have.
-- Locked in the order of their ids: calls that overlap wait for each other instead of deadlocking.
SELECT
    memory_records.memory_id,
    (merged.metadata IS DISTINCT FROM memory_records.metadata) AS changes,
    CASE WHEN $3 THEN octet_length(merged.metadata::text) ELSE 0 END AS merged_bytes
FROM memory_records
INNER JOIN unnest($1::uuid[], $2::jsonb[]) AS given (memory_id, metadata) ON given.memory_id = memory_records.memory_id
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN $3::boolean AND jsonb_typeof(memory_records.metadata) = 'object'
            THEN memory_records.metadata || given.metadata
        ELSE given.metadata
    END AS metadata
) AS merged
ORDER BY memory_records.memory_id
FOR UPDATE OF memory_records;
