"""The page for people: what needs somebody comes first, and nothing in it is taken for HTML."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from versionsync.daemon.budget import Budget, BudgetStatus
from versionsync.daemon.http.page import page
from versionsync.daemon.http.status import status
from versionsync.daemon.state import LogStatus, WorkerState, WorkerStatus
from versionsync.errors import ErrorKind
from versionsync.sync.report import Counts, Progress

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def well(name: str = "well", **more: object) -> WorkerState:
    """A source that was seen whole a moment ago."""
    state = WorkerState(name=name, max_staleness=60, since=NOW - timedelta(hours=3), status=WorkerStatus.ACTIVE)
    state.last_success_at, state.next_check_at = NOW - timedelta(seconds=8), NOW + timedelta(seconds=30)
    for each, value in more.items():
        setattr(state, each, value)
    return state


def shown(*states: WorkerState) -> str:
    """The page about these."""
    told = status(
        {state.name: state for state in states}, started_at=NOW - timedelta(hours=3), now=NOW, redact=lambda text: text
    )
    return page(told)


def test_what_needs_somebody_comes_first() -> None:
    """And is counted in the title, which is all that a tab shows."""
    failing = well(
        "failing", stance=WorkerStatus.FAILING, trouble=ErrorKind.REFUSED, error="the token is wrong", failures=3
    )
    text = shown(well(), failing)
    assert re.findall("<h2>(.*?)</h2>", text) == ["failing", "well"]
    assert "<title>(1) versionsync</title>" in text
    assert "1 of 2 need attention" in text
    assert "3 failures in a row, the last one: the token is wrong" in text


def test_who_has_only_begun_or_stands_by_needs_nobody() -> None:
    """Neither is alarming."""
    starting = well("starting", stance=WorkerStatus.STARTING, last_success_at=None)
    standby = well("standby", stance=WorkerStatus.STANDBY, other="process 7 on elsewhere", last_success_at=None)
    text = shown(starting, standby, well())
    assert "<title>versionsync</title>" in text
    assert "class=bad" not in text
    assert "its first run is not done yet" in text
    assert "process 7 on elsewhere" in text
    assert "all is well" in shown(well())


def test_one_failure_is_shown_but_needs_nobody_yet() -> None:
    """It passes by itself more often than not."""
    text = shown(well(stance=WorkerStatus.FAILING, trouble=ErrorKind.UNAVAILABLE, error="no answer", failures=1))
    assert "<section class=once>" in text
    assert "<dt>last failure</dt><dd>no answer</dd>" in text


def test_times_are_told_from_now_on() -> None:
    """The exact ones are there for whoever points at them."""
    text = shown(well())
    assert re.search(r"<time [^>]*title='2026-11-01 11:59:52 UTC'>8 s ago</time>", text)
    assert "in 30 s</time>" in text
    assert "up for 3 h" in text


def test_a_run_and_a_budget_are_drawn() -> None:
    """As far as they have come."""
    run = Progress(source="well", phase="pulling", records_planned=200, counts=Counts(records_pulled=50))
    purse = BudgetStatus(budget=Budget.parse("3000/day"), spent=900, shared_by=1, now=NOW)
    text = shown(well(progress=run, began_at=NOW - timedelta(seconds=20), purse=purse))
    assert "pulling for 20 s: 50 of 200 records <progress max=200 value=50></progress>" in text
    assert "<progress max=3000 value=900></progress> 900 of 3,000 requests a day; 2,100 left" in text


def test_what_there_is_one_of_is_no_plural() -> None:
    """Of a webhook that was made a moment ago, say."""
    state = well(webhook_log=LogStatus.ACTIVE, log_read_at=NOW, log_gaps=1, last_gap_at=NOW, hints_waiting=1)
    text = re.sub(r"<time [^>]*>|</time>", "", shown(state))
    assert "no call since the start, log read 0 s ago, 1 gap, the last 0 s ago, 1 hint waiting" in text


def test_nothing_in_it_is_html() -> None:
    """Whatever an error, a host or a reason says."""
    evil = "<script>alert(1)</script>"
    state = well("evil", stance=WorkerStatus.FAILING, trouble=ErrorKind.REFUSED, error=evil, failures=3, other=evil)
    state.next_check_reason = evil
    assert "<script" not in shown(state)
    assert shown(state).count("&lt;script&gt;") == 3


def test_a_daemon_without_sources_has_a_page() -> None:
    """That says so."""
    assert "no source is followed" in shown()
