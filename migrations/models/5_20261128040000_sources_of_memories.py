"""Which source each memory came from, and which memories are held in quarantine until somebody releases them.

Nothing is added to the five tables but triggers. The application role writes stamps only for what its own transaction
stores, only for a source that is active, and only as the source's quarantine says; the triggers here refuse all else.
Functions run with the rights and under the policies of the caller, but those that move ``last_ingestion_at`` or lock a
source's row.

Who stores from a source keeps its row with FOR KEY SHARE, the lock of the foreign key, and the table ``memory_sources`` with
ROW EXCLUSIVE, that of a stamp; also who stores something without a new stamp, such as metadata for a memory that is there.
Who deactivates the source, or begins its quarantine, waits for the row. New stores do not queue behind a row's lock, so under
a steady stream of them it would wait forever: then it waits for the table, behind which they queue.
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
        CREATE TABLE %1$I.memory_sources (
            memory_id UUID NOT NULL,
            tenant_id VARCHAR(255) NOT NULL,
            source_id UUID NOT NULL REFERENCES %1$I.data_sources (source_id) ON DELETE RESTRICT,
            is_held BOOLEAN NOT NULL DEFAULT false,   -- in quarantine: the memory is forgotten until it is released
            stored_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
            -- With the tenant: no duplicate tells whether another tenant's memory has a stamp.
            PRIMARY KEY (memory_id, tenant_id),
            FOREIGN KEY (memory_id) REFERENCES %1$I.memory_records (memory_id) ON DELETE CASCADE
        );
        CREATE INDEX memory_sources_source ON %1$I.memory_sources (source_id, tenant_id);

        CREATE POLICY tenant_isolation ON %1$I.memory_sources USING (%2$s) WITH CHECK (%2$s);
        CREATE POLICY maintenance ON %1$I.memory_sources TO memory_guild_admin USING (current_user = 'memory_guild_admin');
        ALTER TABLE %1$I.memory_sources ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        GRANT SELECT, INSERT (memory_id, tenant_id, source_id, is_held), UPDATE (source_id, is_held)
            ON %1$I.memory_sources TO memory_guild_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON %1$I.memory_sources TO memory_guild_admin;
    $ddl$, current_schema(), same_tenant);

    EXECUTE format($functions$
        -- Whether a row with this xmin was written by the transaction that asks, or by one of its savepoints.
        CREATE FUNCTION %1$I.memory_guild_is_own_write(row_xmin XID) RETURNS BOOLEAN
        LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
        DECLARE
            own BIGINT := pg_current_xact_id()::TEXT::BIGINT;
            -- The ids of savepoints are larger than that of their transaction. A row's xmin has the lower 32 bits.
            later BIGINT := ((row_xmin::TEXT::BIGINT - own) %% 4294967296 + 4294967296) %% 4294967296;
        BEGIN
            RETURN CASE
                WHEN later >= 1073741824 THEN false
                -- Nobody else's row is visible that is not in the snapshot.
                WHEN own + later >= pg_snapshot_xmax(pg_current_snapshot())::TEXT::BIGINT THEN true
                ELSE pg_xact_status((own + later)::TEXT::XID8) = 'in progress'
            END;
        END $body$;

        -- After the foreign key has locked the source: what is read here is true until the transaction ends.
        CREATE FUNCTION %1$I.memory_guild_check_stamps(memories UUID[], sources UUID[], held BOOLEAN[])
        RETURNS VOID
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $body$
        DECLARE
            wrong TEXT;
        BEGIN
            IF EXISTS (
                SELECT FROM unnest(memories, held) AS stamp (memory, is_held)
                WHERE (
                    SELECT (NOT stamp.is_held OR written.is_deleted)
                        AND %1$I.memory_guild_is_own_write(written.xmin)
                    FROM %1$I.memory_records written WHERE written.memory_id = stamp.memory
                ) IS NOT TRUE
            ) THEN
                RAISE EXCEPTION 'a source is stamped only on a memory that this transaction stores'
                    USING ERRCODE = 'insufficient_privilege', TABLE = 'memory_sources';
            END IF;
            SELECT source_name INTO wrong FROM %1$I.data_sources
            WHERE source_id = ANY (sources) AND is_active IS NOT TRUE LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'the source is not active' USING ERRCODE = 'MG012', TABLE = 'data_sources', DETAIL = wrong;
            END IF;
            IF EXISTS (
                SELECT FROM unnest(sources, held) AS stamp (source, is_held)
                WHERE (
                    SELECT COALESCE(chosen.metadata -> 'quarantine' = 'true', false) = stamp.is_held
                    FROM %1$I.data_sources chosen WHERE chosen.source_id = stamp.source
                ) IS NOT TRUE
            ) THEN
                RAISE EXCEPTION 'the quarantine of the source was changed'
                    USING ERRCODE = 'serialization_failure', TABLE = 'memory_sources';
            END IF;
        END $body$;

        -- Before the foreign key, which would lock a stranger's memory. A memory that is another tenant's is a memory that
        -- does not exist: one error.
        CREATE FUNCTION %1$I.memory_guild_stamp_guard() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
        SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $body$
        BEGIN
            -- In this form only the primary key has the order that is wanted. Otherwise the policy's tenant may be looked up
            -- in the tenant's index, which has all of its memories.
            IF (
                SELECT tenant_id = NEW.tenant_id FROM %1$I.memory_records
                WHERE memory_id BETWEEN NEW.memory_id AND NEW.memory_id ORDER BY memory_id LIMIT 1
            ) IS NOT TRUE THEN
                PERFORM %1$I.memory_guild_refuse_memory(TG_TABLE_NAME);
            END IF;
            RETURN NEW;
        END $body$;

        CREATE FUNCTION %1$I.memory_guild_stamps_inserted() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            PERFORM %1$I.memory_guild_check_stamps(array_agg(memory_id), array_agg(source_id), array_agg(is_held))
            FROM new_rows HAVING count(*) > 0;
            RETURN NULL;
        END $body$;

        -- To release is free. All else is a new stamp, also where it names the same source.
        CREATE FUNCTION %1$I.memory_guild_stamps_updated() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            PERFORM %1$I.memory_guild_check_stamps(
                array_agg(memory_id), array_agg(after.source_id), array_agg(after.is_held))
            FROM old_rows AS before JOIN new_rows AS after USING (memory_id)
            WHERE before.source_id <> after.source_id OR after.is_held OR NOT before.is_held
            HAVING count(*) > 0;
            RETURN NULL;
        END $body$;

        -- Once a statement, and not where it was moved a moment ago or another transaction moves it: nobody waits.
        CREATE FUNCTION %1$I.memory_guild_ingested() RETURNS TRIGGER
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            UPDATE %1$I.data_sources SET last_ingestion_at = statement_timestamp()
            WHERE source_id IN (
                SELECT source_id FROM %1$I.data_sources
                WHERE source_id IN (SELECT source_id FROM new_rows)
                    AND COALESCE(last_ingestion_at, '-infinity') < statement_timestamp() - interval '100 milliseconds'
                FOR NO KEY UPDATE SKIP LOCKED
            );
            RETURN NULL;
        END $body$;

        -- A memory that has a stamp was forgotten, and is stored again. The foreign key locks the source only where it is
        -- another one.
        CREATE FUNCTION %1$I.memory_guild_stamped_again() RETURNS TRIGGER
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            PERFORM FROM %1$I.data_sources WHERE source_id = NEW.source_id FOR KEY SHARE;
            UPDATE %1$I.data_sources SET last_ingestion_at = statement_timestamp()
            WHERE source_id IN (
                SELECT source_id FROM %1$I.data_sources
                WHERE source_id = NEW.source_id
                    AND COALESCE(last_ingestion_at, '-infinity') < statement_timestamp() - interval '100 milliseconds'
                FOR NO KEY UPDATE SKIP LOCKED
            );
            RETURN NULL;
        END $body$;

        -- For what is stored without a stamp. The table first: who has it waits for nobody who waits for it.
        CREATE FUNCTION %1$I.memory_guild_locked_source(name VARCHAR)
        RETURNS TABLE (source_id UUID, is_active BOOLEAN, is_quarantined BOOLEAN)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            LOCK TABLE ONLY %1$I.memory_sources IN ROW EXCLUSIVE MODE;
            RETURN QUERY
                SELECT source.source_id, source.is_active IS TRUE,
                    COALESCE(source.metadata -> 'quarantine' = 'true', false)
                FROM %1$I.data_sources source WHERE source.source_name = name
                FOR KEY SHARE;
        END $body$;

        -- Runs after the whole statement, so one that releases a memory may restore it, too.
        CREATE FUNCTION %1$I.memory_guild_held_guard() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            IF EXISTS (
                SELECT FROM %1$I.memory_sources WHERE memory_id = NEW.memory_id AND tenant_id = NEW.tenant_id AND is_held
            ) THEN
                RAISE EXCEPTION 'the memory is held in quarantine'
                    USING ERRCODE = 'MG011', TABLE = TG_TABLE_NAME, DETAIL = NEW.memory_id::TEXT;
            END IF;
            RETURN NULL;
        END $body$;

        -- For a text that is held and arrives again in good order.
        CREATE FUNCTION %1$I.memory_guild_released(memory UUID) RETURNS BOOLEAN
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            UPDATE %1$I.memory_sources SET is_held = false WHERE memory_id = memory AND is_held;
            RETURN true;
        END $body$;

        CREATE FUNCTION %1$I.memory_guild_await_stores() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' AS $body$
        DECLARE
            patience CONSTANT TIMESTAMPTZ := clock_timestamp() + interval '30 seconds';
        BEGIN
            LOOP
                BEGIN
                    PERFORM FROM %1$I.data_sources WHERE source_id = OLD.source_id FOR UPDATE NOWAIT;
                    RETURN NEW;
                EXCEPTION WHEN lock_not_available THEN
                    IF clock_timestamp() > patience THEN
                        RAISE;
                    END IF;
                END;
                BEGIN
                    LOCK TABLE ONLY %1$I.memory_sources IN SHARE MODE;
                    PERFORM FROM %1$I.data_sources WHERE source_id = OLD.source_id FOR UPDATE NOWAIT;
                    RETURN NEW;
                EXCEPTION WHEN lock_not_available OR insufficient_privilege THEN
                    PERFORM pg_sleep(0.05);  -- a scope that stores, from this source or another, goes on: let others pass
                END;
            END LOOP;
        END $body$;

        -- Before the trigger above runs for a row, the server waits for who has moved last_ingestion_at. This makes an end of
        -- that, too, and afterwards sets what was.
        CREATE FUNCTION %1$I.memory_guild_patience() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            IF TG_WHEN = 'BEFORE' THEN
                PERFORM set_config('memory_guild.lock_timeout', current_setting('lock_timeout'), true);
                PERFORM set_config('lock_timeout', '30s', true) WHERE current_setting('lock_timeout') = '0';
            ELSE
                PERFORM set_config('lock_timeout', current_setting('memory_guild.lock_timeout'), true);
            END IF;
            RETURN NULL;
        END $body$;

        -- Not left to the default, which a server may have taken away from PUBLIC.
        GRANT EXECUTE ON FUNCTION %1$I.memory_guild_is_own_write(XID),
            %1$I.memory_guild_check_stamps(UUID[], UUID[], BOOLEAN[]), %1$I.memory_guild_released(UUID) TO PUBLIC;
        REVOKE ALL ON FUNCTION %1$I.memory_guild_locked_source(VARCHAR) FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION %1$I.memory_guild_locked_source(VARCHAR) TO memory_guild_app, memory_guild_admin;
    $functions$, current_schema());
END $migration$;

CREATE TRIGGER memory_guild_stamp_guard BEFORE INSERT ON memory_sources FOR EACH ROW
    WHEN (row_security_active('memory_sources'::regclass)) EXECUTE FUNCTION memory_guild_stamp_guard();
CREATE TRIGGER memory_guild_stamps_inserted AFTER INSERT ON memory_sources
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
    WHEN (row_security_active('memory_sources'::regclass)) EXECUTE FUNCTION memory_guild_stamps_inserted();
CREATE TRIGGER memory_guild_stamps_updated AFTER UPDATE ON memory_sources
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT
    WHEN (row_security_active('memory_sources'::regclass)) EXECUTE FUNCTION memory_guild_stamps_updated();
CREATE TRIGGER memory_guild_ingested AFTER INSERT ON memory_sources
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_ingested();
CREATE TRIGGER memory_guild_stamped_again AFTER UPDATE OF source_id ON memory_sources
    FOR EACH ROW EXECUTE FUNCTION memory_guild_stamped_again();
CREATE TRIGGER memory_guild_held_guard AFTER UPDATE ON memory_records FOR EACH ROW
    WHEN (OLD.is_deleted AND NEW.is_deleted IS NOT TRUE) EXECUTE FUNCTION memory_guild_held_guard();
CREATE TRIGGER memory_guild_await_stores BEFORE UPDATE ON data_sources FOR EACH ROW
    WHEN (
        OLD.is_active AND NEW.is_active IS NOT TRUE
        OR NEW.metadata -> 'quarantine' = 'true' AND OLD.metadata -> 'quarantine' IS DISTINCT FROM 'true'
    ) EXECUTE FUNCTION memory_guild_await_stores();
CREATE TRIGGER memory_guild_patience_begins BEFORE UPDATE OF is_active, metadata ON data_sources
    FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_patience();
CREATE TRIGGER memory_guild_patience_ends AFTER UPDATE OF is_active, metadata ON data_sources
    FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_patience();
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
DROP TRIGGER memory_guild_patience_ends ON data_sources;
DROP TRIGGER memory_guild_patience_begins ON data_sources;
DROP TRIGGER memory_guild_await_stores ON data_sources;
DROP TRIGGER memory_guild_held_guard ON memory_records;
DROP TABLE memory_sources;
DROP FUNCTION memory_guild_patience();
DROP FUNCTION memory_guild_await_stores();
DROP FUNCTION memory_guild_released(UUID);
DROP FUNCTION memory_guild_held_guard();
DROP FUNCTION memory_guild_locked_source(VARCHAR);
DROP FUNCTION memory_guild_stamped_again();
DROP FUNCTION memory_guild_ingested();
DROP FUNCTION memory_guild_stamps_updated();
DROP FUNCTION memory_guild_stamps_inserted();
DROP FUNCTION memory_guild_stamp_guard();
DROP FUNCTION memory_guild_check_stamps(UUID[], UUID[], BOOLEAN[]);
DROP FUNCTION memory_guild_is_own_write(XID);
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
