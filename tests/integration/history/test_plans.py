"""No question whose answer may be small reads a whole table that grows with the project. Plans of SQLite."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from tests.fixtures.news_site import NOON, MakeNewsSite, news_site
from tests.integration.cli.mirror_queries import rows
from versionsync.api import Mirror
from versionsync.mirror.database import Mirror as Database

__all__ = ["news_site"]

GROWING = "versions|records|events|intervals|changes|titles|passages"
SCAN = re.compile(rf"SCAN (?:{GROWING})\b")
ALL_OF_SOURCE = re.compile(rf"SEARCH (?:{GROWING}) USING .*\(source_id=\?\)$")
"""Every row of the source: as bad as a scan, unless the index has only a few rows."""
PARTIAL = (
    "records_pending",
    "records_deleted",
    "records_to_be_published",
    "records_to_be_unpublished",
    "events_in_order",
    "events_without_record",
)
SINCE = NOON - timedelta(days=2)

Ask = Callable[[Mirror], Iterable[object]]

QUESTIONS: dict[str, Ask] = {
    "a record by id": lambda mirror: [mirror.record(next(mirror.deleted()).record_id)],
    "a record by the beginning of its id": lambda mirror: [mirror.record(next(mirror.deleted()).record_id[:12])],
    "a record by title": lambda mirror: [mirror.record("Imprint")],
    "a version": lambda mirror: [mirror.version(str(next(mirror.pending()).version_id))],
    "a version to show": lambda mirror: [mirror.shown("Imprint")],
    "a diff": lambda mirror: [mirror.diff("Imprint")],
    "blame": lambda mirror: mirror.blame("Imprint"),
    "log of a record": lambda mirror: mirror.versions("Imprint"),
    "log of a model": lambda mirror: mirror.versions(model="page"),
    "log of an editor": lambda mirror: mirror.versions(editor="Ben Writer"),
    "log of a time": lambda mirror: mirror.versions(since=SINCE),
    "life of a field": lambda mirror: mirror.versions("Imprint", field="sections"),
    "lives of a field": lambda mirror: mirror.versions(model="page", field="sections"),
    "as of, a record": lambda mirror: mirror.as_of(NOON, "Imprint"),
    "as of, a model": lambda mirror: mirror.as_of(NOON, model="page", published=True),
    "as of, as known": lambda mirror: mirror.as_of(NOON, model="page", known_at=NOON),
    "changes": lambda mirror: mirror.changes(SINCE),
    "pending": lambda mirror: mirror.pending(),
    "deleted": lambda mirror: mirror.deleted(),
    "deleted since": lambda mirror: mirror.deleted(since=SINCE),
    "deleted of a model": lambda mirror: mirror.deleted(model="article", until=NOON + timedelta(days=1)),
    "a phrase": lambda mirror: mirror.grep("forgotten map"),
    "a phrase of a model": lambda mirror: mirror.grep("map", model="article", since=SINCE - timedelta(days=60)),
    "a phrase of a record": lambda mirror: mirror.grep("imprint", record="Imprint"),
    "a phrase in its first versions": lambda mirror: mirror.grep("map", find="first"),
    "a phrase that was removed": lambda mirror: mirror.grep("map", find="removed"),
    "a regular expression": lambda mirror: mirror.grep(regex="[Ii]mprint", model="page"),
    "events of a record": lambda mirror: mirror.events(record="Imprint"),
    "events since": lambda mirror: mirror.events(since=SINCE),
    "acts": lambda mirror: mirror.event_reader().start_before_last_acts(5),
}


STATISTICS = {
    "old": "SELECT 1",
    "none": "DELETE FROM sqlite_stat1",
    "new": "ANALYZE",
}
"""What SQLite knows of the tables. It must not depend on that: a mirror grows faster than it is analyzed."""


@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_reads_no_whole_table(
    question: str, statistics: str, news_site: MakeNewsSite, tmp_path: Path
) -> None:
    path = shutil.copy(news_site("sqlite").url.removeprefix("sqlite:///"), tmp_path / "copy.db")
    rows(path, STATISTICS[statistics])
    url = f"sqlite:///{path}"
    with Database.open(url) as database, Database.open(url) as other:
        plans = dict[str, list[str]]()

        def explain(_c: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
            if statement.startswith(("SELECT", "WITH")):
                with other.read() as connection:
                    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
                    plans[statement] = [row[3] for row in rows]

        event.listen(database._engine, "before_cursor_execute", explain)
        event.listen(database._reader, "before_cursor_execute", explain)
        assert list(QUESTIONS[question](Mirror(database, now=lambda: NOON + timedelta(hours=2))))
    assert plans
    for statement, plan in plans.items():
        for line in plan:
            is_whole = SCAN.search(line) or (ALL_OF_SOURCE.search(line) and not any(name in line for name in PARTIAL))
            assert not is_whole, f"{line}\n{statement}"
