"""Tenants that cannot see each other: two roles, row-level security on the three tenant tables, and guards.

Nothing is added to the columns, constraints and indexes. Every function names its tables with their schema, so that a
caller's search_path decides nothing.
"""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
-- The roles belong to the whole server: another database, or a DBA, may have made them before.
DO $migration$
DECLARE
    wanted TEXT;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['memory_guild_app', 'memory_guild_admin'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', wanted);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN
                    NULL;  -- another database's migration was faster
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'the role % is missing and % may not create roles', wanted, current_user
                        USING ERRCODE = 'MG001', HINT =
                            'Let a DBA run: CREATE ROLE memory_guild_app NOLOGIN; CREATE ROLE memory_guild_admin NOLOGIN; '
                            || format('GRANT memory_guild_app, memory_guild_admin TO %I', current_user);
            END;
        END IF;
        -- The migrating login uses the scopes too, where it may. A superuser needs no membership; since PostgreSQL 16
        -- who creates a role is a member that may not become it.
        IF NOT pg_has_role(current_user, wanted, CASE WHEN current_setting('server_version_num')::INT < 160000 THEN 'MEMBER' ELSE 'SET' END) THEN
            BEGIN
                EXECUTE format('GRANT %I TO %I', wanted, current_user);
            EXCEPTION
                WHEN unique_violation THEN
                    NULL;  -- another database's migration was faster
                WHEN insufficient_privilege THEN
                    NULL;  -- a login that only migrates
            END;
        END IF;
    END LOOP;

    EXECUTE format('GRANT USAGE ON SCHEMA %I TO memory_guild_app, memory_guild_admin', current_schema());
    IF to_regclass('aerich') IS NOT NULL THEN
        GRANT SELECT ON aerich TO memory_guild_app, memory_guild_admin;
    END IF;
END $migration$;

-- Ids are the database's: whoever may choose one can ask whether a stranger's row has it. Never granted: TRUNCATE,
-- REFERENCES and TRIGGER, which row-level security does not restrict.
GRANT SELECT, DELETE ON memory_records, memory_embeddings, memory_relationships TO memory_guild_app;
GRANT INSERT (agent_id, tenant_id, source_type, content_text, content_hash, metadata, created_at, updated_at, is_deleted, deleted_at),
      UPDATE (agent_id, tenant_id, source_type, content_text, content_hash, metadata, created_at, updated_at, is_deleted, deleted_at)
    ON memory_records TO memory_guild_app;
GRANT INSERT (memory_id, vector_id, embedding_model, created_at),
      UPDATE (memory_id, vector_id, embedding_model, created_at)
    ON memory_embeddings TO memory_guild_app;
GRANT INSERT (source_memory_id, target_memory_id, relationship_type, confidence_score, created_at),
      UPDATE (source_memory_id, target_memory_id, relationship_type, confidence_score, created_at)
    ON memory_relationships TO memory_guild_app;
GRANT SELECT ON data_sources, memory_access_policies TO memory_guild_app;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON memory_records, memory_embeddings, memory_relationships, data_sources, memory_access_policies TO memory_guild_admin;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- A row of another tenant, or no tenant at all. Called only by a policy that has failed; the maintenance role
        -- has a policy of its own that is still to be asked.
        CREATE FUNCTION %1$I.memory_guild_refuse_tenant() RETURNS BOOLEAN
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            IF current_user = 'memory_guild_admin' THEN
                RETURN false;
            ELSIF NULLIF(current_setting('memory_guild.tenant_id', true), '') IS NULL THEN
                RAISE EXCEPTION 'no tenant is set' USING ERRCODE = 'MG003', TABLE = 'memory_records';
            END IF;
            RAISE EXCEPTION 'the row belongs to another tenant' USING ERRCODE = 'MG002', TABLE = 'memory_records';
        END $body$;

        -- A memory that is another tenant's is a memory that does not exist: one error, the foreign key's.
        CREATE FUNCTION %1$I.memory_guild_refuse_memory(refused_by TEXT) RETURNS BOOLEAN
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            RAISE EXCEPTION 'the memory does not exist'
                USING ERRCODE = 'foreign_key_violation', TABLE = refused_by, CONSTRAINT = 'tenant_isolation';
        END $body$;

        CREATE FUNCTION %1$I.memory_guild_identity_guard() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            RAISE EXCEPTION 'memory_id and tenant_id of a memory cannot be changed'
                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
        END $body$;

        CREATE FUNCTION %1$I.memory_guild_touch() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            NEW.updated_at := now();
            RETURN NEW;
        END $body$;

        -- For the roles that bypass row-level security; all others have the policies' WITH CHECK.
        CREATE FUNCTION %1$I.memory_guild_edge_guard() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            IF EXISTS (
                SELECT FROM new_rows WHERE NOT EXISTS (
                    SELECT FROM %1$I.memory_records source JOIN %1$I.memory_records target ON target.tenant_id = source.tenant_id
                    WHERE source.memory_id = new_rows.source_memory_id AND target.memory_id = new_rows.target_memory_id
                      AND source.tenant_id = COALESCE(NULLIF(current_setting('memory_guild.tenant_id', true), ''), source.tenant_id)
                )
            ) THEN
                PERFORM %1$I.memory_guild_refuse_memory(TG_TABLE_NAME);
            END IF;
            RETURN NULL;
        END $body$;

        CREATE FUNCTION %1$I.memory_guild_embedding_guard() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            IF EXISTS (
                SELECT FROM new_rows JOIN %1$I.memory_records memory USING (memory_id)
                WHERE memory.tenant_id <> COALESCE(NULLIF(current_setting('memory_guild.tenant_id', true), ''), memory.tenant_id)
            ) THEN
                PERFORM %1$I.memory_guild_refuse_memory(TG_TABLE_NAME);
            END IF;
            RETURN NULL;
        END $body$;

        -- Not left to the default, which a server may have taken away from PUBLIC.
        GRANT EXECUTE ON FUNCTION %1$I.memory_guild_refuse_tenant(), %1$I.memory_guild_refuse_memory(TEXT) TO PUBLIC;
    $function$, current_schema());
