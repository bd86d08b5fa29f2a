"""The rows of three tenants, what an attacker holds of a stranger's, and whether anything of them has changed.

``bolt`` is the attacker. Each operation runs in a crowded world, where ``acme`` and ``citadel`` have rows, too,
aimed at acme's and at values that exist nowhere, and in a world where bolt is alone. It must always end alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from memory_guild.models import MemoryEmbedding, MemoryRecord, MemoryRelationship, StrictModel, hash_content

if TYPE_CHECKING:
    from tests.tenancy.logins import Connection

_Row = TypeVar("_Row", bound=StrictModel)

ATTACKER, STRANGER = "bolt", "acme"
SECRET = "swordfish"
"""In every stranger's row, in a column that the attacker does not know."""
SECRET_CONFIDENCE = 0.8125
OWN_TIME = datetime(2003, 3, 3, tzinfo=UTC)

OWN = tuple(UUID(f"bbbbbbbb-0000-4000-8000-{number:012}") for number in range(1, 5))
OWN_EMBEDDING, OWN_EDGE = UUID("bbbbbbbb-0000-4000-8000-0000000000e1"), UUID("bbbbbbbb-0000-4000-8000-0000000000f1")


@dataclass(frozen=True)
class Aim:
    """A row of each table, as far as the attacker knows it; the values of all aims are equally long."""

    memory_id: UUID
    other_memory_id: UUID
    forgotten_memory_id: UUID
    embedding_id: UUID
    relationship_id: UUID
    tenant_id: str
    agent_id: str
    content_text: str
    forgotten_text: str
    vector_id: str
    embedding_model: str

    @property
    def content_hash(self) -> str:
        """The hash of the text."""
        return hash_content(self.content_text)

    @property
    def forgotten_hash(self) -> str:
        """The hash of the forgotten text."""
        return hash_content(self.forgotten_text)

    def names(self) -> Iterator[tuple[str, str]]:
        """Every value with its name, the most specific first."""
        for name in (*self.__dataclass_fields__, "content_hash", "forgotten_hash"):
            yield name, str(getattr(self, name))

    @property
    def memory(self) -> MemoryRecord:
        """The memory, as if the attacker had read it."""
        values = {name: getattr(self, name) for name in ("memory_id", "tenant_id", "agent_id", "content_text")}
        return _stored(MemoryRecord(source_type="document", created_at=OWN_TIME, **values))

    @property
    def embedding(self) -> MemoryEmbedding:
        """Its embedding."""
        values = {name: getattr(self, name) for name in ("embedding_id", "memory_id", "vector_id", "embedding_model")}
        return _stored(MemoryEmbedding(created_at=OWN_TIME, **values))

    @property
    def edge(self) -> MemoryRelationship:
        """The edge from the memory to the other one."""
        return _stored(
            MemoryRelationship(
                relationship_id=self.relationship_id,
                source_memory_id=self.memory_id,
                target_memory_id=self.other_memory_id,
                relationship_type="supports",
                created_at=OWN_TIME,
            )
        )

    def instance(self, model: type[StrictModel]) -> Any:
        """The row of that model's table."""
        rows: dict[type[StrictModel], StrictModel] = {
            MemoryRecord: self.memory,
            MemoryEmbedding: self.embedding,
            MemoryRelationship: self.edge,
        }
        return rows[model]


def _stored(instance: _Row) -> _Row:
    instance._saved_in_db = True
    return instance


def _aim(letter: str, tenant_id: str) -> Aim:
    memory_id, other_memory_id, embedding_id, relationship_id, forgotten_memory_id = (
        UUID(f"{letter * 8}-0000-4000-8000-{number:012}") for number in range(1, 6)
    )
    return Aim(
        memory_id=memory_id,
        other_memory_id=other_memory_id,
        forgotten_memory_id=forgotten_memory_id,
        embedding_id=embedding_id,
        relationship_id=relationship_id,
        tenant_id=tenant_id,
        agent_id=f"agent of {tenant_id}",
        content_text=f"what {tenant_id} knows",
        forgotten_text=f"what {tenant_id} knew",
        vector_id=f"vector of {tenant_id}",
        embedding_model=f"model of {tenant_id}",
    )


STRANGERS_ROWS = _aim("a", STRANGER)
NOWHERE = _aim("c", "zulu")
HELD_BY_TWO = _aim("d", "citadel")


