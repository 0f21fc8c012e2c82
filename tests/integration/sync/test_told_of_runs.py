"""What the rows of runs and sources tell: how far a run is, what was wrong with it, of when all is mirrored."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from tests.fixtures.gateways import Given, gateway
from tests.fixtures.lab import Lab
from versionsync.mirror.errors import DatabaseUnavailable
from versionsync.mirror.schema import events
from versionsync.mirror.tables.runs import RunRow, last_runs
from versionsync.mirror.tables.sources import load_source
from versionsync.sync import writer as writing
from versionsync.sync.lease import LeaseKeeper
from versionsync.sync.report import Outcome


def last(lab: Lab) -> RunRow:
    """The newest run."""
    return lab.mirror.query(last_runs)[0]


def whole(lab: Lab) -> object:
    """Of when the mirror is whole, as its source's row has it."""
    known = lab.mirror.query(lambda connection: load_source(connection, "website"))
    return None if known is None else known.checkpoint.complete_as_of


def test_the_total_is_what_upstream_counts(lab: Lab) -> None:
    """Whether all records are listed or only asked for what changed; a run that rests knows of none."""
    for title in ("one", "two", "three"):
        lab.act(lambda world, title=title: world.create(world.user, "post", {"title": title}))  # type: ignore[misc]
    lab.sync()
    assert (lab.progress.records_total, lab.progress.counts.records_swept) == (3, 3)
    lab.act(lambda world: world.create(world.user, "price", {"title": "four"}))
    lab.sync(quick_check_from=1)
    assert (lab.progress.records_total, lab.progress.counts.records_swept) == (4, 0)
    lab.sync(full=True)
    assert (lab.progress.records_total, lab.progress.counts.records_swept) == (4, 4)
    lab.sync()
    assert lab.progress.records_total is None


def test_it_is_whole_as_of_the_start_of_the_last_run_that_saw_all(lab: Lab) -> None:
    """Be it that nothing had changed. Histories read again or named by a webhook make nothing whole."""
    post = lab.act(lambda world: world.create(world.user, "post", {"title": "one"}))
    lab.sync()
    first = last(lab).started_at
    assert whole(lab) == first
    lab.act(lambda world: world.update(world.user, post.id, {"title": "two"}))
    lab.sync(record_ids=(post.id,))
    lab.sync(scrub=1)
    assert last(lab).outcome == "succeeded"
    assert whole(lab) == first
    lab.sync()
    assert whole(lab) == last(lab).started_at > first
    idle = lab.sync()
    assert idle.counts.requests == 1
    assert whole(lab) == last(lab).started_at


def test_a_run_that_fell_short_makes_nothing_whole(lab: Lab) -> None:
    lab.act(lambda world: world.create(world.user, "post", {"title": "one"}))
    lab.sync()
    before = whole(lab)
    lab.token = "another"
    assert lab.sync().outcome is Outcome.FAILED
    assert whole(lab) == before


def test_a_run_says_in_a_word_what_was_wrong_with_it(lab: Lab) -> None:
    """And nothing where nothing was."""
    ids = [lab.act(lambda world: world.create(world.user, "post", {"title": "x"})).id for _ in range(30)]
    lab.sync()
    assert last(lab).error_kind is None
    for id in ids[:15]:
        lab.act(lambda world, gone=id: world.delete(world.user, gone))
    lab.sync()
    assert last(lab).error_kind == "vanished"
    lab.token = "another"
    lab.sync()
    assert last(lab).error_kind == "refused"


def test_a_record_that_is_unknown_is_told_from_one_that_was_not_mirrored(lab: Lab) -> None:
    """The others are mirrored. As soon as one could not be, that is what was wrong with the run."""
    one, two = (lab.act(lambda world: world.create(world.user, "post", {"title": "x"})).id for _ in range(2))
    lab.sync()
    unknown = "AAAAAAAAQACAAAAAAAAAAA"
    report = lab.sync(record_ids=(one, unknown))
    assert (report.outcome, report.counts.records_pulled) == (Outcome.PARTIAL, 1)
    assert last(lab).error_kind == "unknown_record"
    direct, garbled = lab.spec, Given(200, '{"data": {"id": 5}}', {"Content-Type": "application/json"})
    with gateway(direct.base_url, instead=lambda path: garbled if path.startswith(f"/items/{two}") else None) as url:
        lab.spec = replace(direct, base_url=url)
        assert lab.sync(record_ids=(one, two, unknown)).outcome is Outcome.PARTIAL
    assert last(lab).error_kind == "partial"


def test_a_run_that_ends_without_a_word_has_told_how_far_it_came(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each transaction has its counts in it; the next run notes it as interrupted, and leaves them."""
    for number in range(6):
        lab.act(lambda world, title=str(number): world.create(world.user, "post", {"title": title}))

    async def never(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("it was killed")

    with monkeypatch.context() as patched:
        patched.setattr(writing, "BATCH_RECORDS", 2)
        patched.setattr(LeaseKeeper, "release", never)
        lab.sync()
    cut = last(lab)
    with lab.mirror.read() as connection:
        written = connection.scalar(select(func.count()).where(events.c.run_id == cut.id))
    assert cut.outcome == "running"
    assert cut.counts["records_pulled"] == cut.counts["versions_inserted"] == 6
    assert cut.counts["events_written"] == written
    assert cut.counts["requests"] > 6


def test_a_run_that_ends_without_a_word_has_told_of_the_schema_too(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its events come before anything is read, and may be all that it wrote."""
    lab.sync()
    lab.act(lambda world: world.create_model(world.account, "news"))

    async def never(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("it was killed")

    with monkeypatch.context() as patched:
        patched.setattr(LeaseKeeper, "release", never)
        lab.sync()
    cut = last(lab)
    assert (cut.outcome, cut.counts["events_written"]) == ("running", 1)
