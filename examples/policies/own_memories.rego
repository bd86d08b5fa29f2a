# An agent reads and changes its own memories and nobody else's.
package memory.access

allow if input.memory.agent_id == input.agent_id
