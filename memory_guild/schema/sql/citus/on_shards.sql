-- Runs the statement $2 on the shards of the table $1; why it failed, where it did.
SELECT result FROM run_command_on_shards($1::text::regclass, $2::text) WHERE NOT success;
