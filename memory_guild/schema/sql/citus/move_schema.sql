-- Moves the schema $1 to the worker $2 with the port $3; $4 says how.
SELECT
    citus_schema_move(quote_ident($1::text)::regnamespace, $2::text, $3::int, $4::text::citus.shard_transfer_mode);
