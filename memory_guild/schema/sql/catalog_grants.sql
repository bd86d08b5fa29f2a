-- What roles other than the owner may do with the tables of schema $1 that are named in $2, and with their columns.
WITH tables AS (
    SELECT oid, relname, relowner, relacl
    FROM pg_class
    WHERE relnamespace = to_regnamespace(quote_ident($1::text)) AND relname = ANY ($2::text[])
        AND relkind IN ('r', 'p', 'v', 'm', 'f')
),
grants AS (
    SELECT relname, relowner, NULL AS attname, entry.*
    FROM tables
    CROSS JOIN aclexplode(relacl) AS entry
    UNION ALL
    SELECT relname, relowner, attname, entry.*
    FROM tables
    JOIN pg_attribute ON attrelid = oid AND NOT attisdropped
    CROSS JOIN aclexplode(attacl) AS entry
),
named AS (
    SELECT
        relname,
        is_grantable,
        concat_ws(
            ' ',
            privilege_type,
            '(' || quote_ident(attname) || ')',
            'TO',
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END
        ) AS name
    FROM grants
    WHERE grantee <> relowner
)
SELECT
    'grant' AS kind,
    relname AS table_name,
    name,
    concat_ws(' ', name, CASE WHEN bool_or(is_grantable) THEN 'WITH GRANT OPTION' END) AS definition
FROM named
GROUP BY relname, name
ORDER BY relname, name;
