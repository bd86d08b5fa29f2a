-- Held until the transaction ends: one process at a time upgrades the schema that is first in the search_path.
SELECT pg_advisory_xact_lock(hashtextextended('memory_guild.upgrade:' || current_setting('search_path'), 0))
