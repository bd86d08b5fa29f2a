"""What operators do: create and upgrade the tables, validate them, seal them, and check that tenants are isolated.

It is taught as ``guild.schema``: ``await guild.schema.upgrade()``, ``guild.schema.validate()``,
``guild.schema.doctor()``, ``guild.schema.indexes.create()``, ``guild.schema.groups.create("north")``.
"""

from memory_guild.database.isolation import Finding
from memory_guild.schema import groups, indexes
from memory_guild.schema.catalog import Comparison, DeliberateIndex, Difference
from memory_guild.schema.health import doctor
from memory_guild.schema.migrating import upgrade
from memory_guild.schema.sealing import seal, unseal
from memory_guild.schema.validation import validate

__all__ = [
    "Comparison",
    "DeliberateIndex",
    "Difference",
    "Finding",
    "doctor",
    "groups",
    "indexes",
    "seal",
    "unseal",
    "upgrade",
    "validate",
]
