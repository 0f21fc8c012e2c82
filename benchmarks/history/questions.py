"""What questions to the history cost, in a mirror of many records: how long they take, and how many rows a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice

from sqlalchemy import text

from benchmarks.databases import Database, Databases
from benchmarks.history.edited_mirror import START, build_edited, delete_records
from benchmarks.tables import Table, thousands
from versionsync import open_mirror
from versionsync.history.projections.filling import FillState, ProjectionFiller
from versionsync.mirror.database import Mirror

__all__ = ["measure"]

VERSIONS = 10
BYTES = 1_000
TRIES = 5
SHOWN = 50
RECORD = "record-0000000000000007"
Question = Callable[[], Iterator[object]]


def measure(databases: Databases, *, small: bool, large: bool) -> list[Table]:
    """One table: each question, on both databases. A large run has a million versions and takes half an hour."""
    records = 1_000 if small else 100_000 if large else 10_000
    answers: dict[str, list[str]] = {}
    for database in databases.both():
        _build(database, records)
        for name, cells in _ask(database).items():
            answers.setdefault(name, []).extend(cells)
    return [
        Table(
            f"Questions to {thousands(records * VERSIONS)} versions of {thousands(records)} records",
            ("question", "SQLite", "rows/s", "PostgreSQL", "rows/s"),
            [[name, *cells] for name, cells in answers.items()],
            (
                f"The median of {TRIES}, up to the first row. A question without rows/s: up to the last of {SHOWN}. "
                "A version has 1 KB.",
            ),
        )
    ]


def _build(database: Database, records: int) -> None:
    """Make the mirror, delete every hundredth record, leave a draft of every fiftieth, and fill the projections."""
    source = build_edited(database.url, records=records, versions=VERSIONS, bytes_per_version=BYTES)
    with Mirror.open(database.url) as mirror:
        delete_records(mirror, source, range(0, records, 100))
        with mirror.write() as tx:
            drafts = "UPDATE records SET status = 'draft', published_version_id = NULL WHERE id LIKE '%50'"
            tx.execute(text(drafts))
        filler = ProjectionFiller(mirror, source)
        while filler.fill_batch().state is FillState.MORE:
            pass


def _ask(database: Database) -> dict[str, list[str]]:
    """Return for each question how long it takes, and the rows a second of those with an answer of any length."""
    noon = START + timedelta(days=365)
    with open_mirror(database.url) as mirror:
        mirror.record(RECORD)  # connects
        return {
            "what was live at a moment": _stream(lambda: mirror.as_of(noon, published=True, content=False)),
            "the same with contents": _stream(lambda: mirror.as_of(noon, published=True)),
            "one record at a moment": _one(lambda: mirror.as_of(noon, RECORD)),
            "the log of a record": _one(lambda: mirror.versions(RECORD)),
            "what waits to go live": _one(lambda: mirror.pending(limit=SHOWN)),
            "what was deleted": _one(lambda: mirror.deleted()),
        }


def _one(question: Question) -> list[str]:
    return [_median(lambda: _seconds(question, SHOWN)), ""]


def _stream(question: Question) -> list[str]:
    began = time.perf_counter()
    rows = sum(1 for _ in question())
    return [_median(lambda: _seconds(question, 1)), thousands(rows / (time.perf_counter() - began))]


def _seconds(question: Question, rows: int) -> float:
    began = time.perf_counter()
    answer = question()
    if not list(islice(answer, rows)):
        raise ValueError("a question without an answer measures nothing")
    seconds = time.perf_counter() - began
    del answer  # ends the query
    return seconds


def _median(measured: Callable[[], float]) -> str:
    return f"{1000 * sorted(measured() for _ in range(TRIES))[TRIES // 2]:.1f} ms"
