-- The tables of the schema $1 that have row-level security, and the statements that lift it from their owner and put it
-- back. Whoever moves a table reads it as its owner.
SELECT
    format('ALTER TABLE %I.%I NO FORCE ROW LEVEL SECURITY', nspname, relname) AS lift,
    format('ALTER TABLE %I.%I FORCE ROW LEVEL SECURITY', nspname, relname) AS restore,
    relforcerowsecurity AS is_forced
FROM pg_class
INNER JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = $1::text AND relrowsecurity
ORDER BY relname;
