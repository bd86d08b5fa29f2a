-- An empty temporary table for many memories that are about to be stored.
CREATE TEMPORARY TABLE IF NOT EXISTS memory_guild_staged (
    number int,
    agent_id varchar,
    source_type varchar,
    content_text text,
    content_hash varchar,
    metadata jsonb,
    created_at timestamptz
);
TRUNCATE pg_temp.memory_guild_staged;
