-- An empty temporary table for many memories that are about to be stored.
CREATE TEMPORARY TABLE IF NOT EXISTS memory_guild_staged (
    number INT,
    agent_id VARCHAR,
    source_type VARCHAR,
    content_text TEXT,
    content_hash VARCHAR,
    metadata JSONB
);
TRUNCATE pg_temp.memory_guild_staged;
