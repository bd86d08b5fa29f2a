"""The five tables of the specification as Tortoise models.

Every column, constraint and index has the specification's name. The migrations create the tables in plain SQL, because
Tortoise's DDL would choose other names for constraints and leave out the CHECKs. Tests compare the models, the
migrations and the specification.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Self
from uuid import UUID

from tortoise import Model, fields
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.base.schema_generator import BaseSchemaGenerator
from tortoise.fields.db_defaults import SqlDefault
from tortoise.indexes import Index, PartialIndex
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint
from tortoise.queryset import BulkUpdateQuery, QuerySet, UpdateQuery

from memory_guild.database.connections import current_connection
from memory_guild.database.engine import GuildClient
from memory_guild.database.querysets import CheckedManager, CheckedQuerySet
from memory_guild.database.refusals import refusing
from memory_guild.database.scope import TenantManager, TenantQuerySet, connection_for, surrounding_scope
from memory_guild.database.tortoise import RelationDefault, index_statement, prepare_models
from memory_guild.database.transaction import KeyedConnection
from memory_guild.errors import InvalidInputError
from memory_guild.types import (
    CONTENT_HASH_MAX_LENGTH,
    EMBEDDING_MODEL_MAX_LENGTH,
    NAME_MAX_LENGTH,
    DataSourceType,
    RelationshipType,
    SourceType,
)
from memory_guild.values.fields import (
    ChoiceField,
    ConfidenceField,
    ContentField,
    FlagField,
    HashField,
    IdField,
    JsonObjectField,
    NameField,
    NullableTextField,
    TimestampField,
    missing_value,
)

_NOW = SqlDefault("now()")
_RANDOM_ID = SqlDefault("gen_random_uuid()")
_EMPTY_OBJECT = SqlDefault("'{}'")

_SHOWN_CHARACTERS = 80


def hash_content(content_text: str) -> str:
    """The MD5 of the text's UTF-8 bytes, as 32 lower-case hexadecimal characters. Not for security."""
    return hashlib.md5(content_text.encode(), usedforsecurity=False).hexdigest()


class DescendingIndex(Index):
    """An index in descending order."""

    def get_sql(self, schema_generator: BaseSchemaGenerator, model: type[Model], safe: bool) -> str:
        """The statement that creates it."""
        columns = [f'"{name}" DESC' for name in self.field_names]
        return index_statement(schema_generator, model, columns, safe, self.name)


