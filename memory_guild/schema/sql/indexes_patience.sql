-- Lifts every limit on how long a statement may run or wait, for the rest of the session. Which limits there are
-- depends on the server's version.
SELECT set_config(name, '0', false)
FROM pg_settings
WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout');
