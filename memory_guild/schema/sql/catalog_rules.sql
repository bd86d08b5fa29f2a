-- The rewrite rules on the tables of schema $1 that are named in $2: ON INSERT DO INSTEAD NOTHING loses every row.
SELECT
    'rule' AS kind,
    relname AS table_name,
    rulename AS name,
    concat_ws(
        '; ',
        pg_get_ruledef(pg_rewrite.oid, true),
        CASE ev_enabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'on replicas only' WHEN 'A' THEN 'always on' END
    ) AS definition
FROM pg_class
JOIN pg_rewrite ON ev_class = pg_class.oid
WHERE relnamespace = to_regnamespace(quote_ident($1::text)) AND relname = ANY ($2::text[])
ORDER BY relname, rulename;
