-- The policy as the migration made it: the tenant is the setting.
ALTER POLICY tenant_isolation ON memory_records
USING (tenant_id = nullif(current_setting('memory_guild.tenant_id', true), ''))
WITH CHECK (tenant_id = nullif(current_setting('memory_guild.tenant_id', true), '') OR memory_guild_refuse_tenant());

DO $search$
BEGIN
    IF to_regclass(quote_ident(current_schema()) || '.memory_words') IS NOT NULL THEN
        ALTER POLICY tenant_isolation ON memory_words
            USING (tenant_id = nullif(current_setting('memory_guild.tenant_id', true), ''))
            WITH CHECK (tenant_id = nullif(current_setting('memory_guild.tenant_id', true), ''));
        ALTER POLICY tenant_isolation ON memory_word_counts
            USING (tenant_id = nullif(current_setting('memory_guild.tenant_id', true), ''))
            WITH CHECK (tenant_id = nullif(current_setting('memory_guild.tenant_id', true), ''));
    END IF;
END $search$;
