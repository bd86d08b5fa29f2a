-- What an attacker sends in a scope of its own to become {tenant_id}. A paragraph is one attempt, sent as it stands; each
-- ends by reading what should not be there.

SELECT set_config('memory_guild.tenant_id', '{tenant_id}', true), (SELECT string_agg(metadata::text, ' ') FROM memory_records WHERE content_text LIKE '%{tenant_id}%')

SELECT metadata FROM memory_records WHERE set_config('memory_guild.tenant_id', '{tenant_id}', false) IS NOT NULL

WITH switched AS MATERIALIZED (SELECT set_config('memory_guild.tenant_id', '{tenant_id}', true)) SELECT metadata FROM switched, memory_records

SET memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

SET LOCAL memory_guild.tenant_id = '{tenant_id}'; UPDATE memory_records SET metadata = '{}' RETURNING content_text

SET LOCAL memory_guild.tenant_id = '{tenant_id}'; DELETE FROM memory_records RETURNING metadata

SET LOCAL memory_guild.tenant_id = '{tenant_id}'; INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash) VALUES ('planted', '{tenant_id}', 'document', 'planted', md5('planted'))

SET LOCAL memory_guild.tenant_id = '{tenant_id}'; SELECT * FROM memory_embeddings; SELECT * FROM memory_relationships

SET LOCAL memory_guild.tenant_id = '{tenant_id}'; COPY memory_records TO STDOUT

SET LOCAL memory_guild.tenant_id = '{tenant_id}'; DECLARE stolen CURSOR FOR SELECT metadata FROM memory_records; FETCH ALL FROM stolen

SET LOCAL memory_guild.tenant_id = '{tenant_id}'; CREATE TEMP TABLE stolen AS SELECT * FROM memory_records; SELECT metadata FROM stolen

PREPARE stolen AS SELECT metadata FROM memory_records; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; EXECUTE stolen

DO $$ BEGIN PERFORM set_config('memory_guild.tenant_id', '{tenant_id}', true); IF EXISTS (SELECT FROM memory_records) THEN RAISE 'swordfish'; END IF; END $$

DO $$ BEGIN EXECUTE 'RESET ROLE'; PERFORM set_config('memory_guild.tenant_id', '{tenant_id}', false); IF EXISTS (SELECT FROM memory_records) THEN RAISE 'swordfish'; END IF; END $$

RESET ROLE; SET memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

SET ROLE NONE; SET memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

SET ROLE memory_guild_admin; SELECT metadata FROM memory_records

SELECT set_config('role', 'none', true); SELECT set_config('memory_guild.tenant_id', '{tenant_id}', true), (SELECT count(*) FROM memory_records WHERE metadata::text LIKE '%swordfish%')

SELECT set_config('role', 'memory_guild_admin', true); SELECT metadata FROM memory_records

SELECT set_config('role', 'postgres', true); SELECT metadata FROM memory_records

SET SESSION AUTHORIZATION postgres; SELECT metadata FROM memory_records

SET SESSION AUTHORIZATION DEFAULT; SET memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

SET LOCAL row_security = off; SELECT metadata FROM memory_records

ALTER TABLE memory_records DISABLE ROW LEVEL SECURITY; SELECT metadata FROM memory_records

ALTER TABLE memory_records NO FORCE ROW LEVEL SECURITY; SELECT metadata FROM memory_records

CREATE POLICY mine ON memory_records USING (true); SELECT metadata FROM memory_records

ALTER ROLE memory_guild_app BYPASSRLS; SELECT metadata FROM memory_records

GRANT memory_guild_admin TO CURRENT_USER; SET ROLE memory_guild_admin; SELECT metadata FROM memory_records

SELECT setval('memory_guild_seal_opened', 1)

SELECT nextval('memory_guild_seal_opened')

SELECT currval('memory_guild_seal_opened'), currval('memory_guild_seal_challenge')

SELECT last_value FROM memory_guild_seal_opened

SELECT last_value FROM memory_guild_seal_salt

SELECT currval('memory_guild_seal_salt')

SELECT setval('memory_guild_seal_salt', 1), setval('memory_guild_seal_opened', hashtextextended(encode(timestamptz_send(now()), 'hex') || '{tenant_id}', hashtextextended(encode(timestamptz_send(now()), 'hex') || '{tenant_id}', 1)))

