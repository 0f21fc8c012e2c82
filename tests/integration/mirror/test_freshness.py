"""How fresh a source is, from its newest rows."""

from __future__ import annotations

from datetime import timedelta

from tests.integration.mirror.desk import Desk, Shown, at
from versionsync.mirror.freshness import Lag, RunSoFar, lag, run_so_far, whole_as_of
from versionsync.mirror.runs import finish_run, last_runs, start_run


def ended(desk: Desk, kind: str, outcome: str, began: float) -> None:
    """A run that ended."""
    with desk.mirror.write() as tx:
        id = start_run(tx, desk.lease, kind=kind, trigger="test", started_at=at(began))
        finish_run(tx, desk.lease, id, outcome=outcome, finished_at=at(began + 5), counts={})


def test_it_is_whole_as_of_the_start_of_the_last_run_that_saw_all(desk: Desk) -> None:
    """Histories read again or named by a webhook make nothing whole, nor do runs that fall short."""
    with desk.mirror.read() as connection:
        assert whole_as_of(connection, desk.lease.source_id) is None
    for kind, outcome, began in (
        ("backfill", "succeeded", 10),
        ("incremental", "succeeded", 20),
        ("incremental", "partial", 30),
        ("records", "succeeded", 40),
        ("scrub", "succeeded", 50),
    ):
        ended(desk, kind, outcome, began)
    with desk.mirror.read() as connection:
        assert whole_as_of(connection, desk.lease.source_id) == at(20)


def test_the_lag_is_from_upstreams_time_to_the_row(desk: Desk) -> None:
    """The desk looks a second after the other, at versions of the seconds before."""
    with desk.mirror.read() as connection:
        assert lag(connection, desk.lease.source_id) is None
    desk.look(Shown("v1", 991, "c"), id="one")  # at 1001
    desk.look(Shown("v2", 998, "c"), id="two")  # at 1002
    with desk.mirror.read() as connection:
        told = lag(connection, desk.lease.source_id)
    assert told == Lag(median=timedelta(seconds=4), ninth=timedelta(seconds=10), versions=2)


def test_what_came_with_a_backfill_was_no_lag(desk: Desk) -> None:
    with desk.mirror.write() as tx:
        desk.run_id = start_run(tx, desk.lease, kind="backfill", trigger="test", started_at=at(0))
    desk.look(Shown("v1", 10, "c"))
    with desk.mirror.read() as connection:
        assert lag(connection, desk.lease.source_id) is None


def test_a_run_that_is_under_way_is_as_far_as_its_rows(desk: Desk) -> None:
    desk.look(Shown("v1", 10, "c"), id="one")
    desk.look(Shown("v2", 10, "c"), id="two")
    with desk.mirror.read() as connection:
        (run,) = last_runs(connection, desk.lease.source_id)
        assert run_so_far(connection, run) == RunSoFar(records=2, events=6)
