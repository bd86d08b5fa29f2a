-- As closest.sql, and if $11, only the memories that match the conditions $2 to $9.
SELECT
    memory_id, is_question, names_time, starts,
    memory_guild_closeness(words, (SELECT question.words FROM question)) AS closeness
FROM memory_words
WHERE
    tenant_id = $1
    AND NOT is_forgotten
    AND (NOT $11::boolean OR EXISTS (
        SELECT FROM include.memories.matching_memories AS matching WHERE matching.memory_id = memory_words.memory_id
    ))
ORDER BY closeness DESC, memory_id
LIMIT greatest(200, 4 * $12::int);
