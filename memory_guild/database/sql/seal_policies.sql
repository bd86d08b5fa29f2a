-- What sealing changes: the policy asks for the tenant that the transaction was opened for, once a statement.
ALTER POLICY tenant_isolation ON memory_records
USING (tenant_id = (SELECT memory_guild_tenant()))
WITH CHECK (tenant_id = (SELECT memory_guild_tenant()) OR memory_guild_refuse_tenant());

-- The tables of the search, where it is installed, have a policy that asks for the tenant themselves.
DO $search$
BEGIN
    IF to_regclass(quote_ident(current_schema()) || '.memory_words') IS NOT NULL THEN
        ALTER POLICY tenant_isolation ON memory_words
            USING (tenant_id = (SELECT memory_guild_tenant())) WITH CHECK (tenant_id = (SELECT memory_guild_tenant()));
        ALTER POLICY tenant_isolation ON memory_word_counts
            USING (tenant_id = (SELECT memory_guild_tenant())) WITH CHECK (tenant_id = (SELECT memory_guild_tenant()));
    END IF;
END $search$;
