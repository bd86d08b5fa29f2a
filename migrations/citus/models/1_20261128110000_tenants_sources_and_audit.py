"""Tenants that cannot see each other, sources, the audit and the seal, on Citus: what the migrations for plain PostgreSQL make.

What the workers' triggers and policies call cannot name the tables that agents name: there, those names lead back through the
whole cluster. It asks ``memory_guild_shard`` for the name. What else differs, and why:

- Triggers run on the shards. The function asks ``row_security_active``, because a condition would ask about the table.
- A policy of a distributed table has no sub-query; a function does the same. ``upgrade`` then gives the shards themselves
  policies with sub-queries, which take half the time; a shard that is moved has the function again.
- The coordinator calls functions that have no column as an argument itself, where no tenant's row is.
- The coordinator fills in the defaults, the ids too, so that the application role needs INSERT for the whole table. Who may
  not change an id gets a new one on the shard.
- What proves that a scope was opened, in a sealed database, is kept in the worker's session. Citus gives each worker values of
  its own for its sequences, 48 bits of them.
- Both roles may log in, because the coordinator connects to the workers as the role of the scope. They have no password.
"""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
-- Each of these is for this transaction only. Triggers on distributed tables are "unsafe" where they reach other workers;
-- these stay on the shards of one.
SET LOCAL citus.enable_unsafe_triggers = on;
SET LOCAL citus.multi_shard_modify_mode = 'sequential';
-- The server cannot check what names a shard.
SET LOCAL check_function_bodies = off;

-- The roles belong to the whole cluster: another database, or a DBA, may have made them before.
DO $migration$
DECLARE
    wanted TEXT;
    propagation TEXT := current_setting('citus.enable_ddl_propagation', true);
