-- The tenants and models that have vectors, or changes of vectors that the index $1 lacks; only of the tenant $2, or of
-- all (NULL). It jumps from one pair to the next along the primary key.
WITH RECURSIVE found AS (
    (
        SELECT tenant_id, embedding_model
        FROM memory_vectors
        WHERE $2::varchar IS NULL OR tenant_id = $2
        ORDER BY tenant_id, embedding_model
        LIMIT 1
    )
    UNION ALL
    SELECT next.tenant_id, next.embedding_model
    FROM found
    CROSS JOIN LATERAL (
        SELECT vector.tenant_id, vector.embedding_model
        FROM memory_vectors AS vector
        WHERE
            (vector.tenant_id, vector.embedding_model) > (found.tenant_id, found.embedding_model)
            AND ($2 IS NULL OR vector.tenant_id = $2)
        ORDER BY vector.tenant_id, vector.embedding_model
        LIMIT 1
    ) AS next
)

SELECT tenant_id, embedding_model FROM found
UNION
SELECT tenant_id, embedding_model
FROM memory_vector_outbox
WHERE index_name = $1::varchar AND ($2 IS NULL OR tenant_id = $2)
ORDER BY tenant_id, embedding_model;
