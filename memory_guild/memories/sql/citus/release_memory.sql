-- Releases the memory of judged_memories.sql from quarantine, if it is about to be restored.
UPDATE memory_sources
SET is_held = false
FROM include.judged_memories AS judged
WHERE memory_sources.memory_id = judged.memory_id AND memory_sources.is_held AND judged.is_needed AND judged.is_deleted;
