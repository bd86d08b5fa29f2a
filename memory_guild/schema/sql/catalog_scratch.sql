-- The statement that creates the scratch schema $1, the grants that validate may need, whether the role lacks USAGE on
-- the live schema $2, and how the server quotes $2 as an identifier and as a literal.
SELECT
    format('CREATE SCHEMA %I', $1::text) AS create_schema,
    format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user) AS allow_create,
    format('GRANT USAGE ON SCHEMA %I TO %I', $2::text, current_user) AS allow_usage,
    has_schema_privilege(to_regnamespace(quote_ident($2::text)), 'USAGE') IS FALSE AS lacks_usage,
    format('%I', $2::text) AS live_identifier,
    format('%L', $2::text) AS live_literal;
