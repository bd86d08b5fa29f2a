-- The memories of tenant $1 whose words answer best. Other statements include this one; question and $12, the most
-- memories to return, are theirs. Which plan is good does not depend on the tenant: the function sees to that.
SELECT closest.memory_id, closest.is_question, closest.names_time, closest.starts, closest.closeness
FROM question CROSS JOIN LATERAL memory_guild_closest($1, question.words, greatest(200, 4 * $12::int)) AS closest
-- There are no conditions; the server wants to know the types of all parameters.
WHERE num_nulls(
    $2::varchar[], $3::varchar[], $4::timestamptz, $5::timestamptz, $6::text[], $7::text[], $8::text[], $9::boolean,
    $11::boolean
) >= 0;