class StrictModel(Model):
    """A Tortoise model that refuses what Tortoise accepts: unknown columns, and None in a NOT NULL column."""

    class Meta:
        abstract = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**self._checked(kwargs))

    @classmethod
    def _choose_db(cls, for_write: bool = False) -> BaseDBAsyncClient:
        return connection_for(cls)  # type: ignore[no-any-return]

    def update_from_dict(self, data: dict[str, Any]) -> Self:
        """Set several attributes, checked as when the model is created."""
        return super().update_from_dict(self._checked(data))

    @classmethod
    def bulk_update(
        cls,
        objects: Iterable[Self],
        fields: Iterable[str],
        batch_size: int | None = None,
        using_db: BaseDBAsyncClient | None = None,
    ) -> BulkUpdateQuery[Self]:
        """Update some columns of many rows, see ``tortoise.Model.bulk_update``.

        The rows are found by id, so there is no tenant condition. For edges and embeddings it would be a join, which
        Tortoise cannot update.
        """
        keyed: Any = KeyedConnection(using_db or cls._choose_db(True))  # type: ignore[arg-type]  # this engine's client
        with refusing:
            objects, columns = list(objects), list(fields)
            for name in columns:
                if name not in cls._meta.fields_db_projection:
                    raise InvalidInputError("fields", f"has what is not a column of {cls.__name__}")
        return CheckedQuerySet(cls).using_db(keyed).bulk_update(objects, columns, batch_size)

    async def refresh_from_db(
        self, fields: Iterable[str] | None = None, using_db: BaseDBAsyncClient | None = None
    ) -> None:
        """Read the row again, see ``tortoise.Model.refresh_from_db``."""
        keyed: Any = KeyedConnection(using_db or self._choose_db())  # type: ignore[arg-type]  # this engine's client
        with refusing:
            await super().refresh_from_db(fields, keyed)

    async def save(
        self,
        using_db: BaseDBAsyncClient | None = None,
        update_fields: Iterable[str] | None = None,
        force_create: bool = False,
        force_update: bool = False,
    ) -> None:
        """Insert or update the row, see ``tortoise.Model.save``."""
        with refusing:
            update_fields = None if update_fields is None else list(update_fields)
            for name in update_fields or ():
                if name not in self._meta.fields_db_projection:
                    raise InvalidInputError("update_fields", f"has what is not a column of {type(self).__name__}")
            await super().save(using_db, update_fields, force_create, force_update)

    async def delete(self, using_db: BaseDBAsyncClient | None = None) -> None:
        """Delete the row, see ``tortoise.Model.delete``."""
        with refusing:
            await super().delete(using_db)

    async def fetch_related(self, *args: Any, using_db: BaseDBAsyncClient | None = None) -> None:
        """Read relations, see ``tortoise.Model.fetch_related``."""
        with refusing:
            await super().fetch_related(*args, using_db=using_db)

    @classmethod
    async def fetch_for_list(
        cls, instance_list: Iterable[Model], *args: Any, using_db: BaseDBAsyncClient | None = None
    ) -> None:
        """Read relations of several instances, see ``tortoise.Model.fetch_for_list``."""
        with refusing:
            await super().fetch_for_list(list(instance_list), *args, using_db=using_db)

    @classmethod
    async def create(cls, using_db: BaseDBAsyncClient | None = None, **kwargs: Any) -> Self:
        """Insert a row, see ``tortoise.Model.create``."""
        with refusing:
            return await super().create(using_db, **kwargs)

    @classmethod
    async def get_or_create(
        cls, defaults: dict[str, Any] | None = None, using_db: BaseDBAsyncClient | None = None, **kwargs: Any
    ) -> tuple[Self, bool]:
        """Read a row or insert it, see ``tortoise.Model.get_or_create``."""
        with refusing:
            return await super().get_or_create(defaults, using_db, **kwargs)

    @classmethod
    async def update_or_create(
        cls, defaults: dict[str, Any] | None = None, using_db: BaseDBAsyncClient | None = None, **kwargs: Any
    ) -> tuple[Self, bool]:
        """Update a row or insert it, see ``tortoise.Model.update_or_create``."""
        with refusing:
            return await super().update_or_create(defaults, using_db, **kwargs)

    @classmethod
    async def _create_or_get(cls, db: BaseDBAsyncClient, defaults: dict[str, Any], **kwargs: Any) -> tuple[Self, bool]:
        for name in defaults.keys() & kwargs.keys():
            if defaults[name] != kwargs[name]:  # Tortoise's error would quote both
                raise InvalidInputError(name, "has one value to look for and another one as default")
        return await super()._create_or_get(db, defaults, **kwargs)

    @classmethod
    def _validate_relation_type(cls, field_key: str, value: Model | None) -> None:
        """Refuse anything but a saved instance of the related model."""
        related: Any = cls._meta.fields_map[field_key]
        if value is None:
            return
        if not isinstance(value, related.related_model):
            wanted, given = related.related_model.__name__, type(value).__name__
            raise InvalidInputError(field_key, f"must be a {wanted}, not {given}; an id goes into {field_key}_id")
        if not value._saved_in_db:
            raise InvalidInputError(field_key, "is not stored yet; store it first")

    def __str__(self) -> str:
        return repr(self)  # with the id, which Tortoise's has not; never with a text, because it ends up in logs

    def __eq__(self, other: object) -> bool:
        # What is no model, such as a result of a verb, may know itself whether it equals one.
        return super().__eq__(other) if isinstance(other, Model) else NotImplemented

    __hash__ = Model.__hash__

    @classmethod
    async def _getbypk(cls, key: Any) -> Self:
        with refusing:
            return await super()._getbypk(key)

    def _checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        if "pk" in values:  # Tortoise would ignore it, and the row would get another id
            values = {self._meta.pk_attr if name == "pk" else name: value for name, value in values.items()}
        for name in self._meta.fk_fields & values.keys():
            if not isinstance(values[name], Model):  # what a verb returned stands for its memory
                values = {**values, name: getattr(values[name], "memory", values[name])}
        for name, value in values.items():
            field = self._meta.fields_map.get(name)
            if field is None:
                raise InvalidInputError(name, f"is not a column of {type(self).__name__}")
            if value is None and not field.null:
                raise missing_value(field)
            if name in self._meta.fk_fields:
                self._validate_relation_type(name, value)
            if name in self._meta.backward_fk_fields:
                raise InvalidInputError(name, "is read from the other table; store its rows instead")
            if isinstance(value, str) and isinstance(field, JsonObjectField):  # only the driver gives JSON text
                raise InvalidInputError(name, "must be a dict (a JSON object), not str")
        return dict(values)


