"""How long changes take to come in, from the newest rows."""

from __future__ import annotations

from datetime import timedelta

from tests.integration.mirror.writing import Desk, Shown, at
from versionsync.mirror.row_counts import LagQuantiles, lags
from versionsync.mirror.tables.runs import start_run


def test_the_lag_is_from_upstreams_time_to_the_row(desk: Desk) -> None:
    """The desk looks a second after the other, at versions of the seconds before."""
    with desk.mirror.read() as connection:
        assert lags(connection, [desk.lease.source_id]) == {}
    desk.look(Shown("v1", 991, "c"), id="one")  # at 1001
    desk.look(Shown("v2", 998, "c"), id="two")  # at 1002
    with desk.mirror.read() as connection:
        told = lags(connection, [desk.lease.source_id])
    expected = LagQuantiles(p50=timedelta(seconds=4), p90=timedelta(seconds=10), versions=2)
    assert told == {desk.lease.source_id: expected}


def test_what_came_with_a_backfill_was_no_lag(desk: Desk) -> None:
    with desk.mirror.write() as tx:
        desk.run_id = start_run(tx, desk.lease, kind="backfill", trigger="test", started_at=at(0))
    desk.look(Shown("v1", 10, "c"))
    with desk.mirror.read() as connection:
        assert lags(connection, [desk.lease.source_id]) == {}
