-- Which words of the question the memories in best say themselves, which their neighbors say, and which neighbors.
-- Other statements include this one; question, best and the tenant $1 are theirs.
SELECT reasons.receiver, reasons.own, reasons.others, reasons.neighbors
FROM question
CROSS JOIN LATERAL memory_guild_word_reasons($1, question.asked, ARRAY(SELECT memory_id FROM best)) AS reasons;
