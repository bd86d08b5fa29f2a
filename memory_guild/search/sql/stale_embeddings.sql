-- The memories of tenant $1 whose vector by the model $2 was made of another text than they have now, newest first, at
-- most $3 of them.
SELECT *
FROM include.memories.memories AS memory
WHERE
    tenant_id = $1::varchar AND is_deleted IS NOT TRUE
    AND EXISTS (
        SELECT FROM memory_vectors AS vector
        WHERE
            vector.tenant_id = $1 AND vector.embedding_model = $2::varchar
            AND vector.memory_id = memory.memory_id AND vector.content_hash <> memory.content_hash
    )
ORDER BY created_at DESC, memory_id
LIMIT $3;
