-- Begins a transaction that may count the vectors of all tenants.
SET LOCAL ROLE memory_guild_admin;
SET LOCAL statement_timeout = 0;
