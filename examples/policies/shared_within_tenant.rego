# All agents of a tenant read all memories, but what a tool has put out stays with the agent that called it. Everybody
# writes only to their own memories, and relates what they can read.
package memory.access

allow if is_own

allow if input.action in {"read", "relate", "unrelate"}

deny if {
    input.memory.source_type == "tool_output"
    not is_own
}

is_own if input.memory.agent_id == input.agent_id