END $migration$;

CREATE TRIGGER memory_guild_identity_guard BEFORE UPDATE ON memory_records FOR EACH ROW
    WHEN (OLD.tenant_id IS DISTINCT FROM NEW.tenant_id OR OLD.memory_id IS DISTINCT FROM NEW.memory_id)
    EXECUTE FUNCTION memory_guild_identity_guard();
CREATE TRIGGER memory_guild_touch BEFORE UPDATE ON memory_records FOR EACH ROW
    WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at) EXECUTE FUNCTION memory_guild_touch();
CREATE TRIGGER memory_guild_touch BEFORE UPDATE ON memory_access_policies FOR EACH ROW
    WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at) EXECUTE FUNCTION memory_guild_touch();
CREATE TRIGGER memory_guild_edge_guard_insert AFTER INSERT ON memory_relationships
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
    WHEN (NOT row_security_active('memory_relationships'::regclass)) EXECUTE FUNCTION memory_guild_edge_guard();
CREATE TRIGGER memory_guild_edge_guard_update AFTER UPDATE ON memory_relationships
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
    WHEN (NOT row_security_active('memory_relationships'::regclass)) EXECUTE FUNCTION memory_guild_edge_guard();
CREATE TRIGGER memory_guild_embedding_guard_insert AFTER INSERT ON memory_embeddings
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
    WHEN (NOT row_security_active('memory_embeddings'::regclass)) EXECUTE FUNCTION memory_guild_embedding_guard();
CREATE TRIGGER memory_guild_embedding_guard_update AFTER UPDATE ON memory_embeddings
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
    WHEN (NOT row_security_active('memory_embeddings'::regclass)) EXECUTE FUNCTION memory_guild_embedding_guard();

