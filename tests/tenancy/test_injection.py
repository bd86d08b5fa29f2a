"""What a caller says never becomes SQL: every lookup, function and name of Tortoise is tried with hostile words.

The proof is the statement's text: no word of the caller is in it, whatever quotes surround it. The other tenant's rows,
the role and the tenant of the scope are looked at too.
"""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import cycle
from typing import Any

import asyncpg
import pytest
import tortoise.contrib.postgres
from pypika_tortoise.terms import Function as PypikaFunction
from pypika_tortoise.terms import ValueWrapper
from tortoise import functions
from tortoise.contrib.postgres import functions as postgres
from tortoise.contrib.postgres import search
from tortoise.contrib.postgres.json_functions import operator_keywords
from tortoise.exceptions import DoesNotExist, MultipleObjectsReturned, OperationalError
from tortoise.expressions import (
    Aggregate,
    Case,
    CombinedExpression,
    Connector,
    Expression,
    F,
    Function,
    Q,
    Subquery,
    Value,
    When,
)
from tortoise.query_utils import Prefetch

from memory_guild.errors import InvalidInputError, MemoryGuildError
from memory_guild.models import (
    MODELS,
    DataSource,
    MemoryAccessPolicy,
    MemoryEmbedding,
    MemoryRecord,
    MemoryRelationship,
    StrictModel,
)
from memory_guild.tenancy import tenant_scope

pytestmark = pytest.mark.long

MARK = "ZZmarkZZ"
OF_VICTIM = "of bolt"
BECOME = "set_config('memory_guild.tenant_id', 'bolt', true) IS NOT NULL"
HOSTILE = [
    f"{MARK}' = 'no' OR {BECOME} OR 'a",
    f"{MARK}'::text) OR {BECOME} OR ('a' = 'a",
    f'{MARK}" OR {BECOME} OR "a',
    f'{MARK}", (SELECT set_config($$role$$, $$none$$, true)) "a',
    f"{MARK}\\' OR {BECOME} --",
    f"{MARK}%s $1 ?? {{0}} %(x)s /* -- ;",
    f"{MARK}'; SELECT {BECOME}; --",
    f"{MARK}\x00",
    f"{MARK}\ud800",
]

ROWS = """
INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash, metadata)
SELECT 'a', tenant_id, 'document', 'of ' || tenant_id || ' ' || n, md5(tenant_id || n),
    '{"page": 1, "tags": ["x"], "deep": {"er": "y"}}'
FROM (VALUES ('acme'), ('bolt')) AS tenants(tenant_id), generate_series(1, 2) AS n;
INSERT INTO memory_embeddings (memory_id, vector_id, embedding_model)
SELECT memory_id, content_text, 'small' FROM memory_records;
INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type)
SELECT a.memory_id, b.memory_id, 'supports' FROM memory_records a JOIN memory_records b USING (tenant_id)
WHERE a.content_text LIKE '% 1' AND b.content_text LIKE '% 2';
INSERT INTO data_sources (source_name, source_type) VALUES ('wiki', 'api');
INSERT INTO memory_access_policies (policy_name, policy_rules) VALUES ('readers', '{}');
"""

Make = Callable[[], Any]


class Attacker:
    """A tenant that tries queries, beside another one."""

    def __init__(self, superuser: asyncpg.Connection[asyncpg.Record]) -> None:
        self._superuser = superuser

    async def tries(self, attempts: Iterable[tuple[str, Make]]) -> int:
        """Run them all in scopes that are rolled back, a new one after each error; how many the server has run."""
        before, ran, left = await self._victims_rows(), 0, list(attempts)
        hidden = [OF_VICTIM, *(str(row["memory_id"]) for row in before)]
        while left:
            tried = 0
            with suppress(_UndoneError):
                async with tenant_scope("acme", agent_id="a") as scope:
                    connection = scope.transaction.session.connection
                    for name, make in left:
                        tried += 1
                        is_run, texts, result = await _outcome(name, make, connection)
                        assert not [text for text in texts if MARK in text], name
                        assert not [secret for secret in hidden if secret in repr(result)], name
                        ran += is_run
                        if texts and not is_run:
                            raise _UndoneError
                    seen = await connection.fetchrow("SELECT current_user, current_setting('memory_guild.tenant_id')")
                    assert seen is not None
                    assert tuple(seen) == ("memory_guild_app", "acme"), [name for name, _ in left[:tried]]
                    raise _UndoneError
            del left[:tried]
        assert await self._victims_rows() == before
        return ran

    async def _victims_rows(self) -> list[Any]:
        return await self._superuser.fetch(
            "SELECT xmin, * FROM memory_records WHERE tenant_id = 'bolt' ORDER BY memory_id"
        )


