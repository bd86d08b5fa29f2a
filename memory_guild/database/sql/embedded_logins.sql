-- The logins of the embedded server that own nothing: one for agents, one for maintenance. Several processes may run
-- this at once.
DO $$
DECLARE
    login TEXT;
    role TEXT;
BEGIN
    FOR login, role IN
        VALUES ('memory_guild_agents', 'memory_guild_app'), ('memory_guild_maintenance', 'memory_guild_admin')
    LOOP
        IF to_regrole(login) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I LOGIN', login);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
        IF to_regrole(role) IS NOT NULL AND NOT pg_has_role(login, role, 'MEMBER') THEN
            BEGIN
                EXECUTE format('GRANT %I TO %I', role, login);
            EXCEPTION
                WHEN unique_violation THEN NULL;
            END;
        END IF;
    END LOOP;
END $$;
