-- Which words of the question the memories in best say themselves, which their neighbors say, and which neighbors.
-- Other statements include this one; question, best and the tenant $1 are theirs.
SELECT
    near.receiver,
    array_agg(said.lexeme ORDER BY said.lexeme) FILTER (WHERE near.lender = near.receiver) AS own,
    array_agg(said.lexeme ORDER BY near.lender, said.lexeme)
        FILTER (WHERE near.lender <> near.receiver) AS others,
    array_agg(near.lender ORDER BY near.lender, said.lexeme)
        FILTER (WHERE near.lender <> near.receiver) AS neighbors
FROM (
    SELECT DISTINCT receiver, lender FROM memory_guild_word_lenders(ARRAY(SELECT memory_id FROM best))
) AS near
INNER JOIN memory_words AS lending ON lending.memory_id = near.lender AND lending.tenant_id = $1
CROSS JOIN unnest(tsvector_to_array(lending.lexemes)) AS said (lexeme)
WHERE said.lexeme = ANY ((SELECT asked FROM question)::text[])
GROUP BY near.receiver;