def _rows_of(aim: Aim) -> str:
    return f"""
INSERT INTO memory_records
    (memory_id, agent_id, tenant_id, source_type, content_text, content_hash, metadata, created_at)
VALUES ('{aim.memory_id}', '{aim.agent_id}', '{aim.tenant_id}', 'document', '{aim.content_text}', '{aim.content_hash}',
        '{{"note": "{SECRET}", "page": 7, "when": "2001-02-03T00:00:00Z"}}', '2001-02-03'),
       ('{aim.other_memory_id}', '{aim.agent_id}', '{aim.tenant_id}', 'document', '{SECRET} 2', md5('{SECRET} 2'),
        '{{"note": "{SECRET}"}}', '2005-02-03');
INSERT INTO memory_records
    (memory_id, agent_id, tenant_id, source_type, content_text, content_hash, metadata, is_deleted, deleted_at)
VALUES ('{aim.forgotten_memory_id}', '{aim.agent_id}', '{aim.tenant_id}', 'document', '{aim.forgotten_text}',
        '{aim.forgotten_hash}', '{{"note": "{SECRET}"}}', true, '2005-02-03');
INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash, metadata)
SELECT 'own agent', '{aim.tenant_id}', 'document', '{SECRET} of many ' || n, md5('{SECRET} of many ' || n),
       '{{"note": "{SECRET}"}}' FROM generate_series(1, 20) AS n;
INSERT INTO memory_embeddings (embedding_id, memory_id, vector_id, embedding_model) VALUES
    ('{aim.embedding_id}', '{aim.memory_id}', '{aim.vector_id}', '{aim.embedding_model}'),
    (DEFAULT, '{aim.memory_id}', '{SECRET}', '{SECRET}'), (DEFAULT, '{aim.other_memory_id}', '{SECRET}', 'small');
INSERT INTO memory_relationships
    (relationship_id, source_memory_id, target_memory_id, relationship_type, confidence_score) VALUES
    ('{aim.relationship_id}', '{aim.memory_id}', '{aim.other_memory_id}', 'supports', {SECRET_CONFIDENCE}),
    (DEFAULT, '{aim.memory_id}', '{aim.other_memory_id}', 'contradicts', {SECRET_CONFIDENCE}),
    (DEFAULT, '{aim.other_memory_id}', '{aim.memory_id}', 'follows', {SECRET_CONFIDENCE});
"""


OTHERS_ROWS = _rows_of(STRANGERS_ROWS) + _rows_of(HELD_BY_TWO)
OWN_ROWS = f"""
DELETE FROM memory_records WHERE tenant_id = '{ATTACKER}';
INSERT INTO memory_records
    (memory_id, agent_id, tenant_id, source_type, content_text, content_hash, created_at, updated_at)
SELECT id::uuid, 'own agent', '{ATTACKER}', 'document', 'own text ' || n, md5('own text ' || n),
       timestamptz '2003-03-03 00:00:00+00' + n * interval '1 s', '2003-03-03 00:00:00+00'
FROM unnest(ARRAY['{OWN[0]}', '{OWN[1]}', '{OWN[2]}', '{OWN[3]}']) WITH ORDINALITY AS own(id, n);
INSERT INTO memory_embeddings (embedding_id, memory_id, vector_id, embedding_model, created_at)
VALUES ('{OWN_EMBEDDING}', '{OWN[0]}', 'own vector', 'small', '2003-03-03 00:00:00+00');
INSERT INTO memory_relationships
    (relationship_id, source_memory_id, target_memory_id, relationship_type, confidence_score, created_at)
VALUES ('{OWN_EDGE}', '{OWN[0]}', '{OWN[1]}', 'supports', 0.25, '2003-03-03 00:00:00+00');
INSERT INTO data_sources (source_id, source_name, source_type, created_at)
VALUES ('bbbbbbbb-0000-4000-8000-0000000000a5', 'wiki', 'api', '2003-03-03 00:00:00+00') ON CONFLICT DO NOTHING;
INSERT INTO memory_access_policies (policy_id, policy_name, policy_rules, created_at, updated_at)
VALUES ('bbbbbbbb-0000-4000-8000-0000000000a6', 'readers', '{{}}', '2003-03-03 00:00:00+00', '2003-03-03 00:00:00+00')
    ON CONFLICT DO NOTHING;
"""

