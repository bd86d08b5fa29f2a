-- Deletes the vectors and embeddings of tenant $1 by the model $2; of how many memories.
WITH gone AS (
    DELETE FROM memory_vectors
    WHERE tenant_id = $1::varchar AND embedding_model = $2::varchar
    RETURNING memory_id
),

unnamed AS (
    DELETE FROM memory_embeddings AS embedding
    USING memory_records AS memory
    WHERE
        memory.tenant_id = $1 AND memory.memory_id = embedding.memory_id
        AND embedding.embedding_model = $2
    RETURNING embedding.memory_id
)

SELECT count(*) AS memories
FROM (
    SELECT memory_id FROM gone
    UNION
    SELECT memory_id FROM unnamed
) AS deleted;
