"""What does not run on Citus, and why. Each reason is a property of Citus 13, or of how a test looks at the server."""

FOLDERS = ("audit/", "citus_cluster/", "constraints/", "graph/", "memories/", "policies/", "sources/", "tenancy/")
"""The folders whose tests do."""

_MERGE = "MERGE into a distributed table is refused, or only from another one"
_COPY = "errors of a COPY, and of INSERT ... SELECT from a temporary table, have no SQLSTATE: XX000"
_OWN_DATABASE = "the test needs a database, a server or a proxy of its own, not a schema"
_ROUND_TRIPS = "more statements: a write that looks first is several steps, see Statement"
_PLAN = "the plan begins with Citus's own node"
_OWN_TRIGGER = "the test creates or disables a trigger, which Citus refuses"
_PLAIN_CONNECTION = "the test sets the tenant on a plain connection: that does not travel; citus_cluster has it"
_STATEMENT = "Citus refuses the test's own statement"
_WAITS = "who stores a text that another one deletes waits for that: it is inserted first, and looked for afterwards"
_ROLE_SWITCH = (
    "after a write, a transaction may not go on as another role (25001): so the test gets behind the policies"
)
_KILLED = "the test looks for, or ends, the process that works; on Citus that is on a worker"
_CHOSEN_IDS = "an id that is chosen is replaced, not refused: the coordinator fills in defaults, see the migration"
_WHO = "whoever writes SQL of their own may name the login of an entry: defaults are filled in, see the migration"

EXCLUDED: dict[str, str] = {
    r"audit/test_append_only\.py::.*MERGE": _MERGE,
    r"audit/test_append_only\.py::test_an_agent_reads_nothing_and_adds_only.*statement[67]": _WHO,
    r"audit/test_append_only\.py::test_the_owner_reads_no_entry": _STATEMENT,
    r"audit/test_append_only\.py::test_the_doctor_sees_an_audit_that_is_open.*DISABLE TRIGGER": _OWN_TRIGGER,
    r"audit/test_erasing\.py::test_stamps_of_sources_are_counted": _STATEMENT,
    r"audit/test_recording\.py::.*killed": _KILLED,
    r"constraints/test_foreign_keys\.py::test_memory_that_is_referred_to": _STATEMENT,
    r"constraints/test_unique\.py::test_unknown_unique_constraint": "an error does not tell the table of such a one",
    r"graph/test_\w+\.py::test_(strangers_(do|are_no)|forgotten_memories_and_strangers)": _ROLE_SWITCH,
    r"graph/test_path\.py::test_to_a_memory_that_nobody": _ROLE_SWITCH,
    r"graph/test_plans\.py": _PLAN,
    r"graph/test_relate\.py::test_one_statement": _ROUND_TRIPS,
    r"graph/test_relate_races\.py::test_an_edge_that_is_never_seen": "the test takes the place of the plain statement",
    r"graph/test_relate_races\.py::test_a_deadlock_is_undone": "which of two in a deadlock gives up is another one",
    r"graph/test_traverse_long_texts\.py::test_those_that_are_not_reached": "what a worker reads is not counted here",
    r"graph/test_versions\.py::test_without_the_edge": _OWN_TRIGGER,
    r"memories/test_conditions_on_times\.py::test_a_text_without_an_offset": "what a scope sets later does not travel",
    r"memories/test_existing_metadata\.py::test_it_is_one_statement": _ROUND_TRIPS,
    r"memories/test_reading_plans\.py": _PLAN,
    r"memories/test_remember_many_interrupted\.py": _KILLED,
    r"memories/test_remember_races\.py::test_a_text_that_somebody_is_changing.*clock_timestamp": _STATEMENT,
    r"memories/test_remember_races\.py::test_a_text_that_somebody_is_changing.*DELETE.*keep": _WAITS,
    r"memories/test_purge\.py::test_nothing_of_a_memory_is_left": "the test looks for the tables of the schema public",
    r"memories/test_purge\.py::test_a_memory_that_somebody_is_changing.*clock_timestamp": _STATEMENT,
    r"sources/test_forging\.py::test_a_stamp_of_a_strangers_memory": _STATEMENT,
    r"tenancy/test_(backup|breakout_search|pooler|round_trips|plans|jit)\.py": _OWN_DATABASE,
    r"tenancy/test_breakout\.py::.*(tables' sizes|a MERGE that)": "the coordinator knows no sizes, and takes no MERGE",
    r"tenancy/test_grants\.py::test_choosing_an_id": _CHOSEN_IDS,
    r"tenancy/test_grants\.py::test_deleting_a_memory_takes.*owner": _PLAIN_CONNECTION,
    r"tenancy/test_guards\.py::.*(merge|change3)": _MERGE,
    r"tenancy/test_guards\.py::.*(in bulk|test_copy_is|test_a_bulk_load)": _COPY,
    r"tenancy/test_guards\.py::test_an_upsert_cannot": _STATEMENT,
    r"tenancy/test_reset\.py::.*many, copied": "nothing is staged in a temporary table there",
    r"tenancy/test_seal\.py::test_(the_owners_of|what_was_opened|an_opening_opens_no_other)": _PLAIN_CONNECTION,
    r"tenancy/test_seal\.py::.*SELECT memory_guild_challenge": "the function has an argument there",
    r"tenancy/test_seal\.py::test_a_plan_with_workers": _PLAN,
    r"tenancy/test_seal\.py::.*(pooler|one_round_trip)": _OWN_DATABASE,
    r"tenancy/test_traps\.py::test_(no_tenant_is_no_row|a_foreign_key_alone)": _PLAIN_CONNECTION,
    r"tenancy/test_traps\.py::test_(one_statement_cannot_see|many_rows_through)": _STATEMENT,
    r"tenancy/test_traps\.py::test_no_constraint_trigger": "Citus has one more trigger of its own",
}
"""Patterns of the names of the tests that do not, and the reasons."""