class TenantModel(StrictModel):
    """A model whose rows belong to a tenant's memories.

    Its querysets also return forgotten memories and what belongs to them, until they are purged; :meth:`live` does not.
    """

    class Meta:
        abstract = True

    @classmethod
    def live(cls) -> QuerySet[Self]:
        """The rows whose memories are not forgotten; of an edge, both of its memories. Filter it as any queryset.

        For a relation: ``Prefetch("outgoing_edges", MemoryRelationship.live())``.
        """
        manager = cls._meta.manager
        assert isinstance(manager, TenantManager)
        return manager.get_queryset().filter(manager.live_condition)


class MemoryQuerySet(TenantQuerySet["MemoryRecord"]):
    """A queryset of memories. Updating the text also updates its hash."""

    def update(self, **kwargs: Any) -> UpdateQuery:
        """Set columns of all rows, see ``tortoise.queryset.QuerySet.update``."""
        if isinstance(text := kwargs.get("content_text"), str):
            kwargs.setdefault("content_hash", _hash_of_valid_text(text))
        return super().update(**kwargs)


class MemoryRecord(TenantModel):
    """A memory: a text that an agent of a tenant stored. Each agent stores a text once.

    Relations: ``embeddings``, ``outgoing_edges`` (this memory is the source) and ``incoming_edges`` (it is the target).
    """

    memory_id = IdField(
        primary_key=True,
        default=None,
        db_default=_RANDOM_ID,
        description="Identifies the memory; the database fills it in",
    )
    agent_id = NameField(max_length=NAME_MAX_LENGTH, description="The agent that the memory belongs to")
    tenant_id = NameField(max_length=NAME_MAX_LENGTH, description="The tenant that the memory belongs to")
    source_type = ChoiceField(
        SourceType,
        check=CheckConstraint(
            check="source_type IN ('conversation', 'tool_output', 'document', 'observation', 'external')",
            name="memory_records_source_type_check",
        ),
        description="Where the memory comes from",
    )
    content_text = ContentField(description="What is remembered, stored exactly as given")
    content_hash = HashField(
        max_length=CONTENT_HASH_MAX_LENGTH,
        description="MD5 of the UTF-8 bytes of content_text in lower-case hexadecimal; computed when not given",
    )
    metadata = JsonObjectField(null=True, db_default=_EMPTY_OBJECT, description="A JSON object of the caller's own")
    created_at = TimestampField(null=True, db_default=_NOW, description="When the memory was stored")
    updated_at = TimestampField(null=True, db_default=_NOW, description="When the memory was last changed")
    is_deleted = FlagField(null=True, db_default=False, description="True once the memory is forgotten")
    deleted_at = TimestampField(null=True, description="When the memory was forgotten")

    embeddings: fields.ReverseRelation[MemoryEmbedding]
    outgoing_edges: fields.ReverseRelation[MemoryRelationship]
    incoming_edges: fields.ReverseRelation[MemoryRelationship]
    _embeddings, _outgoing_edges, _incoming_edges = RelationDefault(), RelationDefault(), RelationDefault()

    class Meta:
        table = "memory_records"
        manager = TenantManager("tenant_id", "is_deleted", queryset_class=MemoryQuerySet)
        constraints = (UniqueConstraint(fields=("agent_id", "tenant_id", "content_hash"), name="unique_content_hash"),)
        indexes = (
            Index(fields=("agent_id",), name="idx_memory_agent"),
            Index(fields=("tenant_id",), name="idx_memory_tenant"),
            Index(fields=("source_type",), name="idx_memory_source"),
            DescendingIndex(fields=("created_at",), name="idx_memory_created"),
            Index(fields=("content_hash",), name="idx_memory_hash"),
            PartialIndex(fields=("is_deleted",), name="idx_memory_active", condition={"is_deleted": False}),
        )

    def __init__(self, **kwargs: Any) -> None:
        if (scope := surrounding_scope()) is not None:
            # Row-level security allows no other tenant. The agent is the scope's default.
            assumed = {"tenant_id": scope.tenant_id, "agent_id": scope.agent_id}
            kwargs = {name: value for name, value in assumed.items() if value is not None} | kwargs
        given, text = kwargs.pop("content_hash", None), kwargs.get("content_text")
        if given is None and isinstance(text, str):
            given = _hash_of_valid_text(text)
        super().__init__(**kwargs if given is None else {"content_hash": given, **kwargs})

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show it in a notebook, with the beginning of its text; ``repr()``, which ends up in logs, has none."""
        columns = self.__dict__
        text = columns.get("content_text") or ""
        printer.text(f"<MemoryRecord {columns.get('memory_id')}: {columns.get('source_type')}")
        printer.text(
            f" of {columns.get('agent_id')}, {text[:_SHOWN_CHARACTERS]!r}{'…' * (len(text) > _SHOWN_CHARACTERS)}>"
        )

    def __setattr__(self, key: str, value: Any) -> None:
        """Set an attribute. A new text gets a new hash, unless the old hash was not the old text's."""
        if key == "content_text":
            old_text, old_hash = self.__dict__.get("content_text"), self.__dict__.get("content_hash")
            if old_hash is None or (isinstance(old_text, str) and old_hash == _hash_of_valid_text(old_text)):
                super().__setattr__("content_hash", _hash_of_valid_text(value) if isinstance(value, str) else None)
        super().__setattr__(key, value)

    async def save(
        self,
        using_db: BaseDBAsyncClient | None = None,
        update_fields: Iterable[str] | None = None,
        force_create: bool = False,
        force_update: bool = False,
    ) -> None:
        """Insert or update the row, see ``tortoise.Model.save``. Saving the text also saves its hash."""
        with refusing:
            if update_fields is not None:
                update_fields = set(update_fields)
                if "content_text" in update_fields:
                    update_fields.add("content_hash")
        await super().save(using_db, update_fields, force_create, force_update)

    @classmethod
    def bulk_update(
        cls,
        objects: Iterable[Self],
        fields: Iterable[str],
        batch_size: int | None = None,
        using_db: BaseDBAsyncClient | None = None,
    ) -> BulkUpdateQuery[Self]:
        """Update some columns of many rows, see ``tortoise.Model.bulk_update``. The text's hash is updated too."""
        with refusing:
            columns = list(fields)
        if "content_text" in columns and "content_hash" not in columns:
            columns.append("content_hash")
        return super().bulk_update(objects, columns, batch_size, using_db)


