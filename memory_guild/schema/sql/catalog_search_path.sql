-- Sets the search_path of the transaction to the schema $1, and the one that has pgvector's types.
SELECT set_config('search_path', concat_ws(', ', quote_ident($1::text), home, 'pg_temp'), true)
FROM (VALUES (0)) AS one
LEFT JOIN (
    SELECT quote_ident(nspname) AS home
    FROM pg_catalog.pg_extension AS extension
    INNER JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = extension.extnamespace
    WHERE extname = 'vector' AND nspname <> $1
) AS vectors ON true;
