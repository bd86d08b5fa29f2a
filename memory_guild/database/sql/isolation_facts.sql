-- What decides whether tenants are isolated in the connection's schema for the connection's login, as one row.
WITH role AS (
    SELECT oid, rolname, rolsuper, rolbypassrls FROM pg_roles
), tenant_table AS (
    SELECT c.oid, wanted.name, c.relrowsecurity, c.relforcerowsecurity, c.relowner
    FROM (VALUES ('memory_records', true),
                 ('memory_embeddings', true),
                 ('memory_relationships', true),
                 ('memory_sources', false),
                 ('memory_words', false),
                 ('memory_word_counts', false),
                 ('memory_vectors', false),
                 ('memory_own_vectors', false),
                 ('memory_vector_models', false),
                 ('memory_vector_outbox', false),
                 ('memory_audit', false)) AS wanted (name, is_required)
    LEFT JOIN pg_class AS c ON c.oid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
    WHERE c.oid IS NOT NULL OR wanted.is_required
), guard AS (
    SELECT wanted.table_name, wanted.trigger_name
    FROM (VALUES ('memory_records', 'memory_guild_identity_guard'),
                 ('memory_relationships', 'memory_guild_edge_guard_insert'),
                 ('memory_relationships', 'memory_guild_edge_guard_update'),
                 ('memory_embeddings', 'memory_guild_embedding_guard_insert'),
                 ('memory_embeddings', 'memory_guild_embedding_guard_update'),
                 ('memory_sources', 'memory_guild_stamp_guard'),
                 ('memory_sources', 'memory_guild_stamps_inserted'),
                 ('memory_sources', 'memory_guild_stamps_updated'),
                 ('memory_vectors', 'memory_guild_vector_guard'),
                 ('memory_audit', 'memory_guild_append_only')) AS wanted (table_name, trigger_name)
    INNER JOIN tenant_table AS t ON t.name = wanted.table_name
    LEFT JOIN pg_trigger AS g ON g.tgrelid = t.oid AND g.tgname = wanted.trigger_name AND g.tgenabled IN ('O', 'A')
    WHERE g.oid IS NULL
)
SELECT quote_ident(session_user) AS login,
       (SELECT rolsuper FROM role WHERE rolname = session_user) AS login_is_superuser,
       (SELECT rolbypassrls FROM role WHERE rolname = session_user) AS login_bypasses_row_security,
       EXISTS (SELECT FROM tenant_table WHERE pg_get_userbyid(relowner) = session_user) AS login_owns_tables,
       ARRAY(SELECT wanted FROM unnest(ARRAY['memory_guild_app', 'memory_guild_admin']) AS wanted
             WHERE NOT EXISTS (SELECT FROM role WHERE rolname = wanted)) AS missing_roles,
       ARRAY(SELECT rolname::text FROM role WHERE rolname IN ('memory_guild_app', 'memory_guild_admin')
             AND (rolsuper OR rolbypassrls)) AS roles_above_row_security,
       COALESCE(pg_has_role(session_user, to_regrole('memory_guild_app'), member.privilege), false)
           AS may_become_app,
       COALESCE(pg_has_role(session_user, to_regrole('memory_guild_admin'), member.privilege), false)
           AS may_become_admin,
       ARRAY(SELECT name FROM tenant_table WHERE relrowsecurity AND relforcerowsecurity IS NOT TRUE
             OR relrowsecurity IS NOT TRUE) AS tables_without_row_security,
       ARRAY(SELECT name FROM tenant_table AS t WHERE NOT EXISTS (
             SELECT FROM pg_policy AS p WHERE p.polrelid = t.oid AND p.polname = 'tenant_isolation'
             -- The audit's is for who adds entries, and has no condition for readers.
             AND pg_get_expr(COALESCE(p.polqual, p.polwithcheck), p.polrelid)
                 ~ CASE WHEN t.name IN ('memory_embeddings', 'memory_relationships') THEN 'memory_(records|guild_sees)'
                        ELSE 'memory_guild[._](tenant|own|opened)' END
             )) AS tables_without_policy,
       EXISTS (SELECT FROM tenant_table AS t JOIN pg_policy AS p ON p.polrelid = t.oid
               WHERE t.name = 'memory_records' AND p.polname = 'tenant_isolation'
               AND pg_get_expr(p.polqual, p.polrelid) ~ 'memory_guild_(tenant\(\)|opened)') AS is_sealed,
       ARRAY(SELECT c.relname::text FROM pg_class AS c
             WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema()))
             AND c.relname LIKE 'memory\_guild\_seal%' AND c.relkind IN ('r', 'S')
             AND to_regrole('memory_guild_app') IS NOT NULL AND (
                 has_table_privilege(to_regrole('memory_guild_app'), c.oid, 'SELECT')
                 OR has_table_privilege(to_regrole('memory_guild_app'), c.oid, 'UPDATE')
                 OR has_table_privilege(to_regrole('memory_guild_app'), c.oid, 'INSERT')
                 OR c.relkind = 'S' AND has_sequence_privilege(to_regrole('memory_guild_app'), c.oid, 'USAGE')
             )) AS seals_in_reach,
       ARRAY(SELECT quote_ident(rolname) FROM role
             WHERE rolname NOT IN (session_user, 'memory_guild_app', 'memory_guild_admin')
             AND pg_has_role(session_user, oid, member.privilege) ORDER BY rolname) AS may_become_too,
       ARRAY(SELECT quote_ident(p.polname) || ' ON ' || t.name FROM tenant_table AS t
             JOIN pg_policy AS p ON p.polrelid = t.oid
             WHERE p.polpermissive AND p.polname NOT IN ('tenant_isolation', 'maintenance')) AS foreign_policies,
       ARRAY(SELECT table_name || ': ' || trigger_name FROM guard) AS missing_guards,
       ARRAY(
           SELECT name FROM tenant_table WHERE oid IS NOT NULL AND to_regrole('memory_guild_app') IS NOT NULL
           AND name <> 'memory_audit' AND NOT (
             has_table_privilege(to_regrole('memory_guild_app'), oid, 'SELECT')
             -- A stamp goes with its memory, and no other way.
             AND (has_table_privilege(to_regrole('memory_guild_app'), oid, 'DELETE') OR name = 'memory_sources')
             AND has_any_column_privilege(to_regrole('memory_guild_app'), oid, 'INSERT')
             AND has_any_column_privilege(to_regrole('memory_guild_app'), oid, 'UPDATE'))) AS tables_without_grants,
       ARRAY(SELECT name FROM tenant_table WHERE oid IS NOT NULL AND to_regrole('memory_guild_app') IS NOT NULL
             AND has_table_privilege(to_regrole('memory_guild_app'), oid, 'TRUNCATE')) AS tables_with_truncate,
       ARRAY(SELECT rolname::text FROM role WHERE rolbypassrls AND NOT rolsuper) AS backup_roles,
       current_setting('plan_cache_mode') AS plan_cache_mode,
       current_setting('row_security') AS row_security,
       pg_backend_pid() AS backend_pid
FROM (
    SELECT CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END AS privilege
) AS member;