BEGIN
    -- Also where a scratch schema is the coordinator's own: no worker would know the role.
    PERFORM set_config('citus.enable_ddl_propagation', 'on', true);
    FOREACH wanted IN ARRAY ARRAY['memory_guild_app', 'memory_guild_admin'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
                EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', wanted);
            ELSIF EXISTS (SELECT FROM pg_roles WHERE rolname = wanted AND NOT rolcanlogin) THEN
                EXECUTE format('ALTER ROLE %I LOGIN', wanted);
            END IF;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'the role % is missing or may not log in, and % may not change that', wanted, current_user
                    USING ERRCODE = 'MG001', HINT =
                        'Let a DBA run: CREATE ROLE memory_guild_app LOGIN; CREATE ROLE memory_guild_admin LOGIN; '
                        || format('GRANT memory_guild_app, memory_guild_admin TO %I', current_user);
        END;
        -- The migrating login uses the scopes too, where it may.
        IF NOT pg_has_role(current_user, wanted, CASE WHEN current_setting('server_version_num')::INT < 160000 THEN 'MEMBER' ELSE 'SET' END) THEN
            BEGIN
                EXECUTE format('GRANT %I TO %I', wanted, current_user);
            EXCEPTION
                WHEN insufficient_privilege THEN
                    NULL;  -- a login that only migrates
            END;
        END IF;
    END LOOP;
    PERFORM set_config('citus.enable_ddl_propagation', propagation, true);
END $migration$;

DO $migration$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO memory_guild_app, memory_guild_admin', current_schema());
END $migration$;

-- Which source each memory came from, and which memories are held in quarantine until somebody releases them.
CREATE TABLE memory_sources (
    memory_id UUID NOT NULL,
    tenant_id VARCHAR(255) NOT NULL,
    source_id UUID NOT NULL REFERENCES data_sources (source_id) ON DELETE RESTRICT,
    is_held BOOLEAN NOT NULL DEFAULT false,   -- in quarantine: the memory is forgotten until it is released
    stored_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    -- With the tenant: no duplicate tells whether another tenant's memory has a stamp.
    PRIMARY KEY (memory_id, tenant_id),
    FOREIGN KEY (memory_id) REFERENCES memory_records (memory_id) ON DELETE CASCADE
);

CREATE INDEX memory_sources_source ON memory_sources (source_id, tenant_id);

-- The audit: entries can be added and never changed. They say nothing of what a memory contains.
CREATE TABLE memory_audit (
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
CREATE UNIQUE INDEX memory_audit_entry ON memory_audit (audit_id, tenant_id) NULLS NOT DISTINCT;
CREATE INDEX memory_audit_occurred ON memory_audit (occurred_at);
CREATE INDEX memory_audit_tenant ON memory_audit (tenant_id, occurred_at);

-- What proves to the database that a scope was opened by somebody who has the key. Without a key, nothing of it is used.
CREATE SEQUENCE memory_guild_seal_challenge;
CREATE SEQUENCE memory_guild_seal_salt;
CREATE SEQUENCE memory_guild_seal_opened;

-- The key as HMAC uses it: 64 bytes, combined with the inner and with the outer pad. The last three columns are read by
-- nobody: a worker has the sequences of its tables' defaults, and no others.
CREATE TABLE memory_guild_seal (
    inner_key BYTEA NOT NULL,
    outer_key BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    challenge BIGINT DEFAULT nextval('memory_guild_seal_challenge'),
    salt BIGINT DEFAULT nextval('memory_guild_seal_salt'),
    opened BIGINT DEFAULT nextval('memory_guild_seal_opened')
);

-- Default privileges may have given something away. To open a scope, a role reads when there was a key, and not the key.
REVOKE ALL ON memory_guild_seal FROM PUBLIC, memory_guild_app, memory_guild_admin;
REVOKE ALL ON SEQUENCE memory_guild_seal_challenge, memory_guild_seal_salt, memory_guild_seal_opened
    FROM PUBLIC, memory_guild_app, memory_guild_admin;
GRANT SELECT (created_at) ON memory_guild_seal TO memory_guild_app, memory_guild_admin;

DO $migration$
BEGIN
    IF to_regclass('aerich') IS NOT NULL THEN
        GRANT SELECT ON aerich TO memory_guild_app, memory_guild_admin;
    END IF;
END $migration$;

-- Never granted: TRUNCATE, REFERENCES and TRIGGER, which row-level security does not restrict.
GRANT SELECT, INSERT, DELETE ON memory_records, memory_embeddings, memory_relationships TO memory_guild_app;
GRANT UPDATE (agent_id, tenant_id, source_type, content_text, content_hash, metadata, created_at, updated_at, is_deleted, deleted_at)
    ON memory_records TO memory_guild_app;
GRANT UPDATE (memory_id, vector_id, embedding_model, created_at) ON memory_embeddings TO memory_guild_app;
GRANT UPDATE (source_memory_id, target_memory_id, relationship_type, confidence_score, created_at)
    ON memory_relationships TO memory_guild_app;
GRANT SELECT ON data_sources, memory_access_policies TO memory_guild_app;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON memory_records, memory_embeddings, memory_relationships, data_sources, memory_access_policies TO memory_guild_admin;
GRANT SELECT, INSERT, UPDATE (source_id, is_held) ON memory_sources TO memory_guild_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON memory_sources TO memory_guild_admin;
GRANT INSERT ON memory_audit TO memory_guild_app, memory_guild_admin;
GRANT SELECT ON memory_audit TO memory_guild_admin;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- The relation that has the rows of a table of this schema, for dynamic statements: on the worker that has them its
        -- shard, and elsewhere the table itself.
        CREATE FUNCTION %1$I.memory_guild_shard(logical TEXT) RETURNS TEXT LANGUAGE plpgsql STABLE AS $body$
        DECLARE
            qualified TEXT := pg_catalog.format('%%I.%%I', %2$L, logical);
            shard TEXT := pg_catalog.format('%%I.%%I', %2$L, pg_catalog.concat(logical, '_', (
                SELECT shardid FROM pg_catalog.pg_dist_shard
                WHERE logicalrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(qualified)
            )));
        BEGIN
            RETURN CASE WHEN pg_catalog.to_regclass(shard) IS NULL THEN qualified ELSE shard END;
        END $body$
    $function$, current_schema(), current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- Whether a row is the transaction's tenant's. A function of the row, and said to be immutable: what the coordinator
        -- has to work out before it sends a statement, it sends in another way, and wrongly for INSERT ... SELECT.
        CREATE FUNCTION %1$I.memory_guild_own(tenant_of_row VARCHAR) RETURNS BOOLEAN
        LANGUAGE plpgsql IMMUTABLE AS $body$
        BEGIN
            -- After the first transaction that set it, the setting reads '' where it is not set.
            RETURN tenant_of_row OPERATOR(pg_catalog.=)
                NULLIF(pg_catalog.current_setting('memory_guild.tenant_id', true), '');
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- A row of another tenant, or no tenant at all. Called only by a policy that has failed; the maintenance role
        -- has a policy of its own that is still to be asked. With a column, or the coordinator would call it; and said to be
        -- immutable, as all that policies call, or Citus would refuse every UPDATE.
        CREATE FUNCTION %1$I.memory_guild_refuse_tenant(tenant_of_row VARCHAR) RETURNS BOOLEAN
        LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            IF current_user = 'memory_guild_admin' THEN
                RETURN false;
            ELSIF NULLIF(current_setting('memory_guild.tenant_id', true), '') IS NULL THEN
                RAISE EXCEPTION 'no tenant is set' USING ERRCODE = 'MG003', TABLE = 'memory_records';
            END IF;
            RAISE EXCEPTION 'the row belongs to another tenant' USING ERRCODE = 'MG002', TABLE = 'memory_records';
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- A memory that is another tenant's is a memory that does not exist: one error, the foreign key's. With a column, as
        -- above.
        CREATE FUNCTION %1$I.memory_guild_refuse_memory(refused_by TEXT, memory UUID) RETURNS BOOLEAN
        LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            RAISE EXCEPTION 'the memory does not exist: table "%%", constraint "tenant_isolation"', refused_by
                USING ERRCODE = 'foreign_key_violation', TABLE = refused_by, CONSTRAINT = 'tenant_isolation';
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- Whether the role sees a memory, under the policies of memory_records.
        CREATE FUNCTION %1$I.memory_guild_sees(memory UUID) RETURNS BOOLEAN LANGUAGE plpgsql IMMUTABLE AS $body$
        DECLARE
            seen BOOLEAN;
        BEGIN
            EXECUTE pg_catalog.concat(
                'SELECT true FROM ', %1$I.memory_guild_shard('memory_records'),
                ' WHERE memory_id OPERATOR(pg_catalog.=) $1'
            ) INTO seen USING memory;
            RETURN seen;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- Whether the role sees both memories, and they are one tenant's.
        CREATE FUNCTION %1$I.memory_guild_sees_both(source UUID, target UUID) RETURNS BOOLEAN
        LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $body$
        DECLARE
            seen BOOLEAN;
            memories TEXT := %1$I.memory_guild_shard('memory_records');
        BEGIN
            EXECUTE concat(
                'SELECT true FROM ', memories, ' source JOIN ', memories, ' target ON target.tenant_id = source.tenant_id',
                ' WHERE source.memory_id = $1 AND target.memory_id = $2'
            ) INTO seen USING source, target;
            RETURN seen;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- Who may not change an id, or a time that the database sets, does not choose it either: the coordinator fills in
        -- the default, and nobody can tell that from what somebody has chosen.
        CREATE FUNCTION %1$I.memory_guild_choose() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            IF NOT has_column_privilege(TG_RELID, TG_ARGV[0], 'UPDATE') THEN
                CASE TG_ARGV[0]
                    WHEN 'memory_id' THEN NEW.memory_id := gen_random_uuid();
                    WHEN 'embedding_id' THEN NEW.embedding_id := gen_random_uuid();
                    WHEN 'relationship_id' THEN NEW.relationship_id := gen_random_uuid();
                    WHEN 'stored_at' THEN NEW.stored_at := statement_timestamp();
                    WHEN 'occurred_at' THEN NEW.occurred_at := clock_timestamp();
                END CASE;
            END IF;
            RETURN NEW;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- The time of the transaction on the worker, as the default of a row that is about to be stored.
        CREATE FUNCTION %1$I.memory_guild_now(of_row UUID) RETURNS TIMESTAMPTZ
        LANGUAGE plpgsql IMMUTABLE AS $body$
        BEGIN
            RETURN pg_catalog.now();
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        CREATE FUNCTION %1$I.memory_guild_identity_guard() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            RAISE EXCEPTION 'memory_id and tenant_id of a memory cannot be changed: table "memory_records", constraint "memory_guild_identity_guard"'
                USING ERRCODE = 'restrict_violation', TABLE = 'memory_records', CONSTRAINT = 'memory_guild_identity_guard';
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        CREATE FUNCTION %1$I.memory_guild_touch() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            NEW.updated_at := now();
            RETURN NEW;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- For the roles that bypass row-level security; all others have the policies' WITH CHECK.
        CREATE FUNCTION %1$I.memory_guild_edge_guard() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $body$
        DECLARE
            is_wrong BOOLEAN;
            memories TEXT;
        BEGIN
            IF row_security_active(TG_RELID) THEN
                RETURN NULL;
            END IF;
            memories := %1$I.memory_guild_shard('memory_records');
            EXECUTE format(
                'SELECT EXISTS (
                    SELECT FROM new_rows WHERE (
                        SELECT source.tenant_id = (
                            SELECT target.tenant_id FROM %%1$s target
                            WHERE target.memory_id = new_rows.target_memory_id
                        ) AND source.tenant_id
                            = COALESCE(NULLIF(current_setting(''memory_guild.tenant_id'', true), ''''), source.tenant_id)
                        FROM %%1$s source WHERE source.memory_id = new_rows.source_memory_id
                    ) IS NOT TRUE
                )', memories
            ) INTO is_wrong;
            IF is_wrong THEN
                PERFORM %1$I.memory_guild_refuse_memory('memory_relationships', NULL);
            END IF;
            RETURN NULL;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        CREATE FUNCTION %1$I.memory_guild_embedding_guard() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $body$
        DECLARE
            is_wrong BOOLEAN;
        BEGIN
            IF row_security_active(TG_RELID) THEN
                RETURN NULL;
            END IF;
            EXECUTE format(
                'SELECT EXISTS (
                    SELECT FROM new_rows WHERE (
                        SELECT memory.tenant_id
                            <> COALESCE(NULLIF(current_setting(''memory_guild.tenant_id'', true), ''''), memory.tenant_id)
                        FROM %%1$s memory WHERE memory.memory_id = new_rows.memory_id
                    )
                )', %1$I.memory_guild_shard('memory_records')
            ) INTO is_wrong;
            IF is_wrong THEN
                PERFORM %1$I.memory_guild_refuse_memory('memory_embeddings', NULL);
            END IF;
            RETURN NULL;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
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
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- After the foreign key has locked the source: what is read here is true until the transaction ends.
        CREATE FUNCTION %1$I.memory_guild_check_stamps(memories UUID[], sources UUID[], held BOOLEAN[])
        RETURNS VOID
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $body$
        DECLARE
            is_wrong BOOLEAN;
            inactive TEXT;
            catalogue TEXT := %1$I.memory_guild_shard('data_sources');
        BEGIN
            EXECUTE format(
                'SELECT EXISTS (
                    SELECT FROM unnest($1, $2) AS stamp (memory, is_held)
                    WHERE (
                        SELECT (NOT stamp.is_held OR written.is_deleted) AND %1$I.memory_guild_is_own_write(written.xmin)
                        FROM %%s written WHERE written.memory_id = stamp.memory
                    ) IS NOT TRUE
                )', %1$I.memory_guild_shard('memory_records')
            ) INTO is_wrong USING memories, held;
            IF is_wrong THEN
                RAISE EXCEPTION 'a source is stamped only on a memory that this transaction stores'
                    USING ERRCODE = 'insufficient_privilege', TABLE = 'memory_sources';
            END IF;
            -- Maintenance keeps stamps as they were, as where a tenant changes its group.
            IF current_user = 'memory_guild_admin' THEN
                RETURN;
            END IF;
            EXECUTE format(
                'SELECT source_name FROM %%s WHERE source_id = ANY ($1) AND is_active IS NOT TRUE LIMIT 1', catalogue
            ) INTO inactive USING sources;
            IF inactive IS NOT NULL THEN
                RAISE EXCEPTION 'the source is not active'
                    USING ERRCODE = 'MG012', TABLE = 'data_sources', DETAIL = inactive;
            END IF;
            EXECUTE format(
                'SELECT EXISTS (
                    SELECT FROM unnest($1, $2) AS stamp (source, is_held)
                    WHERE (
                        SELECT COALESCE(chosen.metadata -> ''quarantine'' = ''true'', false) = stamp.is_held
                        FROM %%s chosen WHERE chosen.source_id = stamp.source
                    ) IS NOT TRUE
                )', catalogue
            ) INTO is_wrong USING sources, held;
            IF is_wrong THEN
                RAISE EXCEPTION 'the quarantine of the source was changed'
                    USING ERRCODE = 'serialization_failure', TABLE = 'memory_sources';
            END IF;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- Before the foreign key, which would lock a stranger's memory. A memory that is another tenant's is a memory that
        -- does not exist: one error.
        CREATE FUNCTION %1$I.memory_guild_stamp_guard() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
        SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $body$
        DECLARE
            is_own BOOLEAN;
        BEGIN
            IF row_security_active(TG_RELID) THEN
                -- In this form only the primary key has the order that is wanted. Otherwise the policy's tenant may be
                -- looked up in the tenant's index, which has all of its memories.
                EXECUTE format(
                    'SELECT tenant_id = $2 FROM %%s WHERE memory_id BETWEEN $1 AND $1 ORDER BY memory_id LIMIT 1',
                    %1$I.memory_guild_shard('memory_records')
                ) INTO is_own USING NEW.memory_id, NEW.tenant_id;
                IF is_own IS NOT TRUE THEN
                    PERFORM %1$I.memory_guild_refuse_memory('memory_sources', NULL);
                END IF;
            END IF;
            RETURN NEW;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        CREATE FUNCTION %1$I.memory_guild_stamps_inserted() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            IF row_security_active(TG_RELID) THEN
                PERFORM %1$I.memory_guild_check_stamps(array_agg(memory_id), array_agg(source_id), array_agg(is_held))
                FROM new_rows HAVING count(*) > 0;
            END IF;
            RETURN NULL;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- To release is free. All else is a new stamp, also where it names the same source.
        CREATE FUNCTION %1$I.memory_guild_stamps_updated() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            IF row_security_active(TG_RELID) THEN
                PERFORM %1$I.memory_guild_check_stamps(
                    array_agg(memory_id), array_agg(after.source_id), array_agg(after.is_held))
                FROM old_rows AS before JOIN new_rows AS after USING (memory_id)
                WHERE before.source_id <> after.source_id OR after.is_held OR NOT before.is_held
                HAVING count(*) > 0;
            END IF;
            RETURN NULL;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- Once a statement, and not where it was moved a moment ago or another transaction moves it: nobody waits.
        CREATE FUNCTION %1$I.memory_guild_ingested() RETURNS TRIGGER
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            EXECUTE format(
                'UPDATE %%1$s SET last_ingestion_at = statement_timestamp()
                WHERE source_id IN (
                    SELECT source_id FROM %%1$s
                    WHERE source_id IN (SELECT source_id FROM new_rows)
                        AND COALESCE(last_ingestion_at, ''-infinity'') < statement_timestamp() - interval ''100 milliseconds''
                    FOR NO KEY UPDATE SKIP LOCKED
                )', %1$I.memory_guild_shard('data_sources')
            );
            RETURN NULL;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- A memory that has a stamp was forgotten, and is stored again. The foreign key locks the source only where it is
        -- another one.
        CREATE FUNCTION %1$I.memory_guild_stamped_again() RETURNS TRIGGER
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        DECLARE
            catalogue TEXT := %1$I.memory_guild_shard('data_sources');
        BEGIN
            EXECUTE format('SELECT FROM %%s WHERE source_id = $1 FOR KEY SHARE', catalogue) USING NEW.source_id;
            EXECUTE format(
                'UPDATE %%1$s SET last_ingestion_at = statement_timestamp()
                WHERE source_id IN (
                    SELECT source_id FROM %%1$s
                    WHERE source_id = $1
                        AND COALESCE(last_ingestion_at, ''-infinity'') < statement_timestamp() - interval ''100 milliseconds''
                    FOR NO KEY UPDATE SKIP LOCKED
                )', catalogue
            ) USING NEW.source_id;
            RETURN NULL;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- For what is stored without a stamp, of a source that is read in the same statement: that makes it run where the
        -- source is. The table first: who has it waits for nobody who waits for it.
        CREATE FUNCTION %1$I.memory_guild_locked_source(name VARCHAR)
        RETURNS TABLE (source_id UUID, is_active BOOLEAN, is_quarantined BOOLEAN)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            EXECUTE format('LOCK TABLE ONLY %%s IN ROW EXCLUSIVE MODE', %1$I.memory_guild_shard('memory_sources'));
            RETURN QUERY EXECUTE format(
                'SELECT source.source_id, source.is_active IS TRUE,
                    COALESCE(source.metadata -> ''quarantine'' = ''true'', false)
                FROM %%s source WHERE source.source_name = $1
                FOR KEY SHARE', %1$I.memory_guild_shard('data_sources')
            ) USING name;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- Runs after the whole statement, so one that releases a memory may restore it, too.
        CREATE FUNCTION %1$I.memory_guild_held_guard() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        DECLARE
            is_held BOOLEAN;
        BEGIN
            EXECUTE format(
                'SELECT EXISTS (SELECT FROM %%s WHERE memory_id = $1 AND tenant_id = $2 AND is_held)',
                %1$I.memory_guild_shard('memory_sources')
            ) INTO is_held USING NEW.memory_id, NEW.tenant_id;
            IF is_held THEN
                RAISE EXCEPTION 'the memory is held in quarantine'
                    USING ERRCODE = 'MG011', TABLE = 'memory_records', DETAIL = NEW.memory_id::TEXT;
            END IF;
            RETURN NULL;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- For a text that is held and arrives again in good order.
        CREATE FUNCTION %1$I.memory_guild_released(memory UUID) RETURNS BOOLEAN
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            EXECUTE format(
                'UPDATE %%s SET is_held = false WHERE memory_id = $1 AND is_held',
                %1$I.memory_guild_shard('memory_sources')
            ) USING memory;
            RETURN true;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        CREATE FUNCTION %1$I.memory_guild_await_stores() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' AS $body$
        DECLARE
            patience CONSTANT TIMESTAMPTZ := clock_timestamp() + interval '30 seconds';
            locking CONSTANT TEXT := format(
                'SELECT FROM %%s WHERE source_id = $1 FOR UPDATE NOWAIT', %1$I.memory_guild_shard('data_sources'));
        BEGIN
            LOOP
                BEGIN
                    EXECUTE locking USING OLD.source_id;
                    RETURN NEW;
                EXCEPTION WHEN lock_not_available THEN
                    IF clock_timestamp() > patience THEN
                        RAISE;
                    END IF;
                END;
                BEGIN
                    EXECUTE format('LOCK TABLE ONLY %%s IN SHARE MODE', %1$I.memory_guild_shard('memory_sources'));
                    EXECUTE locking USING OLD.source_id;
                    RETURN NEW;
                EXCEPTION WHEN lock_not_available OR insufficient_privilege THEN
                    PERFORM pg_sleep(0.05);  -- a scope that stores, from this source or another, goes on: let others pass
                END;
            END LOOP;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
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
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        CREATE FUNCTION %1$I.memory_guild_append_only() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            RAISE EXCEPTION 'entries of the audit cannot be changed or deleted'
                USING ERRCODE = 'insufficient_privilege', TABLE = 'memory_audit';
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- On the worker everybody is the role: the login is what the scope's opening has said of it.
        CREATE FUNCTION %1$I.memory_guild_audit(event TEXT, subject TEXT, details JSONB) RETURNS VOID
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            EXECUTE format(
                'INSERT INTO %%s (audit_id, login, event, subject, outcome, details) VALUES ($1, $2, $3, $4, ''done'', $5)',
                %1$I.memory_guild_shard('memory_audit')
            ) USING gen_random_uuid(), COALESCE(NULLIF(current_setting('memory_guild.login', true), ''), session_user::TEXT),
                event, subject, details;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        CREATE FUNCTION %1$I.memory_guild_audit_sources() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            IF TG_OP = 'TRUNCATE' THEN
                PERFORM %1$I.memory_guild_audit('source_removed', NULL, '{"truncated": true}');
            ELSIF TG_OP = 'DELETE' THEN
                PERFORM %1$I.memory_guild_audit(
                    'source_removed', OLD.source_name, jsonb_build_object('source_id', OLD.source_id));
            ELSE
                PERFORM %1$I.memory_guild_audit(
                    CASE TG_OP WHEN 'INSERT' THEN 'source_registered' ELSE 'source_changed' END,
                    NEW.source_name,
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
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        CREATE FUNCTION %1$I.memory_guild_audit_policies() RETURNS TRIGGER
        LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            IF TG_OP = 'TRUNCATE' THEN
                PERFORM %1$I.memory_guild_audit('policy_removed', NULL, '{"truncated": true}');
            ELSIF TG_OP = 'DELETE' THEN
                PERFORM %1$I.memory_guild_audit(
                    'policy_removed', OLD.policy_name, jsonb_build_object('policy_id', OLD.policy_id));
            ELSE
                PERFORM %1$I.memory_guild_audit(
                    'policy_put',
                    NEW.policy_name,
                    jsonb_build_object(
                        'policy_id', NEW.policy_id, 'is_active', NEW.is_active, 'is_new', TG_OP = 'INSERT',
                        'rules_sha256', encode(sha256(convert_to(NEW.policy_rules::text, 'UTF8')), 'hex')
                    )
                );
            END IF;
            RETURN NULL;
        END $body$
    $function$, current_schema());
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- A number that a sequence of this worker can have.
        CREATE FUNCTION %1$I.memory_guild_seal_number(hash BIGINT) RETURNS BIGINT LANGUAGE sql STABLE AS $body$
            SELECT seqmin OPERATOR(pg_catalog.+) (hash OPERATOR(pg_catalog.&) 281474976710655)
            FROM pg_catalog.pg_sequence WHERE seqrelid OPERATOR(pg_catalog.=) %2$L::pg_catalog.regclass
        $body$
    $function$, current_schema(), format('%I.memory_guild_seal_opened', current_schema()));
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- Gives the worker's session a new challenge. Its argument is a column of the key's table: so it runs on the worker.
        CREATE FUNCTION %1$I.memory_guild_challenge(sealed_at TIMESTAMPTZ) RETURNS BIGINT
        LANGUAGE plpgsql SECURITY DEFINER AS $body$
        BEGIN
            -- Halved, so that it can be counted up.
            RETURN pg_catalog.setval(%2$L::pg_catalog.regclass, %1$I.memory_guild_seal_number(
                pg_catalog.hashtextextended(pg_catalog.gen_random_uuid()::pg_catalog.text, 0)
                    OPERATOR(pg_catalog.&) 140737488355327));
        END $body$
    $function$, current_schema(), format('%I.memory_guild_seal_challenge', current_schema()));
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- Opens the worker's transaction for a tenant: the proof is the HMAC-SHA256 of 'challenge tenant' with the key.
        CREATE FUNCTION %1$I.memory_guild_open(sealed_at TIMESTAMPTZ, tenant TEXT, proof BYTEA) RETURNS VOID
        LANGUAGE plpgsql SECURITY DEFINER AS $body$
        DECLARE
            challenge BIGINT := pg_catalog.currval(%2$L::pg_catalog.regclass);
            answered BYTEA := pg_catalog.convert_to(
                challenge::pg_catalog.text OPERATOR(pg_catalog.||) ' ' OPERATOR(pg_catalog.||) tenant, 'UTF8');
            is_right BOOLEAN;  -- NULL where there is no key
            salt BIGINT;
            opened TEXT;
        BEGIN
            EXECUTE pg_catalog.concat(
                'SELECT pg_catalog.bool_or(COALESCE($1 OPERATOR(pg_catalog.=) pg_catalog.sha256(
                    seal.outer_key OPERATOR(pg_catalog.||) pg_catalog.sha256(
                        seal.inner_key OPERATOR(pg_catalog.||) $2)), false)) FROM ',
                %1$I.memory_guild_shard('memory_guild_seal'), ' AS seal'
            ) INTO is_right USING proof, answered;
            IF is_right THEN
                challenge := pg_catalog.setval(%2$L::pg_catalog.regclass, challenge OPERATOR(pg_catalog.+) 1);
                salt := pg_catalog.setval(%4$L::pg_catalog.regclass, %1$I.memory_guild_seal_number(
                    pg_catalog.hashtextextended(pg_catalog.gen_random_uuid()::pg_catalog.text, 0)));
                opened := pg_catalog.encode(pg_catalog.timestamptz_send(pg_catalog.now()), 'hex')
                    OPERATOR(pg_catalog.||) tenant;
                salt := pg_catalog.setval(%3$L::pg_catalog.regclass, %1$I.memory_guild_seal_number(
                    pg_catalog.hashtextextended(opened, pg_catalog.hashtextextended(opened, salt))));
            ELSIF NOT is_right THEN
                -- No second guess at the same answer: how long the comparison takes must teach nothing.
                challenge := pg_catalog.setval(%2$L::pg_catalog.regclass, %1$I.memory_guild_seal_number(
                    pg_catalog.hashtextextended(pg_catalog.gen_random_uuid()::pg_catalog.text, 0)
                        OPERATOR(pg_catalog.&) 140737488355327));
                RAISE EXCEPTION 'the proof does not open this tenant' USING ERRCODE = 'MG004';
            END IF;
            tenant := pg_catalog.set_config('memory_guild.tenant_id', tenant, true);
        END $body$
    $function$,
        current_schema(),
        format('%I.memory_guild_seal_challenge', current_schema()),
        format('%I.memory_guild_seal_opened', current_schema()),
        format('%I.memory_guild_seal_salt', current_schema()));
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- The tenant that the worker's transaction was opened for; NULL where the setting names another one, or none.
        -- In the leader only: a parallel worker has no currval.
        CREATE FUNCTION %1$I.memory_guild_tenant() RETURNS TEXT
        LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER AS $body$
        DECLARE
            tenant TEXT := pg_catalog.current_setting('memory_guild.tenant_id', true);
            opened TEXT;
        BEGIN
            IF COALESCE(tenant, '') OPERATOR(pg_catalog.=) '' THEN
                RETURN NULL;
            END IF;
            opened := pg_catalog.encode(pg_catalog.timestamptz_send(pg_catalog.now()), 'hex') OPERATOR(pg_catalog.||) tenant;
            RETURN CASE WHEN pg_catalog.currval(%2$L::pg_catalog.regclass) OPERATOR(pg_catalog.=)
                %1$I.memory_guild_seal_number(pg_catalog.hashtextextended(opened, pg_catalog.hashtextextended(
                    opened, pg_catalog.currval(%3$L::pg_catalog.regclass))))
                THEN tenant END;
        END $body$
    $function$,
        current_schema(),
        format('%I.memory_guild_seal_opened', current_schema()),
        format('%I.memory_guild_seal_salt', current_schema()));
