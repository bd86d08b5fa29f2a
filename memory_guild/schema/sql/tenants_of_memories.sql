-- The tenants that have memories in the connection's schema.
SELECT DISTINCT tenant_id
FROM memory_records
ORDER BY tenant_id;
