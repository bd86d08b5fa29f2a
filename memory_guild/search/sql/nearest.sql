-- The memories of tenant $1 whose vectors by the model $13 are most like the question's. Other statements include this
-- one; question and $12, the most memories to return, are theirs.
SELECT nearest.memory_id, nearest.likeness
FROM question
CROSS JOIN LATERAL memory_guild_nearest($1, $13::varchar, question.embedding, greatest(150, $12::int)) AS nearest
-- The vector says how many numbers it has, and all vectors are compared; the server wants to know the types.
WHERE num_nulls($15::int, $16::uuid[]) >= 0;