async def _outcome(name: str, make: Make, connection: Any) -> tuple[bool, list[str], Any]:
    """Whether the server has run it, the texts of its statements, and the result."""
    texts: list[str] = []
    result: Any = None
    is_run = False
    with connection.query_logger(lambda logged: texts.append(logged.query)):
        try:
            result = make()
            if isinstance(result, Awaitable):
                result = await result
            is_run = True
        except (MemoryGuildError, DoesNotExist, MultipleObjectsReturned):
            pass
        except OperationalError as error:  # the server refused it, and for this kind there is no error of ours
            if not isinstance(error.__cause__, asyncpg.PostgresError):
                raise AssertionError(f"{name}: {error!r}") from error
        except Exception as error:
            raise AssertionError(f"{name}: {error!r}") from error
        await asyncio.sleep(0)  # the driver calls its loggers in the next turn of the event loop
    return is_run, texts, result


class _UndoneError(Exception):
    """Rolls the scope back."""


@pytest.fixture
async def attacker(database: str, connection: asyncpg.Connection[asyncpg.Record]) -> Attacker:
    await connection.execute(ROWS)
    return Attacker(connection)


# --- lookups ----------------------------------------------------------------------------------------------------

PATHS: dict[type[StrictModel], list[tuple[str, type[StrictModel]]]] = {
    MemoryRecord: [
        ("", MemoryRecord),
        ("embeddings__", MemoryEmbedding),
        ("outgoing_edges__target_memory__", MemoryRecord),
    ],
    MemoryEmbedding: [("", MemoryEmbedding), ("memory__", MemoryRecord)],
    MemoryRelationship: [
        ("", MemoryRelationship),
        ("source_memory__", MemoryRecord),
        ("target_memory__", MemoryRecord),
    ],
    DataSource: [("", DataSource)],
    MemoryAccessPolicy: [("", MemoryAccessPolicy)],
}
JSON_COLUMNS = {MemoryRecord: "metadata", DataSource: "metadata", MemoryAccessPolicy: "policy_rules"}


def conditions(model: type[StrictModel]) -> Iterator[tuple[str, Any]]:
    """Every lookup of a model and of those around it with hostile values, in turn; each JSON lookup with each word."""
    words = cycle(HOSTILE)
    for path, related in PATHS[model]:
        for lookup in related._meta.filters:
            yield f"{path}{lookup}", next(words)
            yield f"{path}{lookup}", [next(words), next(words)]
            yield f"{path}{lookup}", {next(words): next(words)}
            yield f"{path}{lookup}__{next(words)}", 1
        if column := JSON_COLUMNS.get(related):
            for operator in ("", *(f"__{name}" for name in operator_keywords)):
                for hostile in HOSTILE:
                    for value in (1, hostile, [hostile, hostile]):
                        yield f"{path}{column}__filter", {f"deep__{hostile}{operator}": value}
    for hostile in HOSTILE:
        yield hostile, hostile


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
async def test_no_lookup_becomes_sql(attacker: Attacker, model: type[StrictModel]) -> None:
    def makers() -> Iterator[tuple[str, Make]]:
        for lookup, value in conditions(model):
            yield f"{lookup}={value!r}", partial(model.filter, **{lookup: value})

    assert await attacker.tries(makers()) > 20


