"""What needs attention of a source: by its runs, its age, its daemon and its budget."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from versionsync.cli.attention import SourceStatus, ago, problems
from versionsync.cli.exit_codes import ExitCode
from versionsync.daemon.budget import Budget, BudgetStatus
from versionsync.errors import ErrorKind
from versionsync.mirror.holder import Holder
from versionsync.mirror.status import LagQuantiles, SourceCounts
from versionsync.mirror.tables.daemons import ActiveDaemon
from versionsync.mirror.tables.leases import HeldLease
from versionsync.mirror.tables.runs import RunRow
from versionsync.mirror.tables.sources import Checkpoint, Project, SourceRow
from versionsync.mirror.tables.webhooks import SILENT_AFTER_CHANGES, WebhookRow

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
SOMEBODY = Holder("elsewhere", 12)
LIMIT = timedelta(seconds=150)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def run(
    outcome: str, *, id: int = 1, began: timedelta = MINUTE, error: str | None = None, kind: str | None = None
) -> RunRow:
    finished = None if outcome == "running" else NOW - began
    return RunRow(
        id=id,
        source_id=1,
        kind="incremental",
        trigger="test",
        holder=str(SOMEBODY),
        started_at=NOW - began,
        finished_at=finished,
        outcome=outcome,
        counts={"requests": 1},
        error=error,
        error_kind=kind,
    )


def follower(*, silent: timedelta | None = None) -> ActiveDaemon:
    """One that is there, or that has been silent for so long."""
    return ActiveDaemon(
        holder=SOMEBODY,
        expires_at=NOW + MINUTE if silent is None else NOW - silent,
        is_expired=silent is not None,
        next_check_at=NOW,
        next_check_reason="nothing has changed for 60 s",
    )


def one(*runs: RunRow, fresh: timedelta | None = MINUTE, **known: Any) -> SourceStatus:
    """A source of which the mirror is whole as of `fresh` ago."""
    at = None if fresh is None else NOW - fresh
    checkpoint = Checkpoint(
        last_data_change_at=None,
        last_data_change_is_settled=True,
        last_complete_sweep_at=at,
        last_scrub_at=None,
        last_success_at=at,
        complete_as_of=at,
    )
    project = Project(id="1", name="x", environment="main", follows_primary=True, base_url="http://x")
    source = SourceRow(id=1, name="website", project=project, checkpoint=checkpoint, created_at=NOW)
    nothing = SourceCounts(models=0, records=0, records_deleted=0, versions=0, versions_missing=0, events=0)
    lease = HeldLease(1, 1, SOMEBODY, NOW + MINUTE, False)
    if runs and runs[0].outcome == "running":
        known = {"lease": lease} | known
    defaults = {"standing": nothing, "followed_limit": LIMIT}
    return SourceStatus(source=source, runs=runs, **defaults | known)


def told(status: SourceStatus, max_age: timedelta | None = None) -> list[str]:
    return [remark.text for remark in problems(status, NOW, max_age=max_age)]


def webhook(**known: Any) -> WebhookRow:
    """One that is received, and told something a minute ago."""
    well = {"receives": True, "last_call_at": NOW - MINUTE, "log": "absent", "log_read_at": None, "untold": 0}
    return WebhookRow(**well | {"gaps": 0, "last_gap_at": None, "waiting": 0} | known)


def test_a_source_that_is_fresh_needs_none() -> None:
    assert told(one(run("succeeded"))) == []
    assert told(one(run("succeeded"), follower=follower())) == []


def test_one_failure_is_told_where_nobody_tries_again() -> None:
    """Where a daemon does, from the second one on."""
    failed = run("failed", error="no such host")
    assert told(one(failed, run("succeeded"))) == ["the last run failed: no such host"]
    assert told(one(failed, run("succeeded"), follower=follower())) == []
    assert told(one(failed, run("partial"), follower=follower())) == ["the last run failed: no such host"]


@pytest.mark.parametrize(
    ("kind", "exit"),
    [
        ("refused", ExitCode.UPSTREAM_REFUSED),
        ("unavailable", ExitCode.UPSTREAM_UNAVAILABLE),
        ("stalled", ExitCode.UPSTREAM_UNAVAILABLE),
        ("database", ExitCode.DATABASE),
        ("settings", ExitCode.USAGE),
        ("vanished", ExitCode.PARTIAL),
        ("unexpected", ExitCode.UNEXPECTED),
        (None, ExitCode.PARTIAL),
    ],
)
def test_a_failure_is_told_by_the_code_that_a_sync_would_have_ended_with(kind: str | None, exit: ExitCode) -> None:
    """That of an older program's run is not known."""
    failed = one(run("failed", kind=kind), fresh=DAY * 2)
    assert [remark.exit for remark in problems(failed, NOW)] == [exit, ExitCode.PARTIAL]


