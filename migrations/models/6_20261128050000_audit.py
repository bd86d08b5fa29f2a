"""The audit: what was denied, erased or purged, and who worked across all tenants or changed a source or a policy.

Entries can be added and never changed. They say nothing of what a memory contains. The application role adds entries of
its tenant and reads none. Changes of sources and policies are recorded by triggers, whoever makes them.
"""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
DO $migration$
DECLARE
    same_tenant TEXT := (
        SELECT pg_get_expr(polqual, polrelid) FROM pg_policy
        WHERE polrelid = 'memory_records'::regclass AND polname = 'tenant_isolation');
BEGIN
    EXECUTE format($ddl$
        CREATE TABLE %1$I.memory_audit (
            audit_id UUID NOT NULL,                  -- chosen by who records: what is written twice stays one entry
            occurred_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
            tenant_id VARCHAR(255),                  -- none where it is about all tenants
            agent_id VARCHAR(255),
            login VARCHAR(63) NOT NULL DEFAULT session_user,
            event VARCHAR(64) NOT NULL,
            subject TEXT,                            -- a name, such as that of a source or a policy
            outcome VARCHAR(64) NOT NULL,
            reason TEXT,
            details JSONB NOT NULL DEFAULT '{}'
        );
        -- With the tenant, so that an id never tells whether another tenant has it.
        CREATE UNIQUE INDEX memory_audit_entry ON %1$I.memory_audit (audit_id, tenant_id) NULLS NOT DISTINCT;
        CREATE INDEX memory_audit_occurred ON %1$I.memory_audit (occurred_at);
        CREATE INDEX memory_audit_tenant ON %1$I.memory_audit (tenant_id, occurred_at);

        -- An entry of no tenant is for those who may change the sources: the owner of the tables, whose triggers write it.
        CREATE POLICY tenant_isolation ON %1$I.memory_audit FOR INSERT WITH CHECK (
            %2$s OR tenant_id IS NULL AND has_table_privilege('data_sources'::regclass, 'UPDATE')
        );
        CREATE POLICY maintenance ON %1$I.memory_audit TO memory_guild_admin USING (current_user = 'memory_guild_admin');
        ALTER TABLE %1$I.memory_audit ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        -- Who and when are the server's to say.
        GRANT INSERT (audit_id, tenant_id, agent_id, event, subject, outcome, reason, details)
            ON %1$I.memory_audit TO memory_guild_app, memory_guild_admin;
        GRANT SELECT ON %1$I.memory_audit TO memory_guild_admin;

        CREATE FUNCTION %1$I.memory_guild_append_only() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            RAISE EXCEPTION 'entries of the audit cannot be changed or deleted'
                USING ERRCODE = 'insufficient_privilege', TABLE = TG_TABLE_NAME;
        END $body$;

        -- Also where session_replication_role keeps other triggers from firing.
        CREATE TRIGGER memory_guild_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %1$I.memory_audit
            FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_append_only();
        ALTER TABLE %1$I.memory_audit ENABLE ALWAYS TRIGGER memory_guild_append_only;

        CREATE FUNCTION %1$I.memory_guild_audit_sources() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        BEGIN
            IF TG_OP = 'TRUNCATE' THEN
                INSERT INTO memory_audit (audit_id, event, outcome, details)
                VALUES (gen_random_uuid(), 'source_removed', 'done', '{"truncated": true}');
            ELSIF TG_OP = 'DELETE' THEN
                INSERT INTO memory_audit (audit_id, event, subject, outcome, details)
                VALUES (gen_random_uuid(), 'source_removed', OLD.source_name, 'done',
                    jsonb_build_object('source_id', OLD.source_id));
            ELSE
                INSERT INTO memory_audit (audit_id, event, subject, outcome, details)
                VALUES (
                    gen_random_uuid(),
                    CASE TG_OP WHEN 'INSERT' THEN 'source_registered' ELSE 'source_changed' END,
                    NEW.source_name,
                    'done',
                    jsonb_build_object(
                        'source_id', NEW.source_id, 'source_type', NEW.source_type, 'is_active', NEW.is_active,
                        'metadata_sha256', encode(sha256(convert_to(NEW.metadata::text, 'UTF8')), 'hex')
                    ) || CASE TG_OP WHEN 'UPDATE' THEN jsonb_build_object('changed', (
                        SELECT jsonb_agg(key ORDER BY key) FROM jsonb_each(to_jsonb(NEW)) AS after (key, value)
                        WHERE value IS DISTINCT FROM to_jsonb(OLD) -> key AND key <> 'last_ingestion_at'
                    )) ELSE '{}' END
                );
            END IF;
            RETURN NULL;
        END $body$;

        CREATE FUNCTION %1$I.memory_guild_audit_policies() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        BEGIN
            IF TG_OP = 'TRUNCATE' THEN
                INSERT INTO memory_audit (audit_id, event, outcome, details)
                VALUES (gen_random_uuid(), 'policy_removed', 'done', '{"truncated": true}');
            ELSIF TG_OP = 'DELETE' THEN
                INSERT INTO memory_audit (audit_id, event, subject, outcome, details)
                VALUES (gen_random_uuid(), 'policy_removed', OLD.policy_name, 'done',
                    jsonb_build_object('policy_id', OLD.policy_id));
            ELSE
                INSERT INTO memory_audit (audit_id, event, subject, outcome, details)
                VALUES (
                    gen_random_uuid(),
                    'policy_put',
                    NEW.policy_name,
                    'done',
                    jsonb_build_object(
                        'policy_id', NEW.policy_id, 'is_active', NEW.is_active, 'is_new', TG_OP = 'INSERT',
                        'rules_sha256', encode(sha256(convert_to(NEW.policy_rules::text, 'UTF8')), 'hex')
                    )
                );
            END IF;
            RETURN NULL;
        END $body$;

        CREATE TRIGGER memory_guild_audit AFTER INSERT OR DELETE ON %1$I.data_sources
            FOR EACH ROW EXECUTE FUNCTION %1$I.memory_guild_audit_sources();
        -- That something came from a source is no change of it.
        CREATE TRIGGER memory_guild_audit_changes AFTER UPDATE ON %1$I.data_sources FOR EACH ROW
            WHEN (
                (OLD.source_id, OLD.source_name, OLD.source_type, OLD.source_uri, OLD.is_active, OLD.created_at, OLD.metadata)
                IS DISTINCT FROM
                (NEW.source_id, NEW.source_name, NEW.source_type, NEW.source_uri, NEW.is_active, NEW.created_at, NEW.metadata)
            )
            EXECUTE FUNCTION %1$I.memory_guild_audit_sources();
        CREATE TRIGGER memory_guild_audit_truncated AFTER TRUNCATE ON %1$I.data_sources
            FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_audit_sources();
        CREATE TRIGGER memory_guild_audit AFTER INSERT OR UPDATE OR DELETE ON %1$I.memory_access_policies
            FOR EACH ROW EXECUTE FUNCTION %1$I.memory_guild_audit_policies();
        CREATE TRIGGER memory_guild_audit_truncated AFTER TRUNCATE ON %1$I.memory_access_policies
            FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_audit_policies();
    $ddl$, current_schema(), same_tenant);
END $migration$;
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
DROP TRIGGER memory_guild_audit_truncated ON memory_access_policies;
DROP TRIGGER memory_guild_audit ON memory_access_policies;
DROP TRIGGER memory_guild_audit_truncated ON data_sources;
DROP TRIGGER memory_guild_audit_changes ON data_sources;
DROP TRIGGER memory_guild_audit ON data_sources;
DROP FUNCTION memory_guild_audit_policies();
DROP FUNCTION memory_guild_audit_sources();
DROP TABLE memory_audit;
DROP FUNCTION memory_guild_append_only();
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