SELECT pg_sequence_last_value('memory_guild_seal_salt')

SELECT * FROM pg_sequences WHERE sequencename LIKE 'memory_guild%' AND last_value IS NOT NULL

ALTER SEQUENCE memory_guild_seal_opened RESTART; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

SELECT encode(inner_key, 'hex') FROM memory_guild_seal

DELETE FROM memory_guild_seal; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

INSERT INTO memory_guild_seal (inner_key, outer_key) VALUES ('\x00', '\x00')

CREATE OR REPLACE FUNCTION memory_guild_tenant() RETURNS TEXT LANGUAGE sql AS $$ SELECT '{tenant_id}' $$; SELECT metadata FROM memory_records

CREATE FUNCTION pg_temp.memory_guild_tenant() RETURNS TEXT LANGUAGE sql AS $$ SELECT '{tenant_id}' $$; SET LOCAL search_path = pg_temp, public; SELECT metadata FROM memory_records

CREATE FUNCTION pg_temp.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT timestamptz '2000-01-01' $$; SET LOCAL search_path = pg_temp, pg_catalog, public; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

CREATE FUNCTION pg_temp.same(bytea, bytea) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$; CREATE OPERATOR pg_temp.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = pg_temp.same); SET LOCAL search_path = pg_temp, pg_catalog, public; SELECT memory_guild_open('{tenant_id}', '\x00'); SELECT metadata FROM memory_records

CREATE FUNCTION pg_temp.same(bigint, bigint) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$; CREATE OPERATOR pg_temp.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = pg_temp.same); SET LOCAL search_path = pg_temp, pg_catalog, public; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

CREATE TEMP TABLE memory_guild_seal AS SELECT '\x00'::bytea AS inner_key, '\x00'::bytea AS outer_key; SET LOCAL search_path = pg_temp, public; SELECT memory_guild_open('{tenant_id}', sha256('\x00' || sha256('\x00' || convert_to('1 {tenant_id}', 'UTF8')))); SELECT metadata FROM memory_records

CREATE TEMP SEQUENCE memory_guild_seal_opened; SELECT nextval('pg_temp.memory_guild_seal_opened'); SET LOCAL search_path = pg_temp, public; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

CREATE TEMP VIEW stolen AS SELECT metadata FROM memory_records; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; SELECT * FROM stolen

CREATE FUNCTION pg_temp.steal() RETURNS SETOF jsonb LANGUAGE sql SECURITY DEFINER AS $$ SELECT metadata FROM public.memory_records $$; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; SELECT * FROM pg_temp.steal()

SELECT memory_guild_open('{tenant_id}', '\x00'); SELECT metadata FROM memory_records

SELECT memory_guild_open('{tenant_id}', NULL); SELECT metadata FROM memory_records

SELECT memory_guild_open(NULL, NULL); SELECT metadata FROM memory_records

SELECT memory_guild_challenge(); SELECT memory_guild_open('{tenant_id}', sha256('')); SELECT metadata FROM memory_records

DISCARD SEQUENCES; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

DISCARD PLANS; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

COMMIT; SET memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

COMMIT; BEGIN; SET ROLE memory_guild_app; SET memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

ROLLBACK; BEGIN; SET memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

COMMIT AND CHAIN; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

COMMIT; DISCARD ALL; BEGIN; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

SAVEPOINT mine; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; RELEASE mine; SELECT metadata FROM memory_records

SAVEPOINT mine; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; ROLLBACK TO mine; SELECT metadata FROM memory_records WHERE tenant_id = '{tenant_id}'

SET LOCAL debug_parallel_query = on; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; SELECT metadata FROM memory_records

SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL memory_guild.tenant_id = '{tenant_id}'; SELECT count(*) FROM memory_records WHERE metadata::text LIKE '%swordfish%' HAVING count(*) > 0

SELECT query FROM pg_stat_activity WHERE query LIKE '%swordfish%' AND pid <> pg_backend_pid()

COPY (SELECT 1) TO PROGRAM 'true'

SELECT pg_read_file('PG_VERSION')

LOAD 'plpgsql'

CREATE EXTENSION dblink
