-- How many shards of edges have the table's policy, which asks a function for each row.
SELECT count(*) AS shards
FROM run_command_on_shards(
    'memory_relationships'::regclass,
    'SELECT count(*) FROM pg_policy WHERE polrelid = ''%s''::regclass AND polname = ''tenant_isolation'''
    ' AND pg_get_expr(polqual, polrelid) ~ ''memory_guild_sees'''
)
WHERE success AND result <> '0';
