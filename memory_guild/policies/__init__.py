"""Access policies: who may do what, in Rego. Taught as ``guild.policies``.

``put``, ``remove`` and ``list_all`` change and list them, in an ``admin_scope``; ``decide`` asks them. The verbs ask by
themselves where ``MEMORY_GUILD_POLICIES`` says so.
"""

from memory_guild.policies.decisions import Decision
from memory_guild.policies.inputs import PolicyInput
from memory_guild.policies.managing import decide, list_all, put, remove

__all__ = ["Decision", "PolicyInput", "decide", "list_all", "put", "remove"]
