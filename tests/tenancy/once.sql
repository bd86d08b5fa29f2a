-- What stands alone. One statement a paragraph; a second one that needs the first follows after ;; and
-- {word} stands for a value of the aim, or of the table.

UPDATE memory_records SET tenant_id = '{tenant_id}' WHERE memory_id = '{own_1}'

UPDATE memory_records SET memory_id = '{memory_id}' WHERE memory_id = '{own_1}'

UPDATE memory_records SET content_hash = '{content_hash}', agent_id = '{agent_id}' WHERE memory_id = '{own_1}'
    RETURNING memory_id

UPDATE memory_embeddings SET memory_id = '{memory_id}' WHERE embedding_id = '{own_embedding}'

UPDATE memory_embeddings SET memory_id = '{memory_id}', embedding_model = '{embedding_model}' WHERE embedding_id
    = '{own_embedding}'

UPDATE memory_embeddings SET embedding_id = '{embedding_id}' WHERE embedding_id = '{own_embedding}'

UPDATE memory_relationships SET source_memory_id = '{memory_id}' WHERE relationship_id = '{own_edge}'

UPDATE memory_relationships SET target_memory_id = '{memory_id}' WHERE relationship_id = '{own_edge}'

UPDATE memory_relationships SET source_memory_id = '{memory_id}', target_memory_id = '{other_memory_id}' WHERE
    relationship_id = '{own_edge}'

INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash) VALUES ('{agent_id}',
    '{tenant_id}', 'document', 'probe', '{content_hash}') RETURNING *

MERGE INTO memory_records t USING (VALUES ('{memory_id}'::uuid)) AS o (id) ON t.memory_id = o.id WHEN MATCHED
    THEN DELETE WHEN NOT MATCHED THEN INSERT (agent_id, tenant_id, source_type, content_text, content_hash) VALUES
    ('{agent_id}', '{tenant_id}', 'document', 'probe', '{content_hash}')

MERGE INTO memory_embeddings t USING (VALUES ('{memory_id}'::uuid)) AS o (id) ON t.memory_id = o.id WHEN MATCHED
    THEN DELETE WHEN NOT MATCHED THEN INSERT (memory_id, vector_id, embedding_model) VALUES (o.id, 'probe',
    '{embedding_model}')

MERGE INTO memory_records t USING (VALUES (1)) AS o (id) ON t.memory_id = '{own_1}' WHEN MATCHED THEN UPDATE SET
    tenant_id = '{tenant_id}'

WITH moved AS (UPDATE memory_records SET tenant_id = '{tenant_id}' WHERE memory_id = '{own_1}' RETURNING *)
    SELECT count(*) FROM moved

SELECT r.relationship_id, t.content_text FROM memory_relationships r JOIN memory_records t ON t.memory_id =
    r.target_memory_id WHERE t.memory_id IN ('{memory_id}', '{other_memory_id}') OR true ORDER BY 1

SELECT count(*) FROM memory_records a FULL JOIN memory_embeddings b USING (memory_id) WHERE memory_id =
    '{memory_id}' OR true

SELECT o.memory_id FROM memory_records m CROSS JOIN LATERAL (SELECT * FROM memory_records i WHERE i.tenant_id <>
    m.tenant_id) o

SELECT database_to_xml(true, false, '')::text LIKE '%ordfish%'

SELECT schema_to_xml('public', true, false, '')::text LIKE '%{memory_id}%'

SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{tenant_id}%' AND pid <> pg_backend_pid()

SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%ordfish%'

SELECT count(*) FROM pg_largeobject

SELECT memory_guild_refuse_tenant()

SELECT memory_guild_refuse_memory('{memory_id}')

SELECT pg_read_file('postgresql.conf')

COPY memory_records TO PROGRAM 'true'

COPY memory_records FROM '/dev/null'

SELECT lo_import('/etc/hostname')

GRANT SELECT ON memory_records TO PUBLIC

ALTER TABLE memory_records OWNER TO CURRENT_USER

ALTER ROLE memory_guild_app BYPASSRLS

ALTER FUNCTION memory_guild_refuse_tenant() OWNER TO CURRENT_USER

CREATE OR REPLACE FUNCTION memory_guild_refuse_tenant() RETURNS boolean LANGUAGE sql AS 'SELECT true'

CREATE FUNCTION memory_guild_spy() RETURNS boolean LANGUAGE sql AS 'SELECT true'

CREATE TABLE memory_guild_spy (id int)

CREATE FUNCTION pg_temp.current_setting(text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT '{tenant_id}' $$;;
SET LOCAL search_path = pg_temp, public;;
SELECT count(*) FROM memory_records

CREATE TEMP TABLE memory_records (memory_id uuid, tenant_id text);;
INSERT INTO pg_temp.memory_records VALUES ('{memory_id}', 'bolt');;
SELECT count(*) FROM memory_embeddings WHERE memory_id = '{memory_id}'

CREATE TEMP TABLE memory_records (memory_id uuid, tenant_id text);;
INSERT INTO pg_temp.memory_records VALUES ('{memory_id}', 'bolt');;
INSERT INTO memory_embeddings (memory_id, vector_id, embedding_model) VALUES ('{memory_id}', 'probe', 'free')

CREATE TEMP TABLE memory_records (memory_id uuid, tenant_id text);;
INSERT INTO pg_temp.memory_records VALUES ('{memory_id}', 'bolt'), ('{own_1}', 'bolt');;
INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type) VALUES ('{memory_id}',
    '{own_1}', 'related')

SAVEPOINT one;;
SET LOCAL plan_cache_mode = force_generic_plan;;
SELECT count(*) FROM memory_records;;
ROLLBACK TO one;;
SELECT count(*) FROM memory_records WHERE memory_id = '{memory_id}'
