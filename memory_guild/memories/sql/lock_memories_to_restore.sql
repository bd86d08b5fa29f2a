-- As lock_memories.sql, and whether each is held in quarantine.
SELECT
    found.*,
    EXISTS (SELECT FROM memory_sources WHERE memory_sources.memory_id = found.memory_id AND is_held) AS is_held
FROM include.lock_memories AS found;
