"""What keeps the mirror fast and small: indexes for the questions people ask, statistics in time, bounded memory."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator, Mapping

import pytest
from sqlalchemy import text

from tests.integration.mirror.writing import Desk, Shown
from versionsync.ledger.ids import VersionId
from versionsync.mirror.apply import apply
from versionsync.mirror.tables.runs import finish_run

MANY = [Shown(f"v{number}", number, "c" if number == 1199 else "") for number in range(1200)]
QUESTIONS = {
    "versions of a record": (
        "SELECT id FROM versions WHERE source_id = 1 AND record_id = 'r' ORDER BY ordinal",
        "versions_of_record",
    ),
    "versions of a model by time": (
        "SELECT id FROM versions WHERE source_id = 1 AND model_id = 'm' ORDER BY created_at DESC LIMIT 10",
        "versions_of_model",
    ),
    "versions by an editor": (
        "SELECT id FROM versions WHERE source_id = 1 AND editor_type = 'user' AND editor_id = '7' ORDER BY created_at",
        "versions_by_editor",
    ),
    "events after an id": (
        "SELECT key FROM events WHERE source_id = 1 AND id > 7 ORDER BY id LIMIT 10",
        "events_in_order|pk_events",  # with one source the primary key is as good
    ),
    "events of a record": ("SELECT key FROM events WHERE source_id = 1 AND record_id = 'r'", "events_of_record"),
    "an event by its key": (
        "SELECT id FROM events WHERE source_id = 1 AND record_id = 'r' AND key = 'k'",
        "events_of_record.*key *=",
    ),
    "an event of the schema by its key": (
        "SELECT id FROM events WHERE source_id = 1 AND record_id IS NULL AND key = 'k'",
        "events_without_record|events_of_record.*key *=",
    ),
    "the time in which a version was the newest": (
        "SELECT current_until FROM version_timeline WHERE source_id = 1 AND version_id = 'v'",
        "superseded USING INDEX events_of_record .*key>|events_of_record on events superseded.*key.* >= ",
    ),
    "the timeline of a record": (
        "SELECT current_from FROM version_timeline WHERE source_id = 1 AND record_id = 'r'",
        "latest USING INDEX events_of_record .*key>|events_of_record on events latest.*key.* >= ",
    ),
    "what was live at a time": (
        "SELECT id FROM versions WHERE source_id = 1 AND published_from <= '2026-01-01T00:00:00.000000Z' "
        "AND (published_until IS NULL OR published_until > '2026-01-01T00:00:00.000000Z')",
        "versions_live_at",
    ),
    "publications of a record": (
        "SELECT * FROM publications WHERE source_id = 1 AND record_id = 'r'",
        "SEARCH events USING|Scan (?:using|on) events_of_record.*record_id = 'r'",
    ),
    "the records read longest ago": (
        "SELECT id FROM records WHERE source_id = 1 ORDER BY synced_at LIMIT 10",
        "records_by_synced_at",
    ),
    "records that are scheduled": (
        "SELECT id FROM records WHERE source_id = 1 AND publication_scheduled_at "
        "BETWEEN '2026-01-01T00:00:00.000000Z' AND '2026-01-02T00:00:00.000000Z'",
        "records_to_be_published",
    ),
    "fields of a model": (
        "SELECT id FROM fields WHERE source_id = 1 AND model_id = 'm' ORDER BY position",
        "fields_of_model",
    ),
}


@pytest.mark.parametrize(("question", "index"), QUESTIONS.values(), ids=QUESTIONS.keys())
def test_a_question_that_people_ask_has_an_index(desk: Desk, question: str, index: str) -> None:
    """And both databases find it, once they have seen that there are few sources."""
    desk.look(*MANY)
    with desk.mirror.read() as connection:
        if desk.mirror.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {question}").all()
        else:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_sort = off")
            plan = connection.exec_driver_sql(f"EXPLAIN {question}").all()
    assert re.search(index, " ".join(row[-1] for row in plan)), plan


def test_the_database_knows_its_tables_after_the_first_large_writing(desk: Desk) -> None:
    """PostgreSQL would otherwise check foreign keys by the source alone, more slowly for each row."""
    desk.look(*MANY)
    if desk.mirror.dialect.name == "postgresql":
        assert desk.rows("SELECT reltuples >= 1000 FROM pg_class WHERE relname IN ('versions', 'events')") == [
            (True,),
            (True,),
        ]
    with desk.mirror.write() as tx:
        finish_run(
            tx, desk.lease, desk.run_id, outcome="succeeded", finished_at=desk.now(), counts={"versions_inserted": 1200}
        )
    if desk.mirror.dialect.name == "sqlite":
        plan = desk.rows("EXPLAIN QUERY PLAN SELECT id FROM events WHERE record_id = 'r1'")
        assert "events_of_record" in str(plan)


def test_large_contents_do_not_sit_in_memory(desk: Desk) -> None:
    """A history of any length is written in pieces."""
    size, number = 300_000, 300

    class OnDisk(Mapping[VersionId, bytes]):
        def __getitem__(self, id: VersionId) -> bytes:
            return b'{"text": "' + b"x" * size + b'"}'

        def __iter__(self) -> Iterator[VersionId]:
            raise AssertionError

        def __len__(self) -> int:
            raise AssertionError

    now = desk.now()
    shown = [Shown(f"v{place}", place, "c" if place == number - 1 else "") for place in range(number)]
    plan = desk.plan(shown, now=now)
    tracemalloc.start()
    try:
        with desk.mirror.write() as tx:
            apply(tx, desk.lease, [plan], OnDisk(), observed_at=now, run_id=desk.run_id)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert desk.rows("SELECT count(*) FROM versions") == [(number,)]
    assert peak < 30 * 1024 * 1024 < size * number


def test_a_written_record_is_found_by_plain_sql(desk: Desk) -> None:
    """JSON functions work on what is stored, on either database."""
    desk.look(Shown("a", 1, "c", b'{"title": "found \\u00e9", "n": 1.50}'))
    query = (
        "SELECT json_extract(attributes, '$.title') FROM versions"
        if desk.mirror.dialect.name == "sqlite"
        else "SELECT attributes ->> 'title' FROM versions"
    )
    assert desk.rows(query) == [("found é",)]
    with desk.mirror.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM versions WHERE is_current")) == 1
