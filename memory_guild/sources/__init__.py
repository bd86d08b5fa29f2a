"""Where memories may come from: the allowlist of data sources, and what is held in quarantine because of its source.

It is taught as ``guild.sources``: ``await guild.sources.register("crm", source_type="api")`` in an ``admin_scope``,
``await guild.remember(…, source="crm")`` and ``await guild.sources.release("crm")`` in a tenant's scope.
"""

from memory_guild.sources.allowlist import activate, deactivate, is_active, list_all, register, update
from memory_guild.sources.quarantine import release

__all__ = ["activate", "deactivate", "is_active", "list_all", "register", "release", "update"]
