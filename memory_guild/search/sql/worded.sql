-- The memories of tenant $1 whose words answer best, by all or, if $11, by those that match the conditions $2 to $9.
-- Other statements include this one; question and the most memories to return, $12, are theirs.
SELECT closest.memory_id, closest.is_question, closest.names_time, closest.starts, closest.closeness
FROM question CROSS JOIN LATERAL memory_guild_closest($1, question.words, greatest(200, 4 * $12::int)) AS closest
WHERE NOT $11::boolean
UNION ALL
SELECT memory_id, is_question, names_time, starts, closeness
FROM (
    SELECT
        memory_id, is_question, names_time, starts,
        memory_guild_closeness(words, (SELECT question.words FROM question)) AS closeness
    FROM memory_words
    WHERE
        $11
        AND tenant_id = $1
        AND NOT is_forgotten
        AND EXISTS (
            SELECT FROM include.memories.matching_memories AS matching WHERE matching.memory_id = memory_words.memory_id
        )
    ORDER BY closeness DESC, memory_id
    LIMIT greatest(200, 4 * $12)
) AS matched;
