-- The policies as the migration made them: the tenant is the setting.
ALTER POLICY tenant_isolation ON memory_records
USING (memory_guild_own(tenant_id))
WITH CHECK (memory_guild_own(tenant_id) OR memory_guild_refuse_tenant(tenant_id));

ALTER POLICY tenant_isolation ON memory_sources
USING (memory_guild_own(tenant_id)) WITH CHECK (memory_guild_own(tenant_id));

ALTER POLICY tenant_isolation ON memory_audit
WITH CHECK (
    memory_guild_own(tenant_id)
    OR tenant_id IS NULL AND has_table_privilege('data_sources'::regclass, 'UPDATE')
);
