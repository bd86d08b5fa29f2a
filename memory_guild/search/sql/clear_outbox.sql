-- Deletes what the outbox says about the index $1, at most $2 rows; how many they were.
WITH gone AS (
    DELETE FROM memory_vector_outbox
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM memory_vector_outbox WHERE index_name = $1::varchar LIMIT $2))
    RETURNING memory_id
)

SELECT count(*) AS deleted FROM gone;