JSON_CONDITION: dict[type[StrictModel], str] = {
    MemoryRecord: "metadata__filter",
    MemoryEmbedding: "memory__metadata__filter",
}
WAYS: dict[str, Callable[[type[StrictModel], str, Any], Any]] = {
    "exclude": lambda model, lookup, value: model.exclude(**{lookup: value}),
    "get": lambda model, lookup, value: model.get(**{lookup: value}),
    "get_or_none": lambda model, lookup, value: model.get_or_none(**{lookup: value}),
    "get_or_create": lambda model, lookup, value: model.get_or_create(**{lookup: value}),
    "Q": lambda model, lookup, value: model.filter(~Q(Q(**{lookup: value}) | Q(**{lookup: value}), join_type="OR")),
    "update": lambda model, lookup, value: model.filter(**{lookup: value}).update(created_at=None),
    "delete": lambda model, lookup, value: model.filter(**{lookup: value}).delete(),
    "count": lambda model, lookup, value: model.filter(**{lookup: value}).count(),
    "exists": lambda model, lookup, value: model.exists(**{lookup: value}),
    "first": lambda model, lookup, value: model.filter(**{lookup: value}).order_by("created_at").first(),
    "values": lambda model, lookup, value: model.filter(**{lookup: value}).values("created_at"),
    "values_list": lambda model, lookup, value: model.filter(**{lookup: value}).values_list("created_at"),
    "explain": lambda model, lookup, value: model.filter(**{lookup: value}).explain(),
    "union": lambda model, lookup, value: model.filter(**{lookup: value}).union(model.filter(**{lookup: value})),
    "count of union": lambda model, lookup, value: model.filter(**{lookup: value}).union(model.all()).count(),
    "select_for_update": lambda model, lookup, value: model.select_for_update().filter(**{lookup: value}),
    "Subquery": lambda model, lookup, value: model.filter(
        pk__in=Subquery(model.filter(**{lookup: value}).values("created_at"))
    ),
    "When": lambda model, lookup, value: model.annotate(
        chosen=Case(When(Q(**{lookup: value}), then=value), default=F("created_at"))
    ),
    "Aggregate": lambda model, lookup, value: model.annotate(
        number=functions.Count("created_at", _filter=Q(**{lookup: value}))
    ).values("number"),
    "Prefetch": lambda model, lookup, value: MemoryRecord.all().prefetch_related(
        Prefetch("embeddings", MemoryEmbedding.filter(**{lookup: value}))
    ),
}


@pytest.mark.parametrize("model", JSON_CONDITION, ids=lambda model: model.__name__)
async def test_no_way_to_filter_lets_a_key_become_sql(attacker: Attacker, model: type[StrictModel]) -> None:
    def makers() -> Iterator[tuple[str, Make]]:
        for way, make in WAYS.items():
            for hostile in HOSTILE:
                condition = {f"{hostile}__gte": 1}, {f"a__{hostile}": hostile}
                for value in condition:
                    yield f"{way}: {value!r}", partial(make, model, JSON_CONDITION[model], value)

    assert await attacker.tries(makers()) > len(WAYS)


# --- expressions ------------------------------------------------------------------------------------------------


def subclasses(kind: type) -> set[type]:
    """All of Tortoise's own, at any depth."""
    for module in pkgutil.iter_modules(tortoise.contrib.postgres.__path__, "tortoise.contrib.postgres."):
        importlib.import_module(module.name)
    found: set[type] = set(kind.__subclasses__())
    for subclass in list(found):
        found |= subclasses(subclass)
    return {subclass for subclass in found if subclass.__module__.startswith("tortoise.")}


def of_functions(hostile: str) -> Iterator[Any]:
    """Each of Tortoise's functions: hostile as a field, as a key of JSON and as another argument."""
    for function in subclasses(Function) - {Aggregate}:
        yield function(hostile)
        yield function(F(f"metadata__{hostile}"))
        yield function(F("metadata__page"), hostile)
        yield function("content_text", hostile, {hostile: hostile}, [hostile])
        if issubclass(function, Aggregate):
            yield function("content_text", distinct=True, _filter=Q(metadata__filter={hostile: hostile}))
    for pypika in subclasses(PypikaFunction):
        with suppress(TypeError):
            yield pypika(ValueWrapper(hostile))
        yield pypika(alias=hostile) if pypika is postgres.Random else PypikaFunction("lower", ValueWrapper(hostile))