def _hash_of_valid_text(content_text: str) -> str:
    # A lone surrogate has no UTF-8 bytes. The column's field refuses such a text before the hash is used.
    return hash_content(content_text.encode(errors="replace").decode())


class MemoryEmbedding(TenantModel):
    """An embedding: the id of a memory's vector in the vector store. One for each memory and embedding model."""

    embedding_id = IdField(
        primary_key=True,
        default=None,
        db_default=_RANDOM_ID,
        description="Identifies the row; the database fills it in",
    )
    memory: fields.ForeignKeyRelation[MemoryRecord] = fields.ForeignKeyField(
        "models.MemoryRecord",
        related_name="embeddings",
        on_delete=fields.CASCADE,
        description="The memory that the vector stands for",
    )
    memory_id: UUID
    vector_id = NameField(max_length=NAME_MAX_LENGTH, description="The vector's id in the vector store")
    embedding_model = NameField(max_length=EMBEDDING_MODEL_MAX_LENGTH, description="The model that made the vector")
    created_at = TimestampField(null=True, db_default=_NOW, description="When the row was stored")

    class Meta:
        table = "memory_embeddings"
        manager = TenantManager("memory__tenant_id", "memory__is_deleted")
        constraints = (UniqueConstraint(fields=("memory_id", "embedding_model"), name="unique_memory_embedding"),)
        indexes = (
            Index(fields=("memory_id",), name="idx_embeddings_memory"),
            Index(fields=("vector_id",), name="idx_embeddings_vector"),
        )


