"""``generate_schemas()`` kept away from the package's tables: only the migrations create those."""

from __future__ import annotations

from typing import Any

from tortoise import Model
from tortoise.backends.asyncpg.schema_generator import AsyncpgSchemaGenerator

from memory_guild.errors import SchemaError


class GuildSchemaGenerator(AsyncpgSchemaGenerator):
    """What ``generate_schemas()`` and ``aerich init-db`` use: an application's tables, and none of the package's.

    Without the migrations the package's tables would have no row-level security, and tenants would see each other.
    """

    def get_create_schema_sql(self, safe: bool = True) -> str:
        """The statements that create the application's tables.

        Raises:
            SchemaError: The application has no tables of its own, or keeps the package's models in its own app, whose
                migrations would be about both.
        """
        models = self._get_models_to_create()
        guarded = {model._meta.app for model in models if _is_guarded(model)}
        others = [model for model in models if not _is_guarded(model) and model.__module__ != "aerich.models"]
        if guarded and (not others or any(model._meta.app in guarded for model in others)):
            raise SchemaError(
                "memory-guild's tables are not created like this: they would not isolate tenants. Run `memory-guild"
                " upgrade`. To have models of your own beside them, put yours into an app of its own and leave"
                " memory_guild.models out of it, then run `aerich --app your_app init-db`"
            )
        return super().get_create_schema_sql(safe)

    def _get_table_sql(self, model: type[Model], safe: bool = True) -> dict[str, Any]:
        """The statement that creates a table; empty for the package's tables. Foreign keys may still refer to them."""
        table: dict[str, Any] = super()._get_table_sql(model, safe)
        return {**table, "table_creation_string": ""} if _is_guarded(model) else table


def _is_guarded(model: type[Model]) -> bool:
    return model.__module__.partition(".")[0] == "memory_guild"
