"""What a search costs: how long it takes, how many bytes its index has, and how fast it is filled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice

from benchmarks.databases import Database, Databases
from benchmarks.history.edited_mirror import build_edited
from benchmarks.tables import Table, thousands
from versionsync import open_mirror
from versionsync.api import Hit, Mirror
from versionsync.history.projections.filling import FillState, ProjectionFiller
from versionsync.mirror.database import Mirror as Mirrored

__all__ = ["measure"]

VERSIONS = 10
BYTES = 1_000
TRIES = 5
SHOWN = 50
RECORD = "record-0000000000000007"
Question = Callable[[Mirror], Iterator[Hit]]

QUESTIONS: dict[str, Question] = {
    "a phrase": lambda mirror: mirror.grep("old fish market"),
    "a rare word": lambda mirror: mirror.grep("7", field="title"),
    "a word in most paragraphs": lambda mirror: mirror.grep("the"),
    "two words": lambda mirror: mirror.grep("lighthouse", "volunteers"),
    "the beginning of a word": lambda mirror: mirror.grep("volunt*"),
    "a phrase in a record": lambda mirror: mirror.grep("the", record=RECORD),
    "first version with a rare word": lambda mirror: mirror.grep("article 77", find="first"),
    "versions that removed a rare phrase": lambda mirror: mirror.grep("article 77 edition 0", find="removed"),
}


def measure(databases: Databases, *, small: bool, large: bool) -> list[Table]:
    """Two tables: the questions, and the index. A large run has a million versions and takes an hour."""
    records = 1_000 if small else 100_000 if large else 10_000
    answers: dict[str, list[str]] = {name: [] for name in QUESTIONS}
    index = []
    for database in databases.both():
        source = build_edited(database.url, records=records, versions=VERSIONS, bytes_per_version=BYTES)
        index.append([database.kind, *_fill(database, source, records * VERSIONS)])
        with open_mirror(database.url) as mirror:
            for name, question in QUESTIONS.items():
                answers[name].append(_median(lambda asked=question: _seconds(mirror, asked)))  # type: ignore[misc]
    title = f"{thousands(records * VERSIONS)} versions of {thousands(records)} records"
    return [
        Table(
            f"Searches in {title}",
            ("question", "SQLite", "PostgreSQL"),
            [[name, *cells] for name, cells in answers.items()],
            (f"The median of {TRIES}, up to the first {SHOWN} hits. The aim is 300 ms. A version has 1 KB.",),
        ),
        Table(
            f"The full-text index of {title}",
            ("database", "bytes a version", "versions for a CPU second", "CPU ms of the server"),
            index,
            ("Each version changes a few words of a paragraph. The bytes are those of `passages` and its indexes.",),
        ),
    ]


def _fill(database: Database, source: int, versions: int) -> list[str]:
    """Fill the other projections, then the index; return what the index costs."""
    with Mirrored.open(database.url) as mirror:
        filler, cpu, before, server = ProjectionFiller(mirror, source), 0.0, 0, 0.0
        indexed = 0
        while True:
            began = time.process_time()
            filled = filler.fill_batch()
            if filled.indexed and not indexed:
                before, server = database.settled_size(), database.server_seconds()
            indexed += filled.indexed
            cpu += (time.process_time() - began) * bool(filled.indexed)
            if filled.state is not FillState.MORE:
                break
    server = database.server_seconds() - server
    room = database.settled_size() - before
    return [
        thousands(room / versions),
        thousands(indexed / cpu),
        f"{1000 * server / versions:.2f}" if server else "",
    ]


def _seconds(mirror: Mirror, question: Question) -> float:
    began = time.perf_counter()
    answer = question(mirror)
    if not list(islice(answer, SHOWN)):
        raise ValueError("a question without an answer measures nothing")
    seconds = time.perf_counter() - began
    del answer  # ends the query
    return seconds


def _median(measured: Callable[[], float]) -> str:
    return f"{1000 * sorted(measured() for _ in range(TRIES))[TRIES // 2]:.1f} ms"
