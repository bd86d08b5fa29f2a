-- Stores the text $4 with hash $5, source type $3, metadata $6 (NULL: none) and created_at $7 (NULL: now) for agent $1
-- of tenant $2; no row if the agent has it.
INSERT INTO memory_records
(agent_id, tenant_id, source_type, content_text, content_hash, metadata, created_at, updated_at)
VALUES (
    $1::varchar,
    $2::varchar,
    $3::varchar,
    $4::text,
    $5::varchar,
    COALESCE($6::jsonb, '{}'),
    -- The time of the statement, not of the transaction: what one scope stores keeps its order.
    COALESCE($7::timestamptz, statement_timestamp()),
    statement_timestamp()
)
ON CONFLICT (agent_id, tenant_id, content_hash) DO NOTHING
RETURNING
    'created' AS outcome,
    true AS same_text,
    true AS fits,
    memory_id,
    agent_id,
    tenant_id,
    source_type,
    content_text,
    content_hash,
    metadata,
    created_at,
    updated_at,
    is_deleted,
    deleted_at;
