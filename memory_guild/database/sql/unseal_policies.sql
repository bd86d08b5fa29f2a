-- The policy as the migration made it: the tenant is the setting.
ALTER POLICY tenant_isolation ON memory_records
USING (tenant_id = nullif(current_setting('memory_guild.tenant_id', true), ''))
WITH CHECK (tenant_id = nullif(current_setting('memory_guild.tenant_id', true), '') OR memory_guild_refuse_tenant());
