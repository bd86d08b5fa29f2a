-- Whether schema $1 can be sealed, whether it is, and whether the connection's login may read the key.
SELECT
    seal.id IS NOT NULL AS can_be_sealed,
    EXISTS (
        SELECT
        FROM pg_policy
        WHERE polrelid = to_regclass(quote_ident($1::text) || '.memory_records')
            AND polname = 'tenant_isolation' AND pg_get_expr(polqual, polrelid) LIKE '%memory_guild_tenant()%'
    ) AS is_sealed,
    coalesce(has_table_privilege(seal.id, 'SELECT'), false) AS may_read_key
FROM (VALUES (to_regclass(quote_ident($1::text) || '.memory_guild_seal'))) AS seal (id);
