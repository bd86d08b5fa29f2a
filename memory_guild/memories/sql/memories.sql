-- The columns of memories, for the statements that include this one.
-- They are named, so that a statement that is prepared stays valid when a later version adds a column to the table.
SELECT
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
    deleted_at
FROM memory_records;