def test_a_run_that_was_asked_for_an_unknown_record_does_not_count() -> None:
    """Neither as a failure, nor as a success after one, nor as the second failure in a row."""
    unknown = run("partial", kind=ErrorKind.UNKNOWN_RECORD)
    assert told(one(unknown, run("succeeded"))) == []
    assert told(one(unknown, unknown, run("succeeded"), follower=follower())) == []
    assert told(one(unknown, run("failed", error="no such host"))) == ["the last run failed: no such host"]
    assert told(one(run("failed"), unknown, run("succeeded"), follower=follower())) == []


def test_a_webhook_that_tells_nothing_any_more_is_told() -> None:
    """Where it should: one that nobody receives and whose log is not read leaves nothing untold."""
    followed = {"follower": follower()}
    silent = one(run("succeeded"), webhook=webhook(untold=SILENT_AFTER_CHANGES), **followed)
    assert told(silent) == [
        "its webhook tells nothing any more: 3 looks in a row found changes of which no call had told. "
        "`versionsync webhook status` shows its last calls"
    ]
    assert told(one(run("succeeded"), webhook=webhook(untold=SILENT_AFTER_CHANGES - 1), **followed)) == []
    assert told(one(run("succeeded"), webhook=webhook(receives=False, untold=9), **followed)) == []
    assert told(one(run("succeeded"), webhook=webhook(untold=9))) == []


def test_a_run_that_is_under_way_is_no_trouble() -> None:
    """Be it the first one, or one after an interruption; what failed before it still is."""
    assert told(one(run("running"), fresh=None)) == []
    assert told(one(run("running"), run("interrupted"))) == []
    assert told(one(run("running"), run("failed"))) == ["the last run failed"]


def test_a_source_that_is_tried_again_and_again_stays_stale_meanwhile() -> None:
    """It must not be well whenever a try has just begun; but a run that takes long makes nothing staler."""
    stale = one(run("running", began=MINUTE), fresh=HOUR, follower=follower())
    assert told(stale) == ["nothing succeeded for 60 minutes, it may be 2 minutes old"]
    assert told(one(run("running", began=HOUR), fresh=HOUR + MINUTE, follower=follower())) == []


@pytest.mark.parametrize("outcome", ["interrupted", "running"])
def test_a_run_that_was_cut_off_is_told_unless_a_daemon_goes_on(outcome: str) -> None:
    cut = one(run(outcome), lease=None)
    assert len(told(cut)) == 1
    assert told(one(run(outcome), lease=None, follower=follower())) == []


def test_a_source_without_a_daemon_may_be_a_day_old() -> None:
    assert told(one(run("succeeded"), fresh=DAY - MINUTE)) == []
    assert told(one(run("succeeded"), fresh=2 * DAY)) == ["nothing succeeded for 2 days, it may be 24 hours old"]
    assert told(one(run("succeeded"), fresh=HOUR), MINUTE) != []
    assert told(one(run("succeeded"), fresh=2 * DAY), 3 * DAY) == []


