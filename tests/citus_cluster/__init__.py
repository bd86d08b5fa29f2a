"""One group of tenants on a real Citus cluster, where ``MEMORY_GUILD_TEST_CITUS_URL`` names its coordinator."""
