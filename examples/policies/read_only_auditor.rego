# The agent "auditor" reads everything, forgotten memories too, and writes nothing. All others see only what is not
# forgotten, and do what they like with their own memories.
package memory.access

allow if {
    input.agent_id == "auditor"
    input.action == "read"
}

allow if input.memory.agent_id == input.agent_id

deny if {
    input.agent_id == "auditor"
    input.action != "read"
}

deny if {
    input.agent_id != "auditor"
    input.action == "read"
    input.memory.is_deleted
}
