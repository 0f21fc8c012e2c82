"""What needs attention of a source: by its runs, its age, its daemon and its budget."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from versionsync.budget import Budget, BudgetStatus
from versionsync.cli.exit_codes import BY_ERROR_KIND, ExitCode
from versionsync.cli.views.status import exit_code
from versionsync.errors import ErrorKind
from versionsync.mirror.holder import Holder
from versionsync.mirror.row_counts import LagQuantiles
from versionsync.mirror.tables.daemons import ActiveDaemon
from versionsync.mirror.tables.leases import HeldLease
from versionsync.mirror.tables.runs import RunRow
from versionsync.mirror.tables.sources import Checkpoint, Project, SourceRow
from versionsync.mirror.tables.webhooks import SILENT_AFTER_CHANGES, WebhookRow
from versionsync.status.model import ProblemKind, SourceStatus, problems
from versionsync.status.snapshot import Snapshot
from versionsync.text import ago, changes, short_span

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOLDER = Holder("elsewhere", 12)
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
        holder=str(HOLDER),
        started_at=NOW - began,
        finished_at=finished,
        outcome=outcome,
        counts={"requests": 1},
        error=error,
        error_kind=kind,
    )


def daemon(*, silent: timedelta | None = None) -> ActiveDaemon:
    """Return a daemon that is active, or that has been silent for this long."""
    return ActiveDaemon(
        holder=HOLDER,
        expires_at=NOW + MINUTE if silent is None else NOW - silent,
        is_expired=silent is not None,
        next_check_at=NOW,
        next_check_reason="nothing has changed for 60 s",
    )


def one(*runs: RunRow, fresh: timedelta | None = MINUTE, **known: Any) -> SourceStatus:
    """Return a source whose mirror was complete `fresh` ago."""
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
    lease = HeldLease(1, 1, HOLDER, NOW + MINUTE, False)
    if runs and runs[0].outcome == "running":
        known = {"lease": lease} | known
    defaults = {"daemon_limit": LIMIT}
    return SourceStatus(source=source, runs=runs, **defaults | known)


def found(status: SourceStatus, max_age: timedelta | None = None) -> list[str]:
    """Return what needs attention."""
    return [problem.text for problem in problems(status.health(NOW, max_age=max_age), NOW)]


def webhook(**known: Any) -> WebhookRow:
    """Return a webhook that is received, and reported a change a minute ago."""
    well = {"receives": True, "last_call_at": NOW - MINUTE, "log_state": "absent", "log_read_at": None}
    well |= {"undelivered_changes": 0, "log_gaps": 0, "last_gap_at": None, "waiting": 0}
    return WebhookRow(**well | known)


def test_a_fresh_source_needs_no_attention() -> None:
    assert found(one(run("succeeded"))) == []
    assert found(one(run("succeeded"), daemon=daemon())) == []


def test_one_failure_needs_attention_unless_a_daemon_tries_again() -> None:
    """Then from the second one on, or if no run ever succeeded."""
    failed = run("failed", error="no such host")
    assert found(one(failed, run("succeeded"))) == ["the last run failed: no such host"]
    assert found(one(failed, run("succeeded"), daemon=daemon())) == []
    assert found(one(failed, fresh=None, daemon=daemon()))[0] == "the last run failed: no such host"
    assert found(one(failed, run("partial"), daemon=daemon())) == ["the last run failed: no such host"]


@pytest.mark.parametrize(
    ("kind", "exit"),
    [
        ("refused", ExitCode.UPSTREAM_REFUSED),
        ("unavailable", ExitCode.UPSTREAM_UNAVAILABLE),
        ("stalled", ExitCode.UPSTREAM_UNAVAILABLE),
        ("database", ExitCode.DATABASE),
        ("configuration", ExitCode.USAGE),
        ("mass_delete", ExitCode.PARTIAL),
        ("unexpected", ExitCode.UNEXPECTED),
        (None, ExitCode.PARTIAL),
    ],
)
def test_a_failure_has_the_exit_code_of_a_sync(kind: str | None, exit: ExitCode) -> None:
    """The run of an older program may have no kind."""
    failed = one(run("failed", kind=kind), fresh=DAY * 2)
    kinds = [problem.kind for problem in problems(failed.health(NOW), NOW)]
    assert kinds == [ProblemKind.FAILING, ProblemKind.STALE]
    assert exit_code(Snapshot(at=NOW, sources=[failed], unsynced=[])) is exit


def test_a_run_for_an_unknown_record_does_not_count() -> None:
    """Neither as a failure, nor as a success after one, nor as the second failure in a row."""
    unknown = run("partial", kind="unknown_record")
    assert found(one(unknown, run("succeeded"))) == []
    assert found(one(unknown, unknown, run("succeeded"), daemon=daemon())) == []
    assert found(one(unknown, run("failed", error="no such host"))) == ["the last run failed: no such host"]
    assert found(one(run("failed"), unknown, run("succeeded"), daemon=daemon())) == []


def test_each_kind_of_error_has_an_exit_code() -> None:
    assert {str(kind) for kind in ErrorKind} == BY_ERROR_KIND.keys()


def test_a_webhook_that_no_longer_reports_changes_needs_attention() -> None:
    """Only if it is used: received, or its log is read."""
    active = {"daemon": daemon()}
    silent = one(run("succeeded"), webhook=webhook(undelivered_changes=SILENT_AFTER_CHANGES), **active)
    assert found(silent) == [
        "its webhook no longer reports changes: 3 checks in a row found changes that no call had reported. "
        "`versionsync webhook status` shows its last calls"
    ]
    assert found(one(run("succeeded"), webhook=webhook(undelivered_changes=SILENT_AFTER_CHANGES - 1), **active)) == []
    assert found(one(run("succeeded"), webhook=webhook(receives=False, undelivered_changes=9), **active)) == []
    assert found(one(run("succeeded"), webhook=webhook(undelivered_changes=9))) == []


def test_a_run_in_progress_needs_no_attention() -> None:
    """Whether it is the first one, or follows an interruption. A failure before it still counts."""
    assert found(one(run("running"), fresh=None)) == []
    assert found(one(run("running"), run("interrupted"))) == []
    assert found(one(run("running"), run("failed"))) == ["the last run failed"]


def test_a_source_stays_stale_while_it_is_tried_again() -> None:
    """A run that has just begun makes nothing fresher, and a long run makes nothing staler."""
    stale = one(run("running", began=MINUTE), fresh=HOUR, daemon=daemon())
    assert found(stale) == ["no complete check for 60 minutes, the limit is 2 minutes"]
    assert found(one(run("running", began=HOUR), fresh=HOUR + MINUTE, daemon=daemon())) == []


@pytest.mark.parametrize("outcome", ["interrupted", "running"])
def test_a_run_that_was_cut_off_needs_attention_unless_a_daemon_goes_on(outcome: str) -> None:
    cut = one(run(outcome), lease=None)
    assert len(found(cut)) == 1
    assert found(one(run(outcome), lease=None, daemon=daemon())) == []


def test_a_source_without_a_daemon_may_be_a_day_old() -> None:
    assert found(one(run("succeeded"), fresh=DAY - MINUTE)) == []
    assert found(one(run("succeeded"), fresh=2 * DAY)) == ["no complete check for 2 days, the limit is 24 hours"]
    assert found(one(run("succeeded"), fresh=HOUR), MINUTE) != []
    assert found(one(run("succeeded"), fresh=2 * DAY), 3 * DAY) == []


def test_the_limit_of_a_daemon_counts_for_a_day_after_it_was_lost() -> None:
    """Later it may have been removed on purpose."""
    assert found(one(run("succeeded"), fresh=HOUR, daemon=daemon())) != []
    (line,) = found(one(run("succeeded"), fresh=HOUR, daemon=daemon(silent=HOUR)))
    assert line.endswith(": the daemon for it (process 12 on elsewhere) ended unexpectedly")
    assert found(one(run("succeeded"), fresh=MINUTE, daemon=daemon(silent=HOUR))) == []
    assert found(one(run("succeeded"), fresh=HOUR, daemon=daemon(silent=2 * DAY))) == []


def test_settings_without_the_source_set_no_limit() -> None:
    """They may be those of another machine."""
    assert found(one(run("succeeded"), fresh=HOUR, daemon=daemon(), daemon_limit=None)) == []


def test_a_source_that_was_never_complete_needs_attention() -> None:
    assert found(one(fresh=None)) == ["no run has succeeded yet"]


@pytest.mark.parametrize(
    ("fresh", "days", "is_lost"),
    [(29 * DAY, 30, False), (30 * DAY, 30, True), (30 * DAY, None, False), (None, 30, False), (DAY, 10**9, False)],
)
def test_versions_are_lost_when_no_sync_was_complete_for_too_long(
    fresh: timedelta | None, days: int | None, is_lost: bool
) -> None:
    """Whatever age limit was asked for."""
    status = one(run("succeeded"), fresh=fresh)
    project = replace(status.source.project, history_retention_days=days)
    status = replace(status, source=replace(status.source, project=project))
    assert any("versions may be lost" in text for text in found(status, 100 * DAY)) is is_lost


def test_a_spent_budget_needs_attention_while_a_daemon_waits() -> None:
    budget = BudgetStatus(budget=Budget.parse("3000/day"), spent=2995, shared_by=1, now=NOW)
    line = "all 3,000 requests a day are spent; the next run is at 2026-11-03 00:00 UTC"
    assert found(one(run("succeeded"), budget=budget, daemon=daemon())) == [line]
    assert found(one(run("succeeded"), budget=budget)) == []


def test_a_budget_that_slows_a_daemon_down_makes_nothing_stale_until_a_check_is_due() -> None:
    """The daemon warns about such a budget at its start."""
    budget = BudgetStatus(budget=Budget.parse("3000/day"), spent=2000, shared_by=1, now=NOW)
    waiting = replace(daemon(), next_check_at=NOW + HOUR)
    late = replace(daemon(), next_check_at=NOW - HOUR)
    assert found(one(run("succeeded"), fresh=HOUR, budget=budget, daemon=waiting)) == []
    assert found(one(run("succeeded"), fresh=HOUR, budget=budget, daemon=late)) != []
    assert found(one(run("succeeded"), fresh=HOUR, budget=budget, daemon=waiting), MINUTE) != []
    assert found(one(run("failed"), fresh=HOUR, budget=budget, daemon=waiting)) != []


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
def test_a_time_in_words(passed: timedelta, words: str) -> None:
    assert ago(NOW - passed, NOW) == words


def test_a_lag_has_two_quantiles() -> None:
    """A clock behind that of DatoCMS makes none negative."""
    took = [timedelta(seconds=seconds) for seconds in (10, 9, 8, 7, 6, 5, 4, 3, 2, -1)]
    assert LagQuantiles.of(took) == LagQuantiles(p50=timedelta(seconds=5), p90=timedelta(seconds=9), versions=10)
    assert LagQuantiles.of(took[:1]) == LagQuantiles(p50=timedelta(seconds=10), p90=timedelta(seconds=10), versions=1)
    assert LagQuantiles.of([]) is None


def test_short_spans_have_one_unit() -> None:
    assert [short_span(timedelta(seconds=seconds)) for seconds in (-1, 5, 119, 120, 7200, 200_000)] == [
        "0 s",
        "5 s",
        "119 s",
        "2 min",
        "2 h",
        "2 d",
    ]


def test_changes_in_words_leave_out_zeros() -> None:
    words = changes(versions_inserted=1, versions_changed=2, events=1000, records_failed=1)
    assert words == "1 new version, 2 changed versions, 1,000 events, 1 failed record"
    assert changes(versions_inserted=0, versions_changed=0, events=0) == "no changes"
