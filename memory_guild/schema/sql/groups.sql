-- The groups of the catalogue, the oldest first, with the size of all that is in their schemas.
SELECT
    group_name AS name,
    tenants,
    created_at,
    coalesce((
        SELECT sum(pg_total_relation_size(oid))
        FROM pg_class
        WHERE relnamespace = to_regnamespace(quote_ident(group_name)) AND relkind IN ('r', 'm')
    ), 0)::bigint AS size_bytes
FROM memory_groups
ORDER BY created_at, group_name;
