-- Takes the vectors out of the outbox in which the index $1 is equal now: of the tenants $2, the models $3 and the
-- memories $4, if they are still of version $5 and in the claim $6. One that another transaction is changing just now
-- is left out. The rows are those that are gone.
WITH settled AS MATERIALIZED (
    SELECT tenant_id, index_name, embedding_model, memory_id
    FROM unnest($2::varchar[], $3::varchar[], $4::uuid[], $5::bigint[])
        AS settled (tenant_id, embedding_model, memory_id, version)
    INNER JOIN memory_vector_outbox AS outbox USING (tenant_id, embedding_model, memory_id, version)
    WHERE outbox.index_name = $1::varchar AND outbox.claim = $6::uuid
    FOR UPDATE OF outbox SKIP LOCKED
)

DELETE FROM memory_vector_outbox AS outbox USING settled
WHERE
    outbox.tenant_id = settled.tenant_id AND outbox.index_name = settled.index_name
    AND outbox.embedding_model = settled.embedding_model AND outbox.memory_id = settled.memory_id
RETURNING outbox.tenant_id, outbox.embedding_model, outbox.memory_id;