def of_expressions(hostile: str) -> Iterator[Any]:
    """Each of Tortoise's other expressions."""
    for value in (hostile, {hostile: hostile}, [hostile], (hostile,), hostile.encode(errors="replace")):
        yield Value(value)
    yield F(hostile)
    yield F(f"metadata__{hostile}")
    yield F(f"metadata__deep__{hostile}__0")
    yield F(f"embeddings__{hostile}")
    for connector in Connector:
        yield CombinedExpression(F("content_text"), connector, hostile)
        yield CombinedExpression(F(f"metadata__{hostile}"), connector, F(f"metadata__{hostile}"))
    yield Case(When(content_text=hostile, then=hostile), default=hostile)
    yield Case(
        When(metadata__filter={hostile: hostile}, then=F(f"metadata__{hostile}")), default=F(f"metadata__{hostile}")
    )
    lexeme = search.Lexeme(hostile, weight="a", prefix=True)
    yield lexeme
    yield search.CombinedLexeme(lexeme, " & ", ~lexeme)
    vector = search.SearchVector("content_text", F(f"metadata__{hostile}"), config=hostile, weight=hostile)
    yield vector
    yield search.SearchVector(hostile)
    yield search.CombinedSearchVector(vector, search.SearchVector("content_text"))
    for kind in search.SearchQuery.SEARCH_TYPES:
        yield search.SearchQuery(hostile, search_type=kind)
        yield search.SearchQuery(hostile, config=hostile, search_type=kind, invert=True)
    query = search.SearchQuery(lexeme)
    yield search.CombinedSearchQuery(query, " && ", search.SearchQuery(hostile))
    yield search.SearchRank("content_text", hostile)
    yield search.SearchRank(vector, query, weights=hostile, normalization=1, cover_density=True)
    yield search.SearchHeadline(
        "content_text", hostile, start_sel=hostile, stop_sel=hostile, fragment_delimiter=hostile
    )
    yield search.SearchHeadline(hostile, hostile, config=hostile, max_words=3)


COVERED = {Value, F, CombinedExpression, Case, When, Function, Aggregate}
"""Tortoise's expressions that are no function and not in ``tortoise.contrib.postgres.search``; those are all tried."""


def test_every_expression_of_tortoise_is_tried() -> None:
    tried = {type(expression) for expression in of_expressions("word")} | COVERED | subclasses(Function)
    combinable = {search.SearchVectorCombinable, search.SearchQueryCombinable, search.LexemeCombinable}
    assert subclasses(Expression) - combinable <= tried


USES: dict[str, Callable[[Any], Any]] = {
    "annotate": lambda it: MemoryRecord.annotate(result=it),
    "values": lambda it: MemoryRecord.annotate(result=it).values("result"),
    "group": lambda it: MemoryRecord.annotate(result=it).group_by("result").values_list("result"),
    "order": lambda it: MemoryRecord.annotate(result=it).order_by("result").values("content_text"),
    "filter": lambda it: MemoryRecord.annotate(result=it).filter(result="x").count(),
    "explain": lambda it: MemoryRecord.annotate(result=it).explain(),
    "compare": lambda it: MemoryRecord.filter(content_text=it),
    "update": lambda it: MemoryRecord.all().update(agent_id=it),
    "save": lambda it: _saved(it),
}


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
async def test_no_expression_becomes_sql(attacker: Attacker, hostile: str) -> None:
    def makers() -> Iterator[tuple[str, Make]]:
        for number, expression in enumerate([*of_functions(hostile), *of_expressions(hostile)]):
            name = f"{number}: {type(expression).__name__} {vars(expression)!r}"
            for use, make in USES.items():
                yield f"{use} {name}", partial(make, expression)

    assert await attacker.tries(makers()) > 30


async def _saved(expression: Any) -> None:
    memory = await MemoryRecord.all().first()
    assert memory is not None
    memory.agent_id = expression
    await memory.save()


# --- names ------------------------------------------------------------------------------------------------------

