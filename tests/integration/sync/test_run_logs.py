"""The rows of runs and sources: how far a run is, why it failed, and up to when everything is mirrored."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from tests.fixtures.fake_upstreams import Given, gateway
from tests.fixtures.sync_env import SyncEnv
from versionsync.mirror.errors import DatabaseUnavailable
from versionsync.mirror.schema import events
from versionsync.mirror.tables.runs import RunRow, last_runs
from versionsync.mirror.tables.sources import load_source
from versionsync.sync.lease_renewal import LeaseKeeper
from versionsync.sync.report import Outcome
from versionsync.sync.run_limits import Limits


def last(sync_env: SyncEnv) -> RunRow:
    """The newest run."""
    return sync_env.mirror.query(last_runs)[0]


def whole(sync_env: SyncEnv) -> object:
    """Of when the mirror is whole, as its source's row has it."""
    known = sync_env.mirror.query(lambda connection: load_source(connection, "website"))
    return None if known is None else known.checkpoint.complete_as_of


def test_the_total_is_what_upstream_counts(sync_env: SyncEnv) -> None:
    """Whether all records are listed or only asked for what changed; a skipped run knows none."""
    for title in ("one", "two", "three"):
        sync_env.act(lambda world, title=title: world.create(world.user, "post", {"title": title}))  # type: ignore[misc]
    sync_env.sync()
    assert (sync_env.progress.records_total, sync_env.progress.counts.records_swept) == (3, 3)
    sync_env.act(lambda world: world.create(world.user, "price", {"title": "four"}))
    sync_env.sync(quick_check_from=1)
    assert (sync_env.progress.records_total, sync_env.progress.counts.records_swept) == (4, 0)
    sync_env.sync(full=True)
    assert (sync_env.progress.records_total, sync_env.progress.counts.records_swept) == (4, 4)
    sync_env.sync()
    assert sync_env.progress.records_total is None


def test_it_is_whole_as_of_the_start_of_the_last_run_that_saw_all(sync_env: SyncEnv) -> None:
    """Be it that nothing had changed. Histories read again or named by a webhook make nothing whole."""
    post = sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"}))
    sync_env.sync()
    first = last(sync_env).started_at
    assert whole(sync_env) == first
    sync_env.act(lambda world: world.update(world.user, post.id, {"title": "two"}))
    sync_env.sync(record_ids=(post.id,))
    sync_env.sync(scrub=1)
    assert last(sync_env).outcome == "succeeded"
    assert whole(sync_env) == first
    sync_env.sync()
    assert whole(sync_env) == last(sync_env).started_at > first
    idle = sync_env.sync()
    assert idle.counts.requests == 1
    assert whole(sync_env) == last(sync_env).started_at


def test_a_run_that_fell_short_makes_nothing_whole(sync_env: SyncEnv) -> None:
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "one"}))
    sync_env.sync()
    before = whole(sync_env)
    sync_env.token = "another"
    assert sync_env.sync().outcome is Outcome.FAILED
    assert whole(sync_env) == before


def test_a_run_says_in_a_word_what_was_wrong_with_it(sync_env: SyncEnv) -> None:
    """And nothing where nothing was."""
    ids = [sync_env.act(lambda world: world.create(world.user, "post", {"title": "x"})).id for _ in range(30)]
    sync_env.sync()
    assert last(sync_env).error_kind is None
    for id in ids[:15]:
        sync_env.act(lambda world, deleted=id: world.delete(world.user, deleted))
    sync_env.sync()
    assert last(sync_env).error_kind == "mass_delete"
    sync_env.token = "another"
    sync_env.sync()
    assert last(sync_env).error_kind == "refused"


def test_a_record_that_is_unknown_is_told_from_one_that_was_not_mirrored(sync_env: SyncEnv) -> None:
    """The others are mirrored. As soon as one could not be, that is what was wrong with the run."""
    one, two = (sync_env.act(lambda world: world.create(world.user, "post", {"title": "x"})).id for _ in range(2))
    sync_env.sync()
    unknown = "AAAAAAAAQACAAAAAAAAAAA"
    report = sync_env.sync(record_ids=(one, unknown))
    assert (report.outcome, report.counts.records_pulled) == (Outcome.PARTIAL, 1)
    assert last(sync_env).error_kind == "unknown_record"
    direct, garbled = sync_env.spec, Given(200, '{"data": {"id": 5}}', {"Content-Type": "application/json"})
    with gateway(direct.base_url, instead=lambda path: garbled if path.startswith(f"/items/{two}") else None) as url:
        sync_env.spec = replace(direct, base_url=url)
        assert sync_env.sync(record_ids=(one, two, unknown)).outcome is Outcome.PARTIAL
    assert last(sync_env).error_kind == "partial"


def test_a_run_that_ends_without_a_word_has_told_how_far_it_came(
    sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each transaction has its counts in it; the next run notes it as interrupted, and leaves them."""
    for number in range(6):
        sync_env.act(lambda world, title=str(number): world.create(world.user, "post", {"title": title}))

    async def never(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("it was killed")

    sync_env.limits = Limits(batch_records=2)
    with monkeypatch.context() as patched:
        patched.setattr(LeaseKeeper, "release", never)
        sync_env.sync()
    cut = last(sync_env)
    with sync_env.mirror.read() as connection:
        written = connection.scalar(select(func.count()).where(events.c.run_id == cut.id))
    assert cut.outcome == "running"
    assert cut.counts["records_pulled"] == cut.counts["versions_inserted"] == 6
    assert cut.counts["events_written"] == written
    assert cut.counts["requests"] > 6


def test_a_run_that_ends_without_a_word_has_told_of_the_schema_too(
    sync_env: SyncEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its events come before anything is read, and may be all that it wrote."""
    sync_env.sync()
    sync_env.act(lambda world: world.create_model(world.account, "news"))

    async def never(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("it was killed")

    with monkeypatch.context() as patched:
        patched.setattr(LeaseKeeper, "release", never)
        sync_env.sync()
    cut = last(sync_env)
    assert (cut.outcome, cut.counts["events_written"]) == ("running", 1)
