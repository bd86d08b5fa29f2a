"""The outbox: which vectors changed since an index outside PostgreSQL was made equal to them.

It says which key changed, never what to do: whoever makes the index equal reads the present state. Nothing is written
where no index is registered. Nothing is added to the five tables but a trigger. All functions run with the rights of the
caller, under the caller's policies.
"""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
DO $migration$
DECLARE
    home TEXT := current_schema();
    vector_home TEXT := (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector');
    same_tenant TEXT := (
        SELECT pg_get_expr(polqual, polrelid) FROM pg_policy
        WHERE polrelid = 'memory_records'::regclass AND polname = 'tenant_isolation');
BEGIN
    EXECUTE format($ddl$
        -- The indexes outside PostgreSQL that mirror the vectors of all tenants.
        CREATE TABLE %1$I.memory_vector_indexes (
            name VARCHAR(255) PRIMARY KEY,
            is_filled BOOLEAN NOT NULL DEFAULT false   -- it was once compared with all vectors that were there before
        );

        CREATE TABLE %1$I.memory_vector_outbox (
            tenant_id VARCHAR(255) NOT NULL,
            index_name VARCHAR(255) NOT NULL,    -- no foreign key: each writer would lock the one row of the index
            embedding_model VARCHAR(100) NOT NULL,
            memory_id UUID NOT NULL,
            version BIGINT NOT NULL DEFAULT 1,   -- one more with each change
            attempts INT NOT NULL DEFAULT 0,     -- how often the index failed
            due_at TIMESTAMPTZ NOT NULL DEFAULT now(),   -- until then nobody touches the key in the index
            claim UUID,                          -- of the worker that has it
            PRIMARY KEY (tenant_id, index_name, embedding_model, memory_id)
        );
        CREATE INDEX memory_vector_outbox_due ON %1$I.memory_vector_outbox (index_name, due_at);
        CREATE INDEX memory_vector_outbox_tenant ON %1$I.memory_vector_outbox (tenant_id, index_name, due_at);

        -- Whether the tables are the current role's. A delete that cascades from a memory runs as their owner, and since
        -- PostgreSQL 18 so do the triggers that it fires, also in a maintenance scope, which has no tenant.
        CREATE FUNCTION %1$I.memory_guild_owns_outbox() RETURNS BOOLEAN
        LANGUAGE plpgsql STABLE SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        BEGIN
            RETURN (SELECT pg_get_userbyid(relowner) = current_user FROM pg_class WHERE oid = 'memory_vector_outbox'::regclass);
        END $body$;

        CREATE POLICY tenant_isolation ON %1$I.memory_vector_outbox USING (%2$s) WITH CHECK (%2$s);
        CREATE POLICY maintenance ON %1$I.memory_vector_outbox USING (
            current_user = 'memory_guild_admin' OR (current_user <> 'memory_guild_app' AND %1$I.memory_guild_owns_outbox()));
        ALTER TABLE %1$I.memory_vector_outbox ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        GRANT SELECT, INSERT, UPDATE, DELETE ON %1$I.memory_vector_outbox TO memory_guild_app, memory_guild_admin;
        GRANT SELECT ON %1$I.memory_vector_indexes TO memory_guild_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON %1$I.memory_vector_indexes TO memory_guild_admin;
    $ddl$, home, same_tenant);

    EXECUTE format($functions$
        -- Of all that an index keeps of a memory: another one means that the index has something old.
        CREATE FUNCTION %1$I.memory_guild_fingerprint(embedding %2$I.HALFVEC, agent_id TEXT, source_type TEXT, created_at TIMESTAMPTZ)
        RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $body$
            SELECT md5(
                quote_nullable(agent_id) || ',' || quote_nullable(source_type) || ','
                || quote_nullable(extract(epoch FROM created_at)::TEXT) || ',' || embedding::TEXT)
        $body$;

        -- Says that vectors changed. In one order, so that two who change the same ones do not block each other.
        CREATE FUNCTION %1$I.memory_guild_queue_vectors(tenants VARCHAR[], models VARCHAR[], memories UUID[]) RETURNS VOID
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        BEGIN
            INSERT INTO memory_vector_outbox AS queued (tenant_id, index_name, embedding_model, memory_id)
            SELECT DISTINCT tenant, name, model, memory
            FROM unnest(tenants, models, memories) AS changed (tenant, model, memory) CROSS JOIN memory_vector_indexes
            ORDER BY tenant, name, model, memory
            ON CONFLICT (tenant_id, index_name, embedding_model, memory_id) DO UPDATE SET version = queued.version + 1;
        END $body$;

        -- Has writers tell the outbox from now on. The lock waits for those who began before; it does not keep others
        -- waiting for long, so whoever calls this tries again.
        CREATE FUNCTION %1$I.memory_guild_register_index(index_name VARCHAR) RETURNS VOID
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp SET lock_timeout = '1s' AS $body$
        BEGIN
            LOCK TABLE ONLY memory_vectors IN SHARE MODE;
            INSERT INTO memory_vector_indexes (name) VALUES (index_name) ON CONFLICT DO NOTHING;
        END $body$;

        -- After vectors were written or deleted; what an index does not keep may change without a word.
        CREATE FUNCTION %1$I.memory_guild_outbox_changed() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        BEGIN
            IF NOT EXISTS (SELECT FROM memory_vector_indexes) THEN
                RETURN NULL;
            ELSIF TG_OP = 'INSERT' THEN
                PERFORM memory_guild_queue_vectors(array_agg(tenant_id), array_agg(embedding_model), array_agg(memory_id))
                FROM new_rows WHERE is_current HAVING count(*) > 0;
            ELSIF TG_OP = 'DELETE' THEN
                PERFORM memory_guild_queue_vectors(array_agg(tenant_id), array_agg(embedding_model), array_agg(memory_id))
                FROM old_rows WHERE is_current HAVING count(*) > 0;
            ELSE
                PERFORM memory_guild_queue_vectors(array_agg(tenant_id), array_agg(embedding_model), array_agg(memory_id))
                FROM old_rows AS before FULL JOIN new_rows AS after USING (tenant_id, embedding_model, memory_id)
                WHERE (before.is_current IS TRUE) <> (after.is_current IS TRUE)
                    OR (after.is_current AND before.embedding OPERATOR(%2$I.<>) after.embedding)
                HAVING count(*) > 0;
            END IF;
            RETURN NULL;
        END $body$;

        -- Before all vectors go at once. Who may not see all of them cannot say which.
        CREATE FUNCTION %1$I.memory_guild_outbox_truncated() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        BEGIN
            IF EXISTS (SELECT FROM memory_vector_indexes) THEN
                IF row_security_active('memory_vectors') THEN
                    RAISE EXCEPTION 'TRUNCATE would leave vectors behind in an index outside PostgreSQL'
                        USING ERRCODE = 'object_not_in_prerequisite_state',
                            HINT = 'Use DELETE as memory_guild_admin, or TRUNCATE as a superuser.';
                END IF;
                PERFORM memory_guild_queue_vectors(array_agg(tenant_id), array_agg(embedding_model), array_agg(memory_id))
                FROM memory_vectors WHERE is_current HAVING count(*) > 0;
            END IF;
            RETURN NULL;
        END $body$;

        -- After what an index keeps of a memory beside its vector was updated.
        CREATE FUNCTION %1$I.memory_guild_outbox_filters_updated() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = %1$I, pg_catalog, pg_temp AS $body$
        DECLARE
            tenant VARCHAR;
            changed UUID[];
        BEGIN
            IF NOT EXISTS (SELECT FROM memory_vector_indexes) THEN
                RETURN NULL;
            END IF;
            FOR tenant, changed IN
                SELECT after.tenant_id, array_agg(memory_id) FROM old_rows AS before JOIN new_rows AS after USING (memory_id)
                WHERE (before.agent_id, before.source_type, before.created_at)
                    IS DISTINCT FROM (after.agent_id, after.source_type, after.created_at)
                GROUP BY 1
            LOOP
                PERFORM memory_guild_queue_vectors(array_agg(tenant_id), array_agg(embedding_model), array_agg(memory_id))
                FROM memory_vectors WHERE tenant_id = tenant AND memory_id = ANY (changed) AND is_current
                HAVING count(*) > 0;
            END LOOP;
            RETURN NULL;
        END $body$;

        CREATE TRIGGER memory_guild_outbox_inserted AFTER INSERT ON %1$I.memory_vectors
            REFERENCING NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_outbox_changed();
        CREATE TRIGGER memory_guild_outbox_changed AFTER UPDATE ON %1$I.memory_vectors
            REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_outbox_changed();
        CREATE TRIGGER memory_guild_outbox_deleted AFTER DELETE ON %1$I.memory_vectors
            REFERENCING OLD TABLE AS old_rows
            FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_outbox_changed();
        CREATE TRIGGER memory_guild_outbox_truncated BEFORE TRUNCATE ON %1$I.memory_vectors
            FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_outbox_truncated();
        CREATE TRIGGER memory_guild_outbox_filters_updated AFTER UPDATE ON %1$I.memory_records
            REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION %1$I.memory_guild_outbox_filters_updated();
    $functions$, home, vector_home);
END $migration$;
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
DROP TRIGGER memory_guild_outbox_filters_updated ON memory_records;
DROP TRIGGER memory_guild_outbox_truncated ON memory_vectors;
DROP TRIGGER memory_guild_outbox_deleted ON memory_vectors;
DROP TRIGGER memory_guild_outbox_changed ON memory_vectors;
DROP TRIGGER memory_guild_outbox_inserted ON memory_vectors;
DROP FUNCTION memory_guild_outbox_filters_updated();
DROP FUNCTION memory_guild_outbox_truncated();
DROP FUNCTION memory_guild_outbox_changed();
DROP FUNCTION memory_guild_register_index(VARCHAR);
DROP FUNCTION memory_guild_queue_vectors(VARCHAR[], VARCHAR[], UUID[]);
DROP FUNCTION memory_guild_fingerprint;
DROP TABLE memory_vector_outbox;
DROP FUNCTION memory_guild_owns_outbox();
DROP TABLE memory_vector_indexes;
"""


MODELS_STATE = (
    "eJztmm1v2joUx7+KlTe3k7hVSyntvXeaBC3bIlHobdNt2tVVZBIDVhObxk4fVPW7z3ZIyC"
    "Mk62BQ5U0Lxz6287Nj/8/BzxpD0LOm+2dTSCbI/oIsTj3tb/CsEegi8SG/QgNocDZbFEsD"
    "hyNHebjIpd6Tea+qmtTnI/qoPEaMe9Dios4YOgwJk42Y5eEZx5RIzw4InACfQg6soEvAML"
    "EQgARgYqNHIBpk2EbgkjI+8dD1v33wABlwobChOx86gFOA+b7s0qaW6BOTyVpa9wm+85HJ"
    "6QTxKZLY/vtfmFVDiIVfZ7fmGCPHTlCdM8K2bEcVm/xppopubvTzj8pBPsDItKjjuyTjNH"
    "viU0oiL9/H9r50lWUTRJAHObJjqInvOPMZCk3B+IWBez6KBm4vDDYaQ9+RE6a9H/vEkvME"
    "VE/yT+vDfISxaqY5GBrmdc8wTS0zv3IIqUmZmyxK5NrAhEtszy9BuwsuyqrJDs4+d672jt"
    "rvFIJgjlhITXtRjpDDwFVNwYI5RwQSnstcrG4vn3nCKcVcDPlnaIeGBe7F6xCCDFGtAa7m"
    "wkfTQWTCp+Jr8/h4Ce0vnSsFXNRSxKl4f4OXfDAvagZlkvyCtHoyU32rgDrpVbMuxxq5I2"
    "TbYhCmS23kVAGe4/oGqR8eHJSgLmoVUldlSer3yGNyVBnaXTzRCc/nHXNKcRYjXxfnw3VB"
    "nsgR/PlXs3l0dNI8OGqfHrdOTo5PD05FXTXcbNHJkono6p/0gZGcAmlIcoecI3cmRpABX0"
    "g97rI57Afrxd48bJ20To/arYh2ZFkGOQvUFgIG8izOc8GDYxflM114pYjac7f98MMObh9L"
    "+Bn6Re/a6FxcyuZdxu4cxapj9GRJU1mfUta9dmpjiRoBX3XjM5BfwffhoJeWNFE947smxw"
    "R9Tk1CH0xox5mE5tCUmF7LgditojEjh1foy7l63IH5XKEmpXwf38bEpDSMoHX7AD3bzJTQ"
    "Ji2qmy1ym27aAgmcKDzyOeSo57HXhdL9xbFZorxROjRj5YIyY4oSgZMIlSLhAJRwCKIjOg"
    "aUIBB08QcDHD3mBGGvbq0OurbuNWnUQVcdCGw/9bUEAqJHsVq5OYVsWgV52u8N8m63SuBu"
    "twppy6JUXoGZlu95iOQI1i6lDoKkILWQcEyxHgnPHYS9LJYaDvsJhdrVU5HV4Oai2xOLXc"
    "EXlTAvCLiirSFL3BBH8or95M2s7GUxQe+bkYAdruC9i863d4mQoD8cfAqrx+birD/sbpva"
    "/Eo9mxWLzaC4jNZ8iGqWUpqqelL9NYRItIVaTApHzEDQKbL/AUTWHosiKP9OqAj5iWwhX3"
    "+uoY9aldaqdPd2tQ2oUkc8l4ty8nXFp0fM5U1Q3sTZEUc+w/c0RyB9dCgsIB55pHiPpcvb"
    "In4+vOn2e+DyqnemX+vDQTJlpwqTkuiq1+lnZah4TMbzfwBYoUPjnrUQLS9E5X9mhinlCs"
    "yTjjXy8sgZh17eTy1LcS+cNog6FCk7i1psDJGorL6nJFzrFV4Ju0XdmYN41V0l5Vmv9fLQ"
    "o4iwrCCMHGo5uGOpBOx5VMLQJWotL5uQrNEof68wDK0bpS4WLrnepyJ9V42DxTIALOcC4c"
    "+28orsQNVLVL/2+tTqbMAuRqfFeQF5lmLHQTl5gZVncOS3wbMgsuzUYbAlu5PMYZ5Rn/C8"
    "jWlRWGZPkieUWA4+4SU3JJ2AKX0AYmxPQQYSI5WRhCDIMokPsk2Ac7ahir6v2HxkM9k3of"
    "CmVVh99S2r+TayvVvPL7llVecff3/+MXxBKizjuMvmLgxu+Wr+rXv2yw9Sv0R8"
)
