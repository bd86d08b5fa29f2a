-- Whether this session may build or drop indexes in schema $1 now: no other session of the package does, and nobody
-- else is building one on the tables. It asks and does not wait: a statement that waits for a lock holds a snapshot,
-- and CREATE INDEX CONCURRENTLY waits for every older snapshot, so that the two would deadlock.
SELECT CASE
    WHEN EXISTS (
        SELECT
        FROM pg_stat_progress_create_index AS build
        JOIN pg_locks USING (pid)
        JOIN pg_class ON pg_class.oid = relation
        WHERE granted
            AND database = build.datid
            AND (relname = 'memory_records' OR starts_with(relname, 'memory_vectors_'))
            AND relnamespace = to_regnamespace(quote_ident($1::text))
    ) THEN false
    ELSE pg_try_advisory_lock(hashtextextended('memory_guild.indexes:' || $1::text, 0))
END;
