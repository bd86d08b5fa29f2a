-- Whether schema $1 of a server that has Citus is a distributed one, or is not there yet.
SELECT to_regnamespace(quote_ident($1::text)) IS NULL OR EXISTS (
    SELECT FROM pg_dist_schema WHERE schemaid = to_regnamespace(quote_ident($1::text))
) AS is_distributed;
