-- Whether schema $1 can be sealed, whether it is, and whether the connection's login may read the key; and whether the
-- server has Citus.
SELECT
    seal.id IS NOT NULL AS can_be_sealed,
    EXISTS (
        SELECT
        FROM pg_policy
        WHERE polrelid = to_regclass(quote_ident($1::text) || '.memory_records')
            AND polname = 'tenant_isolation' AND pg_get_expr(polqual, polrelid) ~ 'memory_guild_(tenant\(\)|opened)'
    ) AS is_sealed,
    coalesce(has_table_privilege(seal.id, 'SELECT'), false) AS may_read_key,
    to_regclass('pg_catalog.pg_dist_schema') IS NOT NULL AS has_citus
FROM (VALUES (to_regclass(quote_ident($1::text) || '.memory_guild_seal'))) AS seal (id);
