"""The catalogue's tables, for Aerich. Functions of the database read them; agents never need these models."""

from __future__ import annotations

from tortoise import Model, fields


class MemoryGroup(Model):
    """A group: a schema that has the five tables, for some of the tenants."""

    group_name = fields.CharField(max_length=63, primary_key=True)
    tenants = fields.BigIntField(default=0)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        """The table."""

        table = "memory_groups"


class TenantPlacement(Model):
    """In which group a tenant's memories are."""

    tenant_id = fields.CharField(max_length=255, primary_key=True)
    group_name = fields.CharField(max_length=63)
    placed_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        """The table."""

        table = "memory_placements"
