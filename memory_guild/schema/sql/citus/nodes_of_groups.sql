-- On which worker the tables of each schema $1 are, and how large they are there.
SELECT
    nspname AS group_name,
    min(format('%s:%s', nodename, nodeport)) AS node,
    sum(shard_size)::bigint AS size_bytes
FROM citus_shards
INNER JOIN pg_class ON pg_class.oid = table_name
INNER JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = ANY ($1::text[])
GROUP BY nspname;
