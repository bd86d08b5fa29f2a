-- The statements that give the shards of schema $1 policies with sub-queries, each with the table that it is for.
WITH shards AS (
    SELECT
        logicalrelid AS table_id,
        relname AS table_name,
        format('%I.%I', nspname, relname || '_' || shardid) AS shard
    FROM pg_dist_shard
    INNER JOIN pg_class ON pg_class.oid = logicalrelid
    INNER JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = $1::text
),
tenants AS (
    SELECT
        quote_ident($1) AS home,
        CASE
            WHEN pg_get_expr(polqual, polrelid) ~ 'memory_guild_opened'
                THEN format('(SELECT %I.memory_guild_tenant())', $1)
            ELSE 'nullif(current_setting(''memory_guild.tenant_id'', true), '''')'
        END AS tenant
    FROM pg_policy
    WHERE polname = 'tenant_isolation' AND polrelid = to_regclass(format('%I.memory_records', $1))
),
expressions AS (
    SELECT
        'memory_records' AS table_name,
        format('tenant_id = %s', tenant) AS visible,
        format('tenant_id = %s OR %s.memory_guild_refuse_tenant(tenant_id)', tenant, home) AS allowed
    FROM tenants
    UNION ALL
    SELECT 'memory_sources', format('tenant_id = %s', tenant), format('tenant_id = %s', tenant)
    FROM tenants
    UNION ALL
    SELECT
        'memory_embeddings',
        format('(SELECT true FROM %s memory WHERE memory.memory_id = %s.memory_id)', memories.shard, own.shard),
        format(
            '(SELECT true FROM %s memory WHERE memory.memory_id = %s.memory_id)'
            ' OR %s.memory_guild_refuse_memory(%L, memory_id)',
            memories.shard,
            own.shard,
            home,
            'memory_embeddings'
        )
    FROM tenants
    INNER JOIN shards AS memories ON memories.table_name = 'memory_records'
    INNER JOIN shards AS own ON own.table_name = 'memory_embeddings'
    UNION ALL
    SELECT
        'memory_relationships',
        format('(SELECT true FROM %s memory WHERE memory.memory_id = source_memory_id)', memories.shard),
        format(
            '(SELECT true FROM %1$s source JOIN %1$s target ON target.tenant_id = source.tenant_id'
            ' WHERE source.memory_id = source_memory_id AND target.memory_id = target_memory_id)'
            ' OR %2$s.memory_guild_refuse_memory(%3$L, source_memory_id)',
            memories.shard,
            home,
            'memory_relationships'
        )
    FROM tenants
    INNER JOIN shards AS memories ON memories.table_name = 'memory_records'
)
SELECT
    shards.table_id::text,
    format('ALTER POLICY tenant_isolation ON %s USING (%s) WITH CHECK (%s)', shard, visible, allowed) AS statement
FROM expressions
INNER JOIN shards ON shards.table_name = expressions.table_name;
