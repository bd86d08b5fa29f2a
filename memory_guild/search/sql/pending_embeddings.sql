-- The memories of tenant $1 that have no vector by the model $2, newest first, at most $3 of them.
SELECT *
FROM include.memories.memories AS memory
WHERE
    tenant_id = $1::varchar AND is_deleted IS NOT TRUE
    AND NOT EXISTS (
        SELECT FROM memory_vectors AS vector
        WHERE vector.tenant_id = $1 AND vector.embedding_model = $2::varchar AND vector.memory_id = memory.memory_id
    )
ORDER BY created_at DESC, memory_id
LIMIT $3;
