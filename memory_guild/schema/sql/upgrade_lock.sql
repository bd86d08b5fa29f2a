-- Whether this transaction may upgrade the schema that is first in the search_path; it is the only one until it ends.
-- It asks and does not wait: a statement that waits for a lock holds a snapshot, which CREATE INDEX CONCURRENTLY waits
-- for, while the upgrade that has the lock may wait for the index.
SELECT pg_try_advisory_xact_lock(hashtextextended('memory_guild.upgrade:' || current_setting('search_path'), 0));
