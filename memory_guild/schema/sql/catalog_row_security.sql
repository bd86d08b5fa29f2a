-- Whether row-level security is enabled for the tables of schema $1 that are named in $2, and forced on their owner.
SELECT
    'row security' AS kind,
    relname AS table_name,
    relname AS name,
    concat_ws(
        ', ',
        CASE WHEN relrowsecurity THEN 'enabled' ELSE 'disabled' END,
        CASE WHEN relforcerowsecurity THEN 'forced' END
    ) AS definition
FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident($1::text)) AND relname = ANY ($2::text[])
    AND relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY relname;
