-- The policies on the tables of schema $1 that are named in $2, each as its DDL would read.
SELECT
    'policy' AS kind,
    relname AS table_name,
    polname AS name,
    concat_ws(
        ' ',
        CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
        'FOR',
        CASE polcmd
            WHEN 'r' THEN 'SELECT'
            WHEN 'a' THEN 'INSERT'
            WHEN 'w' THEN 'UPDATE'
            WHEN 'd' THEN 'DELETE'
            ELSE 'ALL'
        END,
        'TO',
        (
            SELECT string_agg(role, ', ' ORDER BY role)
            FROM unnest(polroles) AS role_id
            CROSS JOIN LATERAL (
                SELECT CASE role_id WHEN 0 THEN 'PUBLIC' ELSE role_id::regrole::text END AS role
            ) AS roles
        ),
        'USING (' || pg_get_expr(polqual, polrelid, true) || ')',
        'WITH CHECK (' || pg_get_expr(polwithcheck, polrelid, true) || ')'
    ) AS definition
FROM pg_class
JOIN pg_policy ON polrelid = pg_class.oid
WHERE relnamespace = to_regnamespace(quote_ident($1::text)) AND relname = ANY ($2::text[])
ORDER BY relname, polname;
