-- The tables of schema $1 that are named in $2: which kind of relation each one is, and who inherits from whom.
SELECT
    'table' AS kind,
    relname AS table_name,
    relname AS name,
    concat_ws(
        ' ',
        CASE relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' END,
        CASE relkind
            WHEN 'r' THEN 'table'
            WHEN 'p' THEN 'partitioned table'
            WHEN 'v' THEN 'view'
            WHEN 'm' THEN 'materialized view'
            WHEN 'f' THEN 'foreign table'
        END,
        'that inherits from '
        || (SELECT string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = oid),
        'inherited by '
        || (
            SELECT string_agg(inhrelid::regclass::text, ', ' ORDER BY inhrelid::regclass::text)
            FROM pg_inherits
            WHERE inhparent = oid
        )
    ) AS definition
FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident($1::text)) AND relname = ANY ($2::text[])
    AND relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY relname;
