-- What sealing changes: the policy asks for the tenant that the transaction was opened for, once a statement.
ALTER POLICY tenant_isolation ON memory_records
USING (tenant_id = (SELECT memory_guild_tenant()))
WITH CHECK (tenant_id = (SELECT memory_guild_tenant()) OR memory_guild_refuse_tenant());
