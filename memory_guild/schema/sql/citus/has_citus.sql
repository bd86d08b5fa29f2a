-- Whether the server is a coordinator of Citus.
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus');
