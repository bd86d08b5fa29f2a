-- Whether the search's vectors are here, and this login may count those of all tenants.
SELECT
    to_regproc('memory_guild_vectors_index') IS NOT NULL
    AND COALESCE(pg_has_role(
        session_user,
        to_regrole('memory_guild_admin'),
        CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END
    ), false);
