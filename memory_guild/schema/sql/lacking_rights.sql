-- The statements that give the roles of the scopes in schema $2 what they have in schema $1, where the migrations have
-- just run, and lack in $2: grants on the schema, its tables, columns, sequences and functions, and the policies that
-- name a role. search_path must be $1 here, so that expressions are printed without it, and $2 where they are run.
WITH spaces AS (
    SELECT
        to_regnamespace(quote_ident($1::text)) AS expected_id,
        to_regnamespace(quote_ident($2::text)) AS live_id
),
entries AS (
    SELECT nspname = $1::text AS is_expected, format('SCHEMA %I', $2::text) AS target, NULL AS column_name, entry.*
    FROM spaces
    JOIN pg_namespace ON pg_namespace.oid IN (expected_id, live_id)
    CROSS JOIN aclexplode(nspacl) AS entry
    UNION ALL
    SELECT
        relnamespace = expected_id,
        CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END || format(' %I.%I', $2::text, relname),
        NULL,
        entry.*
    FROM spaces
    JOIN pg_class ON relnamespace IN (expected_id, live_id) AND relkind IN ('r', 'p', 'S')
    CROSS JOIN aclexplode(relacl) AS entry
    UNION ALL
    SELECT relnamespace = expected_id, format('TABLE %I.%I', $2::text, relname), quote_ident(attname), entry.*
    FROM spaces
    JOIN pg_class ON relnamespace IN (expected_id, live_id) AND relkind IN ('r', 'p')
    JOIN pg_attribute ON attrelid = pg_class.oid AND NOT attisdropped
    CROSS JOIN aclexplode(attacl) AS entry
    UNION ALL
    SELECT
        pronamespace = expected_id,
        format('FUNCTION %I.%I(%s)', $2::text, proname, pg_get_function_identity_arguments(pg_proc.oid)),
        NULL,
        entry.*
    FROM spaces
    JOIN pg_proc ON pronamespace IN (expected_id, live_id)
    CROSS JOIN aclexplode(coalesce(proacl, acldefault('f', proowner))) AS entry
),
lacking AS (
    SELECT target, column_name, privilege_type, grantee
    FROM entries
    WHERE is_expected AND grantee IN (0, to_regrole('memory_guild_app'), to_regrole('memory_guild_admin'))
    EXCEPT
    SELECT target, column_name, privilege_type, grantee
    FROM entries
    WHERE NOT is_expected
)
SELECT
    format(
        'GRANT %s ON %s TO %s',
        string_agg(
            privilege_type || coalesce(' (' || column_name || ')', ''), ', ' ORDER BY privilege_type, column_name
        ),
        target,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END
    ) AS statement
FROM lacking
GROUP BY target, grantee
UNION ALL
SELECT
    concat_ws(
        ' ',
        format('CREATE POLICY %I ON %I.%I', polname, $2::text, relname),
        'AS ' || CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
        'FOR '
        || CASE polcmd
            WHEN 'r' THEN 'SELECT'
            WHEN 'a' THEN 'INSERT'
            WHEN 'w' THEN 'UPDATE'
            WHEN 'd' THEN 'DELETE'
            ELSE 'ALL'
        END,
        'TO ' || (SELECT string_agg(role_id::regrole::text, ', ') FROM unnest(polroles) AS role_id),
        'USING (' || pg_get_expr(polqual, polrelid) || ')',
        'WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')'
    )
FROM spaces
JOIN pg_class ON relnamespace = expected_id
JOIN pg_policy ON polrelid = pg_class.oid AND polroles <> '{0}'
WHERE NOT EXISTS (
    SELECT
    FROM pg_policy AS live
    WHERE live.polname = pg_policy.polname
        AND live.polrelid = to_regclass(format('%I.%I', $2::text, relname))
)
ORDER BY statement;
