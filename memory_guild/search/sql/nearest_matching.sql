-- As nearest.sql, exactly, and if $11, only the memories that match the conditions $2 to $9. $16 has the memories whose
-- vectors are compared, as an index outside PostgreSQL found them; NULL for all.
SELECT
    memory_id,
    memory_guild_likeness(embedding, (SELECT question.embedding FROM question)) AS likeness
FROM memory_vectors
WHERE
    tenant_id = $1 AND embedding_model = $13::varchar AND is_current
    AND memory_guild_dimensions(embedding) = $15::int
    AND ($16::uuid[] IS NULL OR memory_id = ANY ($16))
    AND (NOT $11 OR EXISTS (
        SELECT FROM include.memories.matching_memories AS matching
        WHERE matching.memory_id = memory_vectors.memory_id
    ))
ORDER BY likeness DESC, memory_id
LIMIT greatest(150, $12);
