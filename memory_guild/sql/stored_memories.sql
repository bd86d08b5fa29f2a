-- The ids of the given memories that are there, forgotten or not, and whether the text there is the one given.
SELECT
    stored.memory_id,
    stored.agent_id,
    stored.tenant_id,
    stored.content_hash,
    stored.content_text = given.content_text AS same_text
FROM
    unnest($1::varchar[], $2::varchar[], $3::text[], $4::varchar[])
    AS given (agent_id, tenant_id, content_text, content_hash)
JOIN memory_records AS stored USING (agent_id, tenant_id, content_hash);