END $migration$;

DO $migration$
BEGIN
    EXECUTE format($function$
        -- As memory_guild_own, in a sealed database.
        CREATE FUNCTION %1$I.memory_guild_opened(tenant_of_row VARCHAR) RETURNS BOOLEAN
        LANGUAGE plpgsql IMMUTABLE AS $body$
        BEGIN
            RETURN tenant_of_row OPERATOR(pg_catalog.=) %1$I.memory_guild_tenant();
        END $body$
    $function$, current_schema());
END $migration$;

-- Not left to the default, which a server may have taken away from PUBLIC.
GRANT EXECUTE ON FUNCTION memory_guild_shard(TEXT), memory_guild_own(VARCHAR), memory_guild_opened(VARCHAR), memory_guild_now(UUID),
    memory_guild_refuse_tenant(VARCHAR), memory_guild_refuse_memory(TEXT, UUID),
    memory_guild_sees(UUID), memory_guild_sees_both(UUID, UUID), memory_guild_is_own_write(XID),
    memory_guild_check_stamps(UUID[], UUID[], BOOLEAN[]), memory_guild_released(UUID),
    memory_guild_audit(TEXT, TEXT, JSONB), memory_guild_seal_number(BIGINT), memory_guild_tenant() TO PUBLIC;
REVOKE ALL ON FUNCTION memory_guild_locked_source(VARCHAR), memory_guild_open(TIMESTAMPTZ, TEXT, BYTEA),
    memory_guild_challenge(TIMESTAMPTZ) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memory_guild_locked_source(VARCHAR), memory_guild_open(TIMESTAMPTZ, TEXT, BYTEA),
    memory_guild_challenge(TIMESTAMPTZ) TO memory_guild_app, memory_guild_admin;