WITH_NAMES: dict[str, Callable[[str], Any]] = {
    "annotate": lambda name: MemoryRecord.annotate(**{name: F("content_text")}),
    "annotate and values": lambda name: MemoryRecord.annotate(**{name: F("content_text")}).values(name),
    "annotate and order": lambda name: MemoryRecord.annotate(**{name: F("content_text")}).order_by(name),
    "annotate and group": lambda name: MemoryRecord.annotate(**{name: F("content_text")}).group_by(name).values(name),
    "values": lambda name: MemoryRecord.all().values(**{name: "content_text"}),
    "values of": lambda name: MemoryRecord.all().values(name),
    "values of another": lambda name: MemoryEmbedding.all().values(f"memory__{name}"),
    "values_list": lambda name: MemoryRecord.all().values_list(name),
    "values_list of another": lambda name: MemoryEmbedding.all().values_list(f"memory__{name}", flat=True),
    "only": lambda name: MemoryRecord.all().only(name),
    "only of another": lambda name: MemoryEmbedding.all().only(f"memory__{name}"),
    "order_by": lambda name: MemoryRecord.all().order_by(name),
    "order_by descending": lambda name: MemoryRecord.all().order_by(f"-{name}"),
    "order_by key": lambda name: MemoryRecord.all().order_by(f"metadata__{name}"),
    "order_by another": lambda name: MemoryEmbedding.all().order_by(f"memory__{name}"),
    "latest": lambda name: MemoryRecord.latest(name),
    "earliest": lambda name: MemoryRecord.earliest(name),
    "group_by": lambda name: MemoryRecord.all().group_by(name).values("content_text"),
    "group_by another": lambda name: MemoryEmbedding.all().group_by(f"memory__{name}").values("vector_id"),
    "select_related": lambda name: MemoryEmbedding.all().select_related(name),
    "select_related deep": lambda name: MemoryEmbedding.all().select_related(f"memory__{name}"),
    "prefetch_related": lambda name: MemoryRecord.all().prefetch_related(name),
    "prefetch_related deep": lambda name: MemoryRecord.all().prefetch_related(f"embeddings__{name}"),
    "Prefetch": lambda name: MemoryRecord.all().prefetch_related(Prefetch(name, MemoryEmbedding.all())),
    "Prefetch to": lambda name: MemoryRecord.all().prefetch_related(
        Prefetch("embeddings", MemoryEmbedding.all(), name)
    ),
    "select_for_update": lambda name: MemoryRecord.select_for_update(of=(name,)),
    "force_index": lambda name: MemoryRecord.all().force_index(name),
    "use_index": lambda name: MemoryRecord.all().use_index(name),
    "in_bulk": lambda name: MemoryRecord.in_bulk(["x"], name),
    "update": lambda name: MemoryRecord.all().update(**{name: "x"}),
    "update_or_create": lambda name: MemoryRecord.update_or_create({name: name}, content_text="of acme 1"),
    "create": lambda name: MemoryRecord.create(source_type="document", content_text=name, **_any({name: name})),
    "bulk_update": lambda name: _bulk_updated(name),
    "bulk_create": lambda name: MemoryRecord.bulk_create([_new()], update_fields=[name], on_conflict=["memory_id"]),
    "on_conflict": lambda name: MemoryRecord.bulk_create([_new()], update_fields=["agent_id"], on_conflict=[name]),
    "save": lambda name: _new().save(update_fields=[name]),
    "fetch_related": lambda name: _new().fetch_related(name),
    "fetch_for_list": lambda name: MemoryRecord.fetch_for_list([_new()], name),
    "refresh_from_db": lambda name: _refreshed(name),
    "explain": lambda name: MemoryRecord.all().explain(**_any({name: True})),
    "explain as": lambda name: MemoryRecord.all().explain(name),
    "union": lambda name: MemoryRecord.all().union(MemoryRecord.all()).order_by(name),
    "F": lambda name: MemoryRecord.all().update(agent_id=F(name)),
}


def _any(names: dict[str, Any]) -> Any:
    return names


def _new() -> MemoryRecord:
    return MemoryRecord(source_type="document", content_text="new")


async def _bulk_updated(name: str) -> int:
    return await MemoryRecord.bulk_update(await MemoryRecord.all(), [name])


async def _refreshed(name: str) -> None:
    memory = await MemoryRecord.all().first()
    assert memory is not None
    await memory.refresh_from_db([name])


@pytest.mark.parametrize("use", WITH_NAMES)
async def test_no_name_becomes_sql(attacker: Attacker, use: str) -> None:
    names = [
        name
        for hostile in HOSTILE
        for name in (hostile, f"content_text{hostile}", f'content_text" FROM memory_records --{hostile}')
    ]
    await attacker.tries((f"{use}: {name!r}", partial(WITH_NAMES[use], name)) for name in names)


