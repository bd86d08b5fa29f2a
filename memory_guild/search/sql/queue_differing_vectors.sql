-- Puts into the outbox what the index $1 has of tenant $2 by the model $3 and should not have: it says that it has the
-- memories $4 with the fingerprints $5. What is in the outbox already is left alone, and not counted.
WITH different AS MATERIALIZED (
    SELECT listed.memory_id, vector.memory_id IS NULL AS is_orphan
    FROM unnest($4::uuid[], $5::text[]) AS listed (memory_id, fingerprint)
    LEFT JOIN (
        SELECT
            memory_vectors.memory_id,
            memory_guild_fingerprint(embedding, agent_id, source_type, created_at) AS fingerprint
        FROM memory_vectors INNER JOIN memory_records USING (tenant_id, memory_id)
        WHERE
            tenant_id = $2::varchar AND embedding_model = $3::varchar AND memory_vectors.memory_id = ANY ($4)
            AND is_current
    ) AS vector ON vector.memory_id = listed.memory_id
    WHERE listed.fingerprint IS DISTINCT FROM vector.fingerprint
),

queued AS (
    INSERT INTO memory_vector_outbox (tenant_id, index_name, embedding_model, memory_id)
    SELECT $2, $1::varchar, $3, memory_id
    FROM different
    ORDER BY memory_id
    ON CONFLICT (tenant_id, index_name, embedding_model, memory_id) DO NOTHING
    RETURNING memory_id
)

SELECT
    count(*) FILTER (WHERE different.is_orphan) AS orphans,
    count(*) FILTER (WHERE NOT different.is_orphan) AS stale
FROM different INNER JOIN queued USING (memory_id);
