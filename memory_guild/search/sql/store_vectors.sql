-- Stores vectors of memories of tenant $1 that the model $2 made: those of the memories $3, as text $4, made of the
-- texts that have the hashes $5 (NULL for the text that the memory has now), under the ids $6. If a memory is forgotten
-- or has another text by now, its vector is left out. A trigger makes of them the vectors that are searched. The rows
-- are the memories that exist, and whether the vector is stored.
WITH given AS (
    SELECT *
    FROM unnest($3::uuid[], $4::text[], $5::varchar[], $6::varchar[])
        AS given (memory_id, numbers, embedded_hash, vector_id)
),

-- In one order, and before anything is written: who changes such a memory meanwhile waits, or was first.
locked AS MATERIALIZED (
    SELECT memory_id, content_hash, is_deleted
    FROM memory_records
    WHERE tenant_id = $1::varchar AND memory_id = ANY ($3)
    ORDER BY memory_id
    FOR SHARE
),

fresh AS (
    SELECT memory_id, numbers, content_hash, vector_id
    FROM given INNER JOIN locked USING (memory_id)
    WHERE is_deleted IS NOT TRUE AND COALESCE(embedded_hash, content_hash) = content_hash
),

stored AS (
    INSERT INTO memory_own_vectors (tenant_id, memory_id, embedding_model, content_hash, own)
    SELECT $1, memory_id, $2::varchar, content_hash, memory_guild_vector(numbers)
    FROM fresh
    ORDER BY memory_id
    ON CONFLICT (tenant_id, memory_id, embedding_model) DO UPDATE
    SET content_hash = EXCLUDED.content_hash, own = EXCLUDED.own
    RETURNING memory_id
),

named AS (
    INSERT INTO memory_embeddings AS embedding (memory_id, vector_id, embedding_model)
    SELECT memory_id, vector_id, $2
    FROM fresh
    ORDER BY memory_id
    ON CONFLICT (memory_id, embedding_model) DO UPDATE
    SET vector_id = EXCLUDED.vector_id
    WHERE embedding.vector_id <> EXCLUDED.vector_id
    RETURNING memory_id
)

SELECT locked.memory_id, stored.memory_id IS NOT NULL AS is_stored
FROM locked LEFT JOIN stored USING (memory_id);