CREATE TRIGGER memory_guild_choose BEFORE INSERT ON memory_records
    FOR EACH ROW EXECUTE FUNCTION memory_guild_choose('memory_id');
CREATE TRIGGER memory_guild_choose BEFORE INSERT ON memory_embeddings
    FOR EACH ROW EXECUTE FUNCTION memory_guild_choose('embedding_id');
CREATE TRIGGER memory_guild_choose BEFORE INSERT ON memory_relationships
    FOR EACH ROW EXECUTE FUNCTION memory_guild_choose('relationship_id');
CREATE TRIGGER memory_guild_choose BEFORE INSERT ON memory_sources
    FOR EACH ROW EXECUTE FUNCTION memory_guild_choose('stored_at');
CREATE TRIGGER memory_guild_choose BEFORE INSERT ON memory_audit
    FOR EACH ROW EXECUTE FUNCTION memory_guild_choose('occurred_at');

CREATE TRIGGER memory_guild_identity_guard BEFORE UPDATE ON memory_records FOR EACH ROW
    WHEN (OLD.tenant_id IS DISTINCT FROM NEW.tenant_id OR OLD.memory_id IS DISTINCT FROM NEW.memory_id)
    EXECUTE FUNCTION memory_guild_identity_guard();
CREATE TRIGGER memory_guild_touch BEFORE UPDATE ON memory_records FOR EACH ROW
    WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at) EXECUTE FUNCTION memory_guild_touch();
