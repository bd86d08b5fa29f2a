"""The search's own tables, for Aerich. Triggers fill them and statements read them; agents never need these models."""

from __future__ import annotations

from tortoise import Model, fields


class MemoryWords(Model):
    """The words of one memory, and the vector that is searched; none for a forgotten one."""

    memory_id = fields.UUIDField(primary_key=True)
    tenant_id = fields.CharField(max_length=255)
    lexemes = fields.TextField()
    pivot = fields.FloatField()
    is_question = fields.BooleanField()
    names_time = fields.BooleanField()
    starts = fields.BooleanField(default=True)
    is_forgotten = fields.BooleanField()
    is_complete = fields.BooleanField(default=True)
    words = fields.TextField()
    text_search = fields.TextField(default="english")

    class Meta:
        """The table."""

        table = "memory_words"


class MemoryOwnVector(Model):
    """The vector that an embedding model made of one memory's text."""

    memory_id = fields.UUIDField(primary_key=True)
    tenant_id = fields.CharField(max_length=255)
    embedding_model = fields.CharField(max_length=100)
    content_hash = fields.CharField(max_length=64)
    own = fields.TextField()

    class Meta:
        """The table."""

        table = "memory_own_vectors"


class MemoryVector(Model):
    """The vector that is searched: the memory's own one, and less of its neighbors' ones."""

    memory_id = fields.UUIDField(primary_key=True)
    tenant_id = fields.CharField(max_length=255)
    embedding_model = fields.CharField(max_length=100)
    content_hash = fields.CharField(max_length=64)
    is_current = fields.BooleanField()
    embedding = fields.TextField()

    class Meta:
        """The table."""

        table = "memory_vectors"


class VectorModel(Model):
    """How many numbers the vectors of a model have, in one tenant."""

    embedding_model = fields.CharField(max_length=100, primary_key=True)
    tenant_id = fields.CharField(max_length=255)
    dimensions = fields.IntField()

    class Meta:
        """The table."""

        table = "memory_vector_models"


class WordCount(Model):
    """In how many memories of a tenant a word is."""

    word = fields.IntField(primary_key=True)
    tenant_id = fields.CharField(max_length=255)
    memories = fields.IntField()

    class Meta:
        """The table."""

        table = "memory_word_counts"


class MirroringIndex(Model):
    """An index outside PostgreSQL that mirrors the vectors."""

    name = fields.CharField(max_length=255, primary_key=True)
    is_filled = fields.BooleanField(default=False)

    class Meta:
        """The table."""

        table = "memory_vector_indexes"


class ChangedVector(Model):
    """A vector that changed since an index outside PostgreSQL was made equal to it."""

    memory_id = fields.UUIDField(primary_key=True)
    tenant_id = fields.CharField(max_length=255)
    index_name = fields.CharField(max_length=255)
    embedding_model = fields.CharField(max_length=100)
    version = fields.BigIntField(default=1)
    attempts = fields.IntField(default=0)
    due_at = fields.DatetimeField()
    claim = fields.UUIDField(null=True)

    class Meta:
        """The table."""

        table = "memory_vector_outbox"
