"""``memory-guild demo``: remember Python's documentation, ask it, and walk through it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from memory_guild import demo as python_docs
from memory_guild.cli.console import errors, output
from memory_guild.database.connecting import connect
from memory_guild.errors import SchemaError, SearchNotInstalledError
from memory_guild.schema import upgrade
from memory_guild.settings import Settings
from memory_guild.tenancy import tenant_scope

MAX_HOPS = 3


def run(
    topic: Annotated[
        str, typer.Option(help="Where the walk starts: a name of the standard library or a topic of help().")
    ] = ("with"),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before writing into the configured database.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Delete what the demonstration has stored.")] = False,
) -> None:
    """Store the documentation that comes with Python as memories, ask it three questions, and walk three hops of edges.

    Nothing is downloaded. A second run stores nothing new. If MEMORY_GUILD_DATABASE_URL names a database in which the
    demonstration has not run before, it asks first; the questions need `memory-guild upgrade --search` there.
    """
    if remove:
        output.print(f"memories deleted   {asyncio.run(_remove()):>7,}")
        return
    with errors.status("Reading Python's documentation …"):
        corpus = python_docs.read()
    if topic not in corpus.subjects:
        similar = ", ".join(corpus.similar_subjects(topic)) or "with, asyncio.Queue, collections.Counter"
        raise typer.BadParameter(f"no memory is about {topic!r}; try one of: {similar}", param_hint="--topic")
    if not yes:
        _ask_before_writing()
    started = time.perf_counter()
    stored, answers, steps = asyncio.run(_store_ask_and_walk(corpus, topic))
    _print_counts(corpus, stored, time.perf_counter() - started)
    _print_answers(answers)
    _print_walk(steps)


def _ask_before_writing() -> None:
    configured = Settings.from_environment().database_url
    if configured is not None and not asyncio.run(_has_run_before()):
        typer.confirm(
            f"Store several thousand memories of the tenant {python_docs.TENANT_ID!r} in {configured}?",
            abort=True,
            err=True,
        )


async def _has_run_before() -> bool:
    try:
        async with connect():
            return await python_docs.is_stored()
    except SchemaError:
        return False  # there are no tables yet


async def _remove() -> int:
    async with connect():
        return await python_docs.remove()


async def _store_ask_and_walk(
    corpus: python_docs.Corpus, topic: str
) -> tuple[python_docs.StoredCorpus, dict[str, list[python_docs.Answer]], list[python_docs.Step]]:
    with errors.status("Preparing the database …"):
        # The search changes a database for all who use it: in one that is configured, its owner decides.
        await upgrade(search=Settings.from_environment().database_url is None)
    async with connect():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=errors) as progress:
            task = progress.add_task("Remembering", total=len(corpus.passages) + len(corpus.references))
            stored = await python_docs.store(corpus, progress=lambda done: progress.update(task, completed=done))
        async with tenant_scope(python_docs.TENANT_ID):
            steps = await python_docs.walk(stored.memory_ids[topic], max_hops=MAX_HOPS)
        answers = {}
        with suppress(SearchNotInstalledError):
            async with tenant_scope(python_docs.TENANT_ID):
                answers = {question: await python_docs.ask(question) for question in python_docs.QUESTIONS}
        return stored, answers, steps


def _print_counts(corpus: python_docs.Corpus, stored: python_docs.StoredCorpus, seconds: float) -> None:
    if not corpus.has_topics:
        output.print("This Python was installed without the topics of help(), so only docstrings are stored.")
    if stored.stored or stored.new_edges:
        output.print(f"memories stored    {stored.stored:>7,}")
    else:
        output.print(
            f"Nothing new: all {stored.already_there:,} memories and {stored.edges:,} edges are stored already."
        )
    if stored.stored and stored.already_there:
        output.print(f"already there      {stored.already_there:>7,}")
    output.print(f"duplicates merged  {stored.merged:>7,}")
    output.print(f"edges              {stored.edges:>7,}")
    output.print(f"seconds            {seconds:>7.1f}")


def _print_answers(answers: dict[str, list[python_docs.Answer]]) -> None:
    if not answers:
        output.print("\nTo see it recall, run `memory-guild upgrade --search`, and this again.")
    for question, found in answers.items():
        output.print(f"\n{question}")
        for answer in found:
            words = ", ".join([*answer.own_words, *(f"{word} (a neighbor's)" for word in answer.neighbor_words)])
            output.print(
                f"  {answer.score:.2f} [bold]{escape(answer.subject)}[/]  [dim]{escape(words)}[/]", highlight=False
            )


def _print_walk(steps: list[python_docs.Step]) -> None:
    if not steps:
        output.print("\nThe memory that the walk starts from is forgotten.")
        return
    output.print(f"\n{MAX_HOPS} hops from {escape(steps[0].subject)}: depth, subject, confidence and path")
    for step in steps:
        line = f"{'  ' * step.depth}{step.depth} [bold]{escape(step.subject)}[/]"
        if step.confidence is not None:
            line += f"  [dim]{step.confidence:.2f}  {escape(' → '.join(step.path))}[/]"
        output.print(line, highlight=False)