CREATE TRIGGER memory_guild_touch BEFORE UPDATE ON memory_access_policies FOR EACH ROW
    WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at) EXECUTE FUNCTION memory_guild_touch();
CREATE TRIGGER memory_guild_edge_guard_insert AFTER INSERT ON memory_relationships
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_edge_guard();
CREATE TRIGGER memory_guild_edge_guard_update AFTER UPDATE ON memory_relationships
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_edge_guard();
CREATE TRIGGER memory_guild_embedding_guard_insert AFTER INSERT ON memory_embeddings
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_embedding_guard();
CREATE TRIGGER memory_guild_embedding_guard_update AFTER UPDATE ON memory_embeddings
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_embedding_guard();

CREATE TRIGGER memory_guild_stamp_guard BEFORE INSERT ON memory_sources
    FOR EACH ROW EXECUTE FUNCTION memory_guild_stamp_guard();
CREATE TRIGGER memory_guild_stamps_inserted AFTER INSERT ON memory_sources
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_stamps_inserted();
CREATE TRIGGER memory_guild_stamps_updated AFTER UPDATE ON memory_sources
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_stamps_updated();
CREATE TRIGGER memory_guild_ingested AFTER INSERT ON memory_sources
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_ingested();
-- Without a list of columns: Citus does not carry one to the shards. To release is no new stamp.
CREATE TRIGGER memory_guild_stamped_again AFTER UPDATE ON memory_sources FOR EACH ROW
    WHEN (OLD.source_id <> NEW.source_id OR NEW.is_held OR NOT OLD.is_held)
    EXECUTE FUNCTION memory_guild_stamped_again();
