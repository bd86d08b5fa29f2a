-- Has the tenant's lock alone until the transaction ends: no scope of the tenant $2 is open meanwhile. $1 is the schema
-- that has the catalogue. The functions of the catalogue lock the same.
SELECT pg_advisory_xact_lock(hashtextextended('memory_guild.placement:' || $1::text || ':' || $2::text, 0));