class MemoryRelationship(TenantModel):
    """An edge from one memory to another, with a type."""

    relationship_id = IdField(
        primary_key=True,
        default=None,
        db_default=_RANDOM_ID,
        description="Identifies the edge; the database fills it in",
    )
    source_memory: fields.ForeignKeyRelation[MemoryRecord] = fields.ForeignKeyField(
        "models.MemoryRecord",
        related_name="outgoing_edges",
        on_delete=fields.CASCADE,
        description="The memory that the edge starts at",
    )
    source_memory_id: UUID
    target_memory: fields.ForeignKeyRelation[MemoryRecord] = fields.ForeignKeyField(
        "models.MemoryRecord",
        related_name="incoming_edges",
        on_delete=fields.CASCADE,
        description="The memory that the edge ends at",
    )
    target_memory_id: UUID
    relationship_type = ChoiceField(
        RelationshipType,
        check=CheckConstraint(
            check="relationship_type IN ('references', 'contradicts', 'supports', 'follows', 'related')",
            name="memory_relationships_relationship_type_check",
        ),
        description="What the source says of the target",
    )
    confidence_score = ConfidenceField(
        check=CheckConstraint(
            check="confidence_score >= 0 AND confidence_score <= 1",
            name="memory_relationships_confidence_score_check",
        ),
        description="How sure the edge is, from 0 to 1; None where nobody said",
    )
    created_at = TimestampField(null=True, db_default=_NOW, description="When the edge was stored")

    class Meta:
        table = "memory_relationships"
        manager = TenantManager("source_memory__tenant_id", "source_memory__is_deleted", "target_memory__is_deleted")
        constraints = (
            CheckConstraint(check="source_memory_id != target_memory_id", name="no_self_reference"),
            UniqueConstraint(
                fields=("source_memory_id", "target_memory_id", "relationship_type"), name="unique_relationship"
            ),
        )
        indexes = (
            Index(fields=("source_memory_id",), name="idx_relationships_source"),
            Index(fields=("target_memory_id",), name="idx_relationships_target"),
            Index(fields=("relationship_type",), name="idx_relationships_type"),
        )


class DataSource(StrictModel):
    """A data source that memories may be ingested from."""

    source_id = IdField(
        primary_key=True,
        default=None,
        db_default=_RANDOM_ID,
        description="Identifies the source; the database fills it in",
    )
    source_name = NameField(max_length=NAME_MAX_LENGTH, unique=True, description="The source's name, unique")
    source_type = ChoiceField(
        DataSourceType,
        check=CheckConstraint(
            check="source_type IN ('api', 'database', 'file_system', 'webhook', 'manual')",
            name="data_sources_source_type_check",
        ),
        description="What kind of system the source is",
    )
    source_uri = NullableTextField(null=True, description="Where the source is found")
    is_active = FlagField(null=True, db_default=True, description="False while nothing may come from it")
    created_at = TimestampField(null=True, db_default=_NOW, description="When the source was approved")
    last_ingestion_at = TimestampField(null=True, description="When something last came from it")
    metadata = JsonObjectField(null=True, db_default=_EMPTY_OBJECT, description="A JSON object of the caller's own")

    class Meta:
        table = "data_sources"
        manager = CheckedManager()
        indexes = (
            Index(fields=("is_active",), name="idx_sources_active"),
            Index(fields=("source_type",), name="idx_sources_type"),
        )


class MemoryAccessPolicy(StrictModel):
    """A policy: which agent may do what with which memory."""

    policy_id = IdField(
        primary_key=True,
        default=None,
        db_default=_RANDOM_ID,
        description="Identifies the policy; the database fills it in",
    )
    policy_name = NameField(max_length=NAME_MAX_LENGTH, unique=True, description="The policy's name, unique")
    policy_rules = JsonObjectField(description="The rules: a JSON object that carries OPA Rego")
    is_active = FlagField(null=True, db_default=True, description="False while the policy is not applied")
    created_at = TimestampField(null=True, db_default=_NOW, description="When the policy was stored")
    updated_at = TimestampField(null=True, db_default=_NOW, description="When the policy was last changed")

    class Meta:
        table = "memory_access_policies"
        manager = CheckedManager()
        indexes = (Index(fields=("is_active",), name="idx_policies_active"),)


MODELS: tuple[type[StrictModel], ...] = (
    MemoryRecord,
    MemoryEmbedding,
    MemoryRelationship,
    DataSource,
    MemoryAccessPolicy,
)
"""In the order of the specification."""

prepare_models(__name__, "models", MODELS, current_connection, GuildClient)


def check_constraints(model: type[StrictModel]) -> tuple[CheckConstraint, ...]:
    """The CHECKs of a table: those of single columns, then those of several columns."""
    beside_columns = [field.check for field in model._meta.fields_map.values() if hasattr(field, "check")]
    over_columns = [constraint for constraint in model._meta.constraints if isinstance(constraint, CheckConstraint)]
    return (*beside_columns, *over_columns)
