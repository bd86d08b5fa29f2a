-- Whether the schema $1 is a distributed one.
SELECT EXISTS (SELECT FROM pg_dist_schema WHERE schemaid = to_regnamespace(quote_ident($1::text)));