CREATE TRIGGER memory_guild_held_guard AFTER UPDATE ON memory_records FOR EACH ROW
    WHEN (OLD.is_deleted AND NEW.is_deleted IS NOT TRUE) EXECUTE FUNCTION memory_guild_held_guard();
CREATE TRIGGER memory_guild_await_stores BEFORE UPDATE ON data_sources FOR EACH ROW
    WHEN (
        OLD.is_active AND NEW.is_active IS NOT TRUE
        OR NEW.metadata -> 'quarantine' = 'true' AND OLD.metadata -> 'quarantine' IS DISTINCT FROM 'true'
    ) EXECUTE FUNCTION memory_guild_await_stores();
CREATE TRIGGER memory_guild_patience_begins BEFORE UPDATE ON data_sources
    FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_patience();
CREATE TRIGGER memory_guild_patience_ends AFTER UPDATE ON data_sources
    FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_patience();

-- Also where session_replication_role keeps other triggers from firing.
CREATE TRIGGER memory_guild_append_only BEFORE UPDATE OR DELETE ON memory_audit
    FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_append_only();
ALTER TABLE memory_audit ENABLE ALWAYS TRIGGER memory_guild_append_only;
-- The triggers of TRUNCATE fire on the table itself and not on the shard, so that they need one of their own.
CREATE TRIGGER memory_guild_never_truncated BEFORE TRUNCATE ON memory_audit
    FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_append_only();