-- After the first transaction that set it, the setting reads '' where it is not set.
CREATE POLICY tenant_isolation ON memory_records
    USING (tenant_id = NULLIF(current_setting('memory_guild.tenant_id', true), ''))
    WITH CHECK (tenant_id = NULLIF(current_setting('memory_guild.tenant_id', true), '') OR memory_guild_refuse_tenant());
-- By name, not by membership: a login that inherits from the role sees nothing more until it becomes the role.
CREATE POLICY maintenance ON memory_records TO memory_guild_admin USING (current_user = 'memory_guild_admin');

-- The sub-queries run under memory_records' own policies. They are scalar on purpose: EXISTS may be planned as a hash of
-- the whole tenant. Both ends of an edge are in one tenant when it is written, so one end tells whose it is.
CREATE POLICY tenant_isolation ON memory_embeddings
    USING ((SELECT true FROM memory_records memory WHERE memory.memory_id = memory_embeddings.memory_id))
    WITH CHECK ((SELECT true FROM memory_records memory WHERE memory.memory_id = memory_embeddings.memory_id)
        OR memory_guild_refuse_memory('memory_embeddings'));
CREATE POLICY tenant_isolation ON memory_relationships
    USING ((SELECT true FROM memory_records memory WHERE memory.memory_id = memory_relationships.source_memory_id))
    WITH CHECK ((
        SELECT true FROM memory_records source JOIN memory_records target ON target.tenant_id = source.tenant_id
        WHERE source.memory_id = memory_relationships.source_memory_id
          AND target.memory_id = memory_relationships.target_memory_id
    ) OR memory_guild_refuse_memory('memory_relationships'));

ALTER TABLE memory_records ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE memory_embeddings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE memory_relationships ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
ALTER TABLE memory_relationships DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE memory_embeddings DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE memory_records DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
DROP POLICY tenant_isolation ON memory_relationships;
DROP POLICY tenant_isolation ON memory_embeddings;
DROP POLICY maintenance ON memory_records;
DROP POLICY tenant_isolation ON memory_records;
DROP TRIGGER memory_guild_embedding_guard_update ON memory_embeddings;
DROP TRIGGER memory_guild_embedding_guard_insert ON memory_embeddings;
DROP TRIGGER memory_guild_edge_guard_update ON memory_relationships;
DROP TRIGGER memory_guild_edge_guard_insert ON memory_relationships;
DROP TRIGGER memory_guild_touch ON memory_access_policies;
DROP TRIGGER memory_guild_touch ON memory_records;
DROP TRIGGER memory_guild_identity_guard ON memory_records;
DROP FUNCTION memory_guild_embedding_guard();
DROP FUNCTION memory_guild_edge_guard();
DROP FUNCTION memory_guild_touch();
DROP FUNCTION memory_guild_identity_guard();
DROP FUNCTION memory_guild_refuse_memory(TEXT);
DROP FUNCTION memory_guild_refuse_tenant();
REVOKE ALL ON memory_records, memory_embeddings, memory_relationships, data_sources, memory_access_policies, aerich
    FROM memory_guild_app, memory_guild_admin;
-- The roles stay: they are the whole server's, and another database may use them.
DO $migration$
BEGIN
    EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM memory_guild_app, memory_guild_admin', current_schema());
