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

        CREATE POLICY tenant_isolation ON %1$I.memory_vector_outbox USING (%2$s) WITH CHECK (%2$s);
        CREATE POLICY maintenance ON %1$I.memory_vector_outbox TO memory_guild_admin USING (current_user = 'memory_guild_admin');
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
DROP TABLE memory_vector_indexes;
"""


MODELS_STATE = (
    "eJztm2tv4jgUhv+KxZfpSGzVUkq7F60ELTNF4tJt6cxoVqvIJIZYTWwaO6VV1f8+tnMhCQ"
    "GSUiiw+dKSYx/beewcv7aTlxJD0NHNwwsTkhEyviGdU6f0B3gpEWgj8SM9QxmU4Hg8TZYG"
    "DgeW8rCRTZ1n7VFl1ajLB/RJeQwYd6DORZ4htBgSJgMx3cFjjimRnnXgOQFuQg50r0rAMN"
    "ERgARgYqAnIApk2EDgmjI+ctDtP20wgQzYUNjQgwstwCnA/FBWaVBd1InJaC2luwQ/uEjj"
    "dIS4iSS2f/8TZlUQYsHl+F4bYmQZMao+I2zIclSyxp/HKunurnX5RTnIGxhoOrVcm8w4jZ"
    "+5SUno5brYOJSuMm2ECHIgR0YENXEty++hwOS1Xxi446Kw4cbUYKAhdC3ZYaW/hi7RZT8B"
    "VZP8U/3bb2Ekm6Z1e33tttnXtNJM/8omJDrFN+mUyLGBCZfYXl69cqdclLUkK7i4qt8cnN"
    "Q+KwReH7GAWulVOUIOPVfVBVPmHBFIeCpzMbqddOYxpwRz0eS30A4MU9zTxyEAGaBaA9yS"
    "DZ80C5ERN8Vl5fR0Ae1v9RsFXORSxKl4fr2HvOsnVbw0SX5KWt2Zpq5yoI57FayzsUb2AB"
    "mGaIRmUwNZeYCnuO4h9eOjowzURa651FVanPojcphs1QztBh61CE/nHXFKcBYtXxfn43VB"
    "HskW/PZ7pXJyclY5Oqmdn1bPzk7Pj85FXtXc2aSzBR3RaH1tdfvxLpCGOHfIObLHogUz4O"
    "dSj7psDvvRerFXjqtn1fOTWjWkHVoWQZ4FaggBA/kszkvBg2MbpTOdeiWIGr7bYfBjB8PH"
    "An79Vqd52693rmXxNmMPlmJV7zdlSkVZnxPWg1oisISFgO+t/hWQl+Bnr9tMSpowX/9nSb"
    "YJupxqhE40aESZBObAFOte3YLYzqMxQ4cV9KWvHnegP5eoSSnfh/cRMSkNA6jfT6BjaDMp"
    "tELn5Z1Nsit20gIJHCk88j5kq/21V0fp/t6EzF+eJbOUMyzQ6IT4izSWbXnWN1FsCSUWTa"
    "GEAEpCeOskOgSUIOBV84kBjp5SlmMrl1Ysv7bugSkXy69iSbD91NeyJBA1itHKNRMyMw/y"
    "pN8e8q5VM+CuVefSlklx2GLummXcFzNDOmM/+16gXSRPmz/6MWUaIDzo1H98jqnTdq/7Nc"
    "geQX7R7jW2TfgsUz2596TfKHcwA17JyBBTtBmRJGJ4SY1SFhrGABZiTIoWzBkgCI/Mgajx"
    "k0xny0XQO9VRSKNCGu1eZCuk0cdTL6TRrksjzDTddRxEUnb1GpRaCJI55y8xxwTrgfDcQd"
    "iLNpx7vXZMLDVaSTV012k0xWBX8EUmzOfsSoehIY8mjTntxcj+3ynT79Qx2Hxh6iVn0aWT"
    "MGcmVaqyxzfGPF3I58vJPwGRuYciCcq/I8pFbJUlpKvSNdRRqNJCle5eVNuAKrXEfdko5V"
    "Bz/uwRcdkLypuYO6LIx/iRpgikLxaFc4iHHgneQ+myX8Qve3eNdhNc3zQvWretXjd+rqkS"
    "45Lopllvz8pQcZuMp78lsUSHRj0LIZpdiMr/TAvO3XMwjzsWyLMjZxw6ae+jLMQ9ddog6k"
    "Ck7CxqERhCUZk/psRcixGeC7tO7bGFeN6okvAsxnp26OGKMKsgDB0KObhjWwnYcaiE0ZKo"
    "S2m7CfEc5ewfXwRL63Kmry8WfAOhVvq2ageL7ACknGi9uZQVdgfyvmn+vu+YL98N2MXV6f"
    "x9ATmXYstCKfsCS+fg0G+Dc0Fo2anJYEuik3e43lEnXimhKZqcIy6pE7SMYemKToBo3rNo"
    "mT1A8cAh9yeh/7KgCR+FN1bbjcDbhpqNTqsWtkKQ2sajxy0KXe948FhsaX78lqaBbUTk1y"
    "55PtWIO23uY411on6H7zW2ZCqQx1kX1CU8bSKYJmaZBuRiRfS7S3jGSaBFgBmEblUGRn68"
    "9p5O8UOWCXCKIs3pu0KIl8XkGO5B9uUD3Q/L2xvK3+WrpCJuf3zcDh6QHMM46lLE7G2I2a"
    "+/APeQLTo="
)
