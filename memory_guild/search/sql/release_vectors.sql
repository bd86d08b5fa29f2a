-- Ends the claim $5 of vectors that stay in the outbox of the index $1: of the tenants $2, the models $3 and the
-- memories $4. They are due in $6 seconds; $7 is how often the index has failed. One that is still of the version $8
-- (NULL for none) stays as it is, and so does one that another transaction is changing just now. The rows are those
-- that are released.
WITH released AS MATERIALIZED (
    SELECT tenant_id, index_name, embedding_model, memory_id, seconds, failures
    FROM unnest($2::varchar[], $3::varchar[], $4::uuid[], $6::float[], $7::int[], $8::bigint[])
        AS released (tenant_id, embedding_model, memory_id, seconds, failures, kept_version)
    INNER JOIN memory_vector_outbox AS outbox USING (tenant_id, embedding_model, memory_id)
    WHERE
        outbox.index_name = $1::varchar AND outbox.claim = $5::uuid
        AND outbox.version IS DISTINCT FROM released.kept_version
    FOR UPDATE OF outbox SKIP LOCKED
)

UPDATE memory_vector_outbox AS outbox
SET claim = NULL, due_at = now() + make_interval(secs => released.seconds), attempts = released.failures
FROM released
WHERE
    outbox.tenant_id = released.tenant_id AND outbox.index_name = released.index_name
    AND outbox.embedding_model = released.embedding_model AND outbox.memory_id = released.memory_id
RETURNING outbox.tenant_id, outbox.embedding_model, outbox.memory_id;
