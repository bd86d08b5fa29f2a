-- What the index $2 may not have yet of tenant $1 by the model $3: whether it is_filled at all, and the memories that
-- wait in the outbox, at most $4 of them.
SELECT
    EXISTS (SELECT FROM memory_vector_indexes WHERE name = $2::varchar AND is_filled) AS is_filled,
    ARRAY(
        SELECT memory_id
        FROM memory_vector_outbox
        WHERE tenant_id = $1::varchar AND index_name = $2 AND embedding_model = $3::varchar
        LIMIT $4
    ) AS memory_ids;