ANALYZE = """
DO $$ BEGIN
    EXECUTE (
        SELECT 'ANALYZE ' || string_agg(oid::regclass::text, ', ') FROM pg_class
        WHERE relkind = 'r' AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    );
END $$;
"""
"""Every table but those of the catalog, which hold nothing of anybody's and would take a hundred times as long."""

# Beside the columns, the system columns: they change with an update that writes the same values, and with a row lock.
_DIGESTS = f"""
WITH memory AS (
    SELECT memory_id, tenant_id = '{ATTACKER}' AS own, m::text || m.xmin || m.xmax || m.ctid AS row
    FROM memory_records m
), embedding AS (
    SELECT own, e::text || e.xmin || e.xmax || e.ctid AS row FROM memory_embeddings e JOIN memory USING (memory_id)
), edge AS (
    SELECT own, r::text || r.xmin || r.xmax || r.ctid AS row
    FROM memory_relationships r JOIN memory ON memory_id IN (source_memory_id, target_memory_id)
), shared AS (
    SELECT s::text || s.xmin AS row FROM data_sources s
    UNION ALL SELECT p::text || p.xmin FROM memory_access_policies p
)
SELECT own, md5(string_agg(row, '|' ORDER BY row)) AS digest FROM (
    SELECT own, row FROM memory UNION ALL SELECT own, row FROM embedding UNION ALL SELECT own, row FROM edge
    UNION ALL SELECT false, row FROM shared
    {{more_rows}}
) AS rows GROUP BY own
"""


class Witness:
    """A superuser beside the scopes: says whether others' rows have changed, and puts the attacker's back.

    Attributes:
        others_rows: Stores the strangers' rows.
        own_rows: Stores the attacker's, instead of those that are there.
        more_rows: Further rows to look at, as an arm of a UNION ALL: whether they are the attacker's, and their text.
    """

    others_rows = OTHERS_ROWS
    own_rows = OWN_ROWS
    more_rows = ""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._others: str | None = None
        self._own: str | None = None

    async def populate(self, *, crowded: bool) -> None:
        """Store the attacker's rows, and the strangers' where the world is crowded."""
        await self._connection.execute((self.others_rows if crowded else "") + self.own_rows + ANALYZE)
        self._others, self._own = await self._digests()

    async def others_are_unchanged(self) -> bool:
        """Whether every row of the others is as it was, byte for byte; the attacker's rows are put back."""
        others, own = await self._digests()
        unchanged = others == self._others
        if own != self._own:
            await self._connection.execute(self.own_rows)
            _, self._own = await self._digests()
        if not unchanged:
            self._others = others
        return unchanged

    async def populate_again(self) -> None:
        """Put all rows of the crowded world back, where they have changed."""
        if not await self.everything_is_unchanged():
            await self._connection.execute("DELETE FROM memory_records")
            await self._connection.execute(self.others_rows + self.own_rows)
            self._others, self._own = await self._digests()

    async def everything_is_unchanged(self) -> bool:
        """Whether all rows are as they were, the attacker's too."""
        return await self._digests() == (self._others, self._own)

    async def _digests(self) -> tuple[str | None, str | None]:
        rows = await self._connection.fetch(_DIGESTS.format(more_rows=self.more_rows))
        digests = {row["own"]: row["digest"] for row in rows}
        return digests.get(False), digests.get(True)


OTHER_GROUP = "north"
"""The group of tenants that the attacker is in, where there are two; the strangers are in ``public``."""

_PLACEMENTS = f"""
DELETE FROM memory_placements;
INSERT INTO memory_placements (tenant_id, group_name) VALUES
    ('{ATTACKER}', '{OTHER_GROUP}'), ('{STRANGER}', 'public'), ('{HELD_BY_TWO.tenant_id}', 'public'),
    ('{NOWHERE.tenant_id}', 'public');
"""


class WitnessOfGroups(Witness):
    """Looks where the attacker is in another group of tenants than the strangers."""

    own_rows = f"{_PLACEMENTS} SET search_path = {OTHER_GROUP}; {OWN_ROWS} SET search_path = public;"

    async def _digests(self) -> tuple[str | None, str | None]:
        others, _ = await super()._digests()
        await self._connection.execute(f"SET search_path = {OTHER_GROUP}")
        shared, own = await super()._digests()
        await self._connection.execute("SET search_path = public")
        return f"{others} {shared}", own
