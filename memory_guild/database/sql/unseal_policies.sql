-- The policy as the migration made it: the tenant is the setting.
ALTER POLICY tenant_isolation ON memory_records
USING (tenant_id = nullif(current_setting('memory_guild.tenant_id', true), ''))
WITH CHECK (tenant_id = nullif(current_setting('memory_guild.tenant_id', true), '') OR memory_guild_refuse_tenant());

DO $own$
DECLARE
    own_table REGCLASS;
BEGIN
    FOR own_table IN
        SELECT to_regclass(quote_ident(current_schema()) || '.' || name)
        FROM unnest(
            '{memory_words, memory_word_counts, memory_vectors, memory_own_vectors, memory_vector_models,
            memory_vector_outbox, memory_sources}'::TEXT[]
        ) AS name
    LOOP
        IF own_table IS NOT NULL THEN
            EXECUTE 'ALTER POLICY tenant_isolation ON ' || own_table || '
                USING (tenant_id = nullif(current_setting(''memory_guild.tenant_id'', true), ''''))
                WITH CHECK (tenant_id = nullif(current_setting(''memory_guild.tenant_id'', true), ''''))';
        END IF;
    END LOOP;
END $own$;

-- The audit's policy is only for who adds entries.
DO $audit$
BEGIN
    IF to_regclass(quote_ident(current_schema()) || '.memory_audit') IS NOT NULL THEN
        EXECUTE 'ALTER POLICY tenant_isolation ON ' || quote_ident(current_schema()) || '.memory_audit WITH CHECK (
            tenant_id = nullif(current_setting(''memory_guild.tenant_id'', true), '''')
            OR tenant_id IS NULL AND has_table_privilege(''data_sources''::regclass, ''UPDATE'')
        )';
    END IF;
END $audit$;
