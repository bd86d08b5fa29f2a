-- How much of the tables of the schema $1 has arrived where they are being moved to, from 0 to 1.
SELECT coalesce(sum(least(target_shard_size, source_shard_size)) / nullif(sum(source_shard_size), 0), 0)::float
FROM get_rebalance_progress() AS moving (
    sessionid, table_name, shardid, shard_size, sourcename, sourceport, targetname, targetport, progress,
    source_shard_size, target_shard_size, operation_type, source_lsn, target_lsn, status
)
INNER JOIN pg_class ON pg_class.oid = table_name
WHERE relnamespace = to_regnamespace(quote_ident($1::text));
