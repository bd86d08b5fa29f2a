-- Which schemas have to move to which workers for these to have about as much each.
SELECT DISTINCT
    nspname AS group_name,
    format('%s:%s', targetname, targetport) AS node
FROM get_rebalance_table_shards_plan()
INNER JOIN pg_class ON pg_class.oid = table_name
INNER JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = ANY ($1::text[])
ORDER BY group_name;
