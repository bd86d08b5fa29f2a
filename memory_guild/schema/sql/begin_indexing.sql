-- Begins a transaction that may index the memories of all tenants. In a sealed database, whoever names no tenant has to
-- say so.
SET LOCAL ROLE memory_guild_admin;
SET LOCAL statement_timeout = 0;
SELECT set_config('memory_guild.tenant_id', '', true);
