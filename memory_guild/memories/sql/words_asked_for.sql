-- The text among the conditions $7 and $8, as the text search reads it; necessary is the part of it that every match
-- must have, NULL where it only excludes words.
SELECT
    query,
    numnode(query) = 0 AS is_empty,
    nullif(querytree(query), 'T')::tsquery AS necessary
FROM unnest($7::text[], $8::jsonb[]) AS condition (operator, value)
CROSS JOIN websearch_to_tsquery(memory_guild_text_search(), value #>> '{}') AS query
WHERE operator = 'words';
