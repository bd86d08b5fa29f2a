-- Claims changed vectors of the index $1 that are due, of the tenant $2 or of all (NULL), at most $3 of them, those
-- first that are due longest. Nobody else touches them for $4 seconds. $5 is the claim. What somebody else has is not
-- due; what another transaction is changing just now is left out.
WITH due AS MATERIALIZED (
    SELECT tenant_id, embedding_model, memory_id
    FROM memory_vector_outbox
    WHERE index_name = $1::varchar AND ($2::varchar IS NULL OR tenant_id = $2) AND due_at <= now()
    ORDER BY due_at
    LIMIT $3
    FOR UPDATE SKIP LOCKED
)

UPDATE memory_vector_outbox AS outbox
SET claim = $5::uuid, due_at = now() + make_interval(secs => $4::float)
FROM due
WHERE
    outbox.index_name = $1 AND outbox.tenant_id = due.tenant_id
    AND outbox.embedding_model = due.embedding_model AND outbox.memory_id = due.memory_id
RETURNING outbox.tenant_id, outbox.embedding_model, outbox.memory_id, outbox.version, outbox.attempts;