def test_a_daemon_makes_it_fresher_also_when_it_ended_without_a_word() -> None:
    """For a day: later on nobody knows whether it should still be there."""
    assert told(one(run("succeeded"), fresh=HOUR, follower=follower())) != []
    (line,) = told(one(run("succeeded"), fresh=HOUR, follower=follower(silent=HOUR)))
    assert line.endswith(": the daemon that followed it (process 12 on elsewhere) ended without a word")
    assert told(one(run("succeeded"), fresh=MINUTE, follower=follower(silent=HOUR))) == []
    assert told(one(run("succeeded"), fresh=HOUR, follower=follower(silent=2 * DAY))) == []


def test_settings_that_do_not_know_the_source_say_nothing_of_its_age() -> None:
    """They may be another machine's."""
    assert told(one(run("succeeded"), fresh=HOUR, follower=follower(), followed_limit=None)) == []


def test_a_source_that_was_never_whole_needs_attention() -> None:
    assert told(one(fresh=None)) == ["no run has succeeded yet"]


@pytest.mark.parametrize(
    ("fresh", "days", "is_lost"),
    [(29 * DAY, 30, False), (30 * DAY, 30, True), (30 * DAY, None, False), (None, 30, False), (DAY, 10**9, False)],
)
def test_versions_are_lost_when_no_sync_was_complete_for_too_long(
    fresh: timedelta | None, days: int | None, is_lost: bool
) -> None:
    """Whatever age was asked for."""
    status = one(run("succeeded"), fresh=fresh)
    project = replace(status.source.project, history_retention_days=days)
    status = replace(status, source=replace(status.source, project=project))
    assert any("versions may be lost" in text for text in told(status, 100 * DAY)) is is_lost


def test_a_spent_budget_is_told_while_a_daemon_waits_for_it() -> None:
    purse = BudgetStatus(budget=Budget.parse("3000/day"), spent=2995, shared_by=1, now=NOW)
    line = "3,000 requests a day are spent: it goes on at 2026-11-03 00:00 UTC"
    assert told(one(run("succeeded"), purse=purse, follower=follower())) == [line]
    assert told(one(run("succeeded"), purse=purse)) == []


def test_a_budget_that_slows_a_daemon_down_makes_nothing_stale_until_a_look_is_due() -> None:
    """The settings ask for less than they pay for: that is told at the daemon's start."""
    purse = BudgetStatus(budget=Budget.parse("3000/day"), spent=2000, shared_by=1, now=NOW)
    waiting = replace(follower(), next_check_at=NOW + HOUR)
    late = replace(follower(), next_check_at=NOW - HOUR)
    assert told(one(run("succeeded"), fresh=HOUR, purse=purse, follower=waiting)) == []
    assert told(one(run("succeeded"), fresh=HOUR, purse=purse, follower=late)) != []
    assert told(one(run("succeeded"), fresh=HOUR, purse=purse, follower=waiting), MINUTE) != []
    assert told(one(run("failed"), fresh=HOUR, purse=purse, follower=waiting)) != []


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (timedelta(seconds=1), "1 second ago"),
        (timedelta(seconds=100), "100 seconds ago"),
        (timedelta(minutes=3), "3 minutes ago"),
        (timedelta(hours=30), "30 hours ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(seconds=-5), "0 seconds ago"),
    ],
)
def test_a_time_is_told_in_words(passed: timedelta, words: str) -> None:
    assert ago(NOW - passed, NOW) == words


def test_a_lag_is_that_of_half_and_of_nine_of_ten() -> None:
    """A clock behind upstream's makes none less than nothing."""
    took = [timedelta(seconds=seconds) for seconds in (10, 9, 8, 7, 6, 5, 4, 3, 2, -1)]
    assert LagQuantiles.of(took) == LagQuantiles(p50=timedelta(seconds=5), p90=timedelta(seconds=9), versions=10)
    assert LagQuantiles.of(took[:1]) == LagQuantiles(p50=timedelta(seconds=10), p90=timedelta(seconds=10), versions=1)
    assert LagQuantiles.of([]) is None