@pytest.mark.parametrize("name", ["", "a b", "a'b", 'a"b', "a%s", "1a", "a\x00", "\ud800", "a" * 64, "ä" * 32, "a.b"])
async def test_a_name_that_is_no_identifier_is_refused(attacker: Attacker, name: str) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError, match=r"is not an identifier|is longer than 63 bytes"):
            MemoryRecord.annotate(**{name: F("agent_id")})
        with pytest.raises(InvalidInputError, match=r"is not an identifier|is longer than 63 bytes"):
            DataSource.all().values(**{name: "source_name"})


# --- what works with it -----------------------------------------------------------------------------------------

KEYS = ["it's", 'say "no"', "50%", "a.b", "$1", "{x}", "back\\slash", "--", "größe", "line\nbreak", "𝄞", " ", "", "0"]


@pytest.mark.parametrize("key", KEYS, ids=ascii)
async def test_any_key_of_json_can_be_asked_for(attacker: Attacker, key: str) -> None:
    async with tenant_scope("acme", agent_id="a"):
        memory = await MemoryRecord.create(
            source_type="document", content_text="k", metadata={key: {key: "yes", "n": 5}}
        )

        assert await MemoryRecord.filter(metadata__filter={f"{key}__{key}": "yes"}) == [memory]
        assert await MemoryRecord.filter(metadata__filter={f"{key}__n__gte": 5}) == [memory]
        assert await MemoryRecord.filter(metadata__filter={f"{key}__n__gt": 5}) == []
        found = MemoryRecord.annotate(there=F(f"metadata__{key}__{key}")).filter(there="yes").values_list("there")
        assert await found == [("yes",)]
        grouped = MemoryRecord.annotate(there=F(f"metadata__{key}__n"), number=functions.Count("memory_id"))
        assert await grouped.filter(there="5").group_by("there").values("there", "number") == [
            {"there": "5", "number": 1}
        ]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({"page": 1}, 2),
        ({"page": 1.0}, 2),
        ({"page": "1"}, 2),
        ({"page": True}, 0),
        ({"page__not": 1}, 0),
        ({"page__in": [1, 2]}, 2),
        ({"page__not_in": [1, 2]}, 0),
        ({"page__range": (0, 2)}, 2),
        ({"page__isnull": True}, 0),
        ({"gone__isnull": True}, 2),
        ({"gone": None}, 2),
        ({"gone__not": None}, 0),
        ({"page__not_isnull": True}, 2),
        ({"tags__0": "x"}, 2),
        ({"deep__er__icontains": "Y"}, 2),
        ({"deep__er__startswith": "%"}, 0),
    ],
    ids=repr,
)
async def test_conditions_on_json_keep_their_meaning(attacker: Attacker, condition: Any, found: int) -> None:
    async with tenant_scope("acme"):
        assert await MemoryRecord.filter(metadata__filter=condition).count() == found
        assert await MemoryEmbedding.filter(memory__metadata__filter=condition).count() == found


async def test_no_key_and_no_value_stays_on_the_connection(attacker: Attacker) -> None:
    """A shared connection's ``pg_prepared_statements`` tells nobody what others have looked for."""
    async with tenant_scope("acme", agent_id="a") as scope:
        word = "diagnosis"
        for query in (
            MemoryRecord.filter(metadata__filter={f"{word}__{word}": word}),
            MemoryRecord.annotate(there=F(f"metadata__{word}")).values("there"),
            MemoryRecord.filter(content_text=word).union(MemoryRecord.filter(metadata__filter={word: word})),
            MemoryRecord.filter(content_text=word).union(MemoryRecord.all()).count(),
            MemoryRecord.filter(content_text=word).explain(),
            MemoryRecord.annotate(there=Value({word: word})).values("there"),
            MemoryRecord.all().update(agent_id=functions.Concat("agent_id", word)),
            _saved(functions.Concat("agent_id", word)),
        ):
            await query
        texts = await scope.transaction.session.connection.fetch("SELECT statement FROM pg_prepared_statements")
    assert len(texts) > 5
    assert not [text for (text,) in texts if word in text]
