-- Puts the memories $4 of tenant $2 into the outbox, whose vectors by the model $3 the index $1 lacks, unless they are
-- there already; how many they were.
WITH queued AS (
    INSERT INTO memory_vector_outbox (tenant_id, index_name, embedding_model, memory_id)
    SELECT tenant_id, $1::varchar, embedding_model, memory_id
    FROM memory_vectors
    WHERE tenant_id = $2::varchar AND embedding_model = $3::varchar AND memory_id = ANY ($4::uuid[]) AND is_current
    ORDER BY memory_id
    ON CONFLICT (tenant_id, index_name, embedding_model, memory_id) DO NOTHING
    RETURNING memory_id
)

SELECT count(*) AS missing FROM queued;