ALTER TABLE memory_audit ENABLE ALWAYS TRIGGER memory_guild_never_truncated;
CREATE TRIGGER memory_guild_audit AFTER INSERT OR DELETE ON data_sources
    FOR EACH ROW EXECUTE FUNCTION memory_guild_audit_sources();
-- That something came from a source is no change of it.
CREATE TRIGGER memory_guild_audit_changes AFTER UPDATE ON data_sources FOR EACH ROW
    WHEN (
        (OLD.source_id, OLD.source_name, OLD.source_type, OLD.source_uri, OLD.is_active, OLD.created_at, OLD.metadata)
        IS DISTINCT FROM
        (NEW.source_id, NEW.source_name, NEW.source_type, NEW.source_uri, NEW.is_active, NEW.created_at, NEW.metadata)
    )
    EXECUTE FUNCTION memory_guild_audit_sources();
CREATE TRIGGER memory_guild_audit_truncated AFTER TRUNCATE ON data_sources
    FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_audit_sources();
CREATE TRIGGER memory_guild_audit AFTER INSERT OR UPDATE OR DELETE ON memory_access_policies
    FOR EACH ROW EXECUTE FUNCTION memory_guild_audit_policies();
CREATE TRIGGER memory_guild_audit_truncated AFTER TRUNCATE ON memory_access_policies
    FOR EACH STATEMENT EXECUTE FUNCTION memory_guild_audit_policies();

CREATE POLICY tenant_isolation ON memory_records
    USING (memory_guild_own(tenant_id))
    WITH CHECK (memory_guild_own(tenant_id) OR memory_guild_refuse_tenant(tenant_id));
-- By name, not by membership: a login that inherits from the role sees nothing more until it becomes the role.
CREATE POLICY maintenance ON memory_records TO memory_guild_admin USING (current_user = 'memory_guild_admin');
-- Both ends of an edge are in one tenant when it is written, so one end tells whose it is.
CREATE POLICY tenant_isolation ON memory_embeddings
    USING (memory_guild_sees(memory_id))
    WITH CHECK (memory_guild_sees(memory_id) OR memory_guild_refuse_memory('memory_embeddings', memory_id));