END $migration$;
"""


MODELS_STATE = (
    "eJztXG1T4zgS/iuqfIGpYqaABXZqp/ZDgHCwC2QKws7W3lwZxVYSHbaVsZUJKY7/ft2SHL"
    "8m2CGAIXwaIqklu59Wq59We+4annCYG346pJJeilFgs8Zv5K7hUw//KOjdIA06HMZ92CBp"
    "11XDHRhnhWqg6qDdUAbUltDXo27IoMlhoR3woeTCR4mmT5gvgwkRPSIHjFDXFWOXh/I3Qo"
    "meCdqpJB7zRMBZSDw6IV1GuN9noWQO6QXC+4SLOcKG1aB9yfOOfP5jxCwp+gxmCmD2f/8H"
    "mrnvsFt4Tfh51+hx5jrq7wYPLXhj/pM1cBS7HQYsDOFtw0gw0i13biNdRRKoy8lQ9TaUMG"
    "hP/bjfIKlFtJylBldYRo2fvQiKDW8stU7KDMxy3EEB1W1FU5w4R2o4AtC1bOGOPD8nMpzI"
    "gfCnMqMRdz5dXZ0cYl+f+SygoPGEkfgj1zU2FTVpFKBBBiM2Vb8TNzisR0cumhpK68eJ2x"
    "qXP9xD/Wt9DZa0Auo7wrPwUdY/rH1o5E3zxAEL4j20DbQg/UJf1N9o510aMtLjrhsSLsFs"
    "siZonsIGSEDB3JeIzN29frBYh6q1gesdHDcv1n/ZU48yFKHsB6qzoRR1rwRxe8VWkMNH/c"
    "whdA6tczGKxDIowWM/Iz6Wdd7uWJetjmUVYNGZArAWEnzeDWIWLKX1hsd9y2V+Xw7g5xYM"
    "8Oht3LC9uzsHl7+aFwoaGKWwEeDRtLs7N13buu9e7dIMJtGWS2NyMBDcno9KJLgcVKKGGJ"
    "bYIT8Cl2/oQm9gUvSz4QQcp5fYLISHZfFJwrG7WQKN3c2ZYGBXIRajgBdsD6O1DjjCuYAY"
    "6YXwMHvg6eFgAUsDQHpi5DuPdk6d1t8dnMQLwx9uUt3rZ82/FRLexPScts//FQ1PwHNw2t"
    "7PwMKTB18alSOX9ovRSAllwOgK4T4jGlPPlgLhCGXJeMBdRnwhB6BxFVzYwmMqqoDz4tF4"
    "7Lfbpyk89k+yCr86229drG8pcGAQl/q8Pu9kULADhqqyqMzD0OEeREPUGxZjkRbNgAGnFZ"
    "Mg/yn64zn3SfK498V4xhEP+8VPbpcxDQlEt4H4yZawZU7OWped5tnXFE6HzU4Le7ZTeyZq"
    "Xd/LeLXpJOTbSeeY4E/yT/u8lQ0SpuM6/2Cw2KAjKSx4cYs6Sa1FzVFTyhBcGkpLx7+gn0"
    "XsoXCGOpnFg+7TB1PwmN60+DbEpkvcta/OJEAVFKPOvCX8EQq/3f0vs2ccmknJrAVwW76Q"
    "L/jeWLu7X/veKHIGTfLHZfucCPVSEW+0gTiyAIJOMX58hI/zzz9Es+dlBlKcAA9RJGq9mw"
    "QVwIYutW/GNHCsXI/YFrPG5ru8bS/bQn3aVwrHN8b3M2mBM+TOk6YN1DL8KlxuTxoFyYOC"
    "URvzkgiKkU/gkEcBa4gSvHQ6gajxE83tHWZzGIBnsT0g8A6+VCexI6AJ+sdcDkynXrQgj7"
    "CECZ8ygRCp5+EMwkxyr1+wErlPibwFcq9fqJ7k3ii7KrnPiNWc3OunfTXk3ig3GLnaM1U7"
    "G7PSi52Pz8XxER71qJg6TR6RyiXaNFDp0/bXJrlgfVGfQ3K1mGbsxZD0A+9EIuPyJfCYd6"
    "q5VKppQEKqGUoRrCLRHA2dRc0gLfo2zEDzzAH1+6tiDLXiLy2vyxxHq3sGeYmHlGEuLBpd"
    "krTorC01lAFioJ9wuoqAgPeGM5dLiEEdiEGV2Zgu5Tm+EOGDIbHASBKIesl0caIeMM9onn"
    "y1inTHKA24RAm6E6vW0nJzCE/mylS/S/V1tNwixGo6SSVulZV6C/QqEON6cqvYKCowq5RQ"
    "ra/nOtM9vDZrW9eXY8UbQfmWKggViNYeJ/WkpiaFOiwB1FIg2tosc6sKo2ZCpPre4/lsIA"
    "e+baWD+fj8Ln3EpUSWeb495fbUQY/anykfCmchXrKX3KWLH2O5mDkLQUFqAyyS9/0/2UTh"
    "cOLj09pF6YxUtHvBbBE4b1r/cWvsOQI6ngZxaRMFRYF6mM5qHDQvD5qHLR33vRRnMRDNJC"
    "wxhA+ylUANLUlV2v4UCdFThEBfgpgfkvnUVyWWEgLkDXLDhtAHJpenIQvP9N3/7l8wl+Ij"
    "AWG5vo5j9evrDfgtRrIv8OxnTp9BG1mXAx5Gi/FkNd8HRWKur7lvCy8lgpGpHilpAETmwy"
    "LURr1RScYR3XqhSHlSo9VUbQktU36NirWmZpVwWi5cbpVEPFB+ESNUYRXhS8RkQMNBhXXU"
    "8NKL8NC4i0rAz7+/I9+OWxctEk9Nftd7dA7/rNPJ/FLMU79QPcnn1D1UYDZJmdpTGu3Rp0"
    "e28cBd5gpw1kSWvCt6Ce4Z+9UK2KSEag+OftpXic6KlFZHtbwGGawfDVUpWllknraoOjpL"
    "MUArgEH3ziD/GdGaA0FVMBgwD0NNIPkbhuwTdgvHtjshQP/7cHo//jR5kjLrVNCTA+oYWu"
    "ejFMnVGqWzw92oZu+qc/TxM+lOJGwXaEoaG2ZAXTFmwUcbA4EBAIg1XR51v+D+Go4wshpj"
    "agdv0Ctgmt5sezslNtvezszNhl1pDN8LMWtZiPmeDE0nQ81Rtcr50PfihpQZrF5xQ6buLE"
    "oF5IxhbuFZQuplK89mJAI7ML3KxyXxVl+bBX0h5RJCoSWWnRllLrIl06J12pIlPmXJbMXl"
    "YfMq9mGFIqOCS+eCst59I3v0Z5R/fugmJVU3VJNA+RkuU1KbL52OX4ZWp9n/AR/WXLH4zq"
    "jWQIaEVvt+bL5W0zcWq6hVhqb6aJ0+x1VdQq9zLuzS2i9xbRcLlP44yuEB7HRMYKAJOFqR"
    "6uNGEV/HSUEofrfMgqLPoRaZouK1mcnSVSoMTKmj8uWTvuN7zIp6hvIrJqVLX61lllzwP3"
    "NJLV3lcqhA8C1cEaEF1/OCKG8kOazmZbsLxWudxPsWeXjzPX5IJ2GUAIp3WC1S3z0OVgRe"
    "KrRNEWUu/W1GzMyt5mbIQNNzBX3W9Nx8bI7FmIQjcyWhvD4PN7Tn30SHv/WFnOMRMFb3Fr"
    "7oCmcCAPKSrB/eEv7ZhA71UltzIDtsX+2ftsjXi9bByeWJyeRN6YbqTDPCi1bz9D1Zl6OG"
    "CsRVTtXlAo3SR2GR5CstZHwERVnouEtcsmejrtLqL5J8zepfhMsst4Q0ZdAFuco3XEm6TI"
    "6+kSkjLfITxdWkMzfGCoKxFGqfhaLIZ9SpsLfJAm4PGgUZAtOzMS8rQOMxD+UBIqTymn2Y"
    "p88klYXee1b5R6HD5n4u2DUwPvd/SDFbQYUx68ftrZ1fdz7/srfzOYpepy2/znHW0T3FvK"
    "/TgtBk7rKsjwazvk2bitSZ6ZVX8dNXk+GmqqBhM/wNavdpPhHT1Td5DWMJxdy6oyJ2xW1J"
    "/kfw/3F+hdp+joKUF/2y/v7/OKP+/g=="
)
