-- The migrations that the database has, in the order in which they were applied.
SELECT version FROM aerich WHERE app = 'models' ORDER BY id;