CREATE POLICY tenant_isolation ON memory_relationships
    USING (memory_guild_sees(source_memory_id))
    WITH CHECK (memory_guild_sees_both(source_memory_id, target_memory_id)
        OR memory_guild_refuse_memory('memory_relationships', source_memory_id));
CREATE POLICY tenant_isolation ON memory_sources
    USING (memory_guild_own(tenant_id))
    WITH CHECK (memory_guild_own(tenant_id));
CREATE POLICY maintenance ON memory_sources TO memory_guild_admin USING (current_user = 'memory_guild_admin');
-- An entry of no tenant is for those who may change the audit itself, or the sources: whose triggers write it.
CREATE POLICY tenant_isolation ON memory_audit FOR INSERT WITH CHECK (
    memory_guild_own(tenant_id)
    OR tenant_id IS NULL AND has_table_privilege('data_sources'::regclass, 'UPDATE')
);
CREATE POLICY maintenance ON memory_audit TO memory_guild_admin USING (current_user = 'memory_guild_admin');

ALTER TABLE memory_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE memory_records FORCE ROW LEVEL SECURITY;
ALTER TABLE memory_embeddings ENABLE ROW LEVEL SECURITY;
ALTER TABLE memory_embeddings FORCE ROW LEVEL SECURITY;
ALTER TABLE memory_relationships ENABLE ROW LEVEL SECURITY;
ALTER TABLE memory_relationships FORCE ROW LEVEL SECURITY;
ALTER TABLE memory_sources ENABLE ROW LEVEL SECURITY;
ALTER TABLE memory_sources FORCE ROW LEVEL SECURITY;
ALTER TABLE memory_audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE memory_audit FORCE ROW LEVEL SECURITY;
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
SET LOCAL citus.multi_shard_modify_mode = 'sequential';
SET LOCAL citus.enable_unsafe_triggers = on;
DROP TRIGGER memory_guild_audit_truncated ON memory_access_policies;
DROP TRIGGER memory_guild_audit ON memory_access_policies;
DROP TRIGGER memory_guild_audit_truncated ON data_sources;
DROP TRIGGER memory_guild_audit_changes ON data_sources;
DROP TRIGGER memory_guild_audit ON data_sources;
DROP TRIGGER memory_guild_patience_ends ON data_sources;
DROP TRIGGER memory_guild_patience_begins ON data_sources;
DROP TRIGGER memory_guild_await_stores ON data_sources;
DROP TRIGGER memory_guild_held_guard ON memory_records;
DROP TRIGGER memory_guild_embedding_guard_update ON memory_embeddings;
DROP TRIGGER memory_guild_embedding_guard_insert ON memory_embeddings;
DROP TRIGGER memory_guild_edge_guard_update ON memory_relationships;
DROP TRIGGER memory_guild_edge_guard_insert ON memory_relationships;
DROP TRIGGER memory_guild_touch ON memory_access_policies;
DROP TRIGGER memory_guild_touch ON memory_records;
DROP TRIGGER memory_guild_identity_guard ON memory_records;
DROP TRIGGER memory_guild_choose ON memory_relationships;
DROP TRIGGER memory_guild_choose ON memory_embeddings;
DROP TRIGGER memory_guild_choose ON memory_records;
ALTER TABLE memory_relationships NO FORCE ROW LEVEL SECURITY;
ALTER TABLE memory_relationships DISABLE ROW LEVEL SECURITY;
ALTER TABLE memory_embeddings NO FORCE ROW LEVEL SECURITY;
ALTER TABLE memory_embeddings DISABLE ROW LEVEL SECURITY;
ALTER TABLE memory_records NO FORCE ROW LEVEL SECURITY;
ALTER TABLE memory_records DISABLE ROW LEVEL SECURITY;
DROP POLICY tenant_isolation ON memory_relationships;
DROP POLICY tenant_isolation ON memory_embeddings;
DROP POLICY maintenance ON memory_records;
DROP POLICY tenant_isolation ON memory_records;
DROP TABLE memory_guild_seal;
DROP TABLE memory_audit;
DROP TABLE memory_sources;
DROP SEQUENCE memory_guild_seal_opened;
DROP SEQUENCE memory_guild_seal_salt;
DROP SEQUENCE memory_guild_seal_challenge;
DROP FUNCTION memory_guild_opened(VARCHAR);
DROP FUNCTION memory_guild_tenant();
DROP FUNCTION memory_guild_open(TIMESTAMPTZ, TEXT, BYTEA);
DROP FUNCTION memory_guild_challenge(TIMESTAMPTZ);
DROP FUNCTION memory_guild_seal_number(BIGINT);
DROP FUNCTION memory_guild_audit_policies();
DROP FUNCTION memory_guild_audit_sources();
DROP FUNCTION memory_guild_audit(TEXT, TEXT, JSONB);
DROP FUNCTION memory_guild_append_only();
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
DROP FUNCTION memory_guild_embedding_guard();
DROP FUNCTION memory_guild_edge_guard();
DROP FUNCTION memory_guild_touch();
DROP FUNCTION memory_guild_identity_guard();
DROP FUNCTION memory_guild_now(UUID);
DROP FUNCTION memory_guild_choose();
DROP FUNCTION memory_guild_sees_both(UUID, UUID);
DROP FUNCTION memory_guild_sees(UUID);
DROP FUNCTION memory_guild_refuse_memory(TEXT, UUID);
DROP FUNCTION memory_guild_refuse_tenant(VARCHAR);
DROP FUNCTION memory_guild_own(VARCHAR);
DROP FUNCTION memory_guild_shard(TEXT);
REVOKE ALL ON memory_records, memory_embeddings, memory_relationships, data_sources, memory_access_policies, aerich
    FROM memory_guild_app, memory_guild_admin;
-- The roles stay: they are the whole cluster's, and another database may use them.
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
