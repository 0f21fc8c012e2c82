"""The page for people: sources that need attention come first, and all text is escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from versionsync.budget import Budget, BudgetStatus
from versionsync.daemon.http.page import page
from versionsync.daemon.http.status import Selection, status, survey
from versionsync.daemon.worker_state import LogStatus, WorkerState, WorkerStatus
from versionsync.errors import ErrorKind
from versionsync.mirror.row_counts import SourceCounts
from versionsync.mirror.tables.runs import COUNTS, Counts, RunRow
from versionsync.status.ranking import HealthState
from versionsync.status.snapshot import Activity
from versionsync.sync.report import Progress

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def well(name: str = "well", **more: object) -> WorkerState:
    """Return a source that was checked a moment ago."""
    state = WorkerState(name=name, max_staleness=60, since=NOW - timedelta(hours=3), status=WorkerStatus.ACTIVE)
    state.last_success_at, state.next_check_at = NOW - timedelta(seconds=8), NOW + timedelta(seconds=30)
    for each, value in more.items():
        setattr(state, each, value)
    return state


def shown(
    *states: WorkerState, activity: Mapping[str, Activity] | None = None, selection: Selection | None = None
) -> str:
    """Return the page about these sources."""
    fields = status(
        survey({state.name: state for state in states}, NOW, selection),
        started_at=NOW - timedelta(hours=3),
        redact=lambda text: text.replace("secret", "***"),
        activity=activity,
    )
    return page(fields)


def test_a_source_that_needs_attention_comes_first() -> None:
    """And is counted in the title, which a tab shows."""
    failing = well(
        "failing", status=WorkerStatus.FAILING, error_kind=ErrorKind.REFUSED, error="the token is wrong", failures=3
    )
    text = shown(well(), failing)
    assert re.findall("<h2>(.*?)</h2>", text) == ["failing", "well"]
    assert "<title>(1) versionsync</title>" in text
    assert "1 of 2 need attention" in text
    assert "3 failures in a row, the last one: the token is wrong" in text


def test_a_start_or_a_standby_needs_no_attention() -> None:
    starting = well("starting", status=WorkerStatus.STARTING, last_success_at=None)
    standby = well("standby", status=WorkerStatus.STANDBY, other_holder="process 7 on elsewhere", last_success_at=None)
    text = shown(starting, standby, well())
    assert "<title>versionsync</title>" in text
    assert "class=bad" not in text
    assert "its first run is not finished yet" in text
    assert "process 7 on elsewhere" in text
    assert "all is well" in shown(well())


def test_one_failure_is_shown_but_needs_no_attention_yet() -> None:
    """It usually passes by itself."""
    text = shown(well(status=WorkerStatus.FAILING, error_kind=ErrorKind.UNAVAILABLE, error="no answer", failures=1))
    assert "<section class=once>" in text
    assert "<dt>last failure</dt><dd>no answer</dd>" in text


def test_times_are_relative_to_now() -> None:
    """The exact ones are tooltips."""
    text = shown(well())
    assert re.search(r"<time [^>]*title='2026-11-01 11:59:52 UTC'>8 s ago</time>", text)
    assert "in 30 s</time>" in text
    assert "up for 3 h" in text


def test_a_run_and_a_budget_have_bars() -> None:
    run = Progress(source="well", phase="pulling", records_planned=200, counts=Counts(records_pulled=50))
    budget = BudgetStatus(budget=Budget.parse("3000/day"), spent=900, shared_by=1, now=NOW)
    text = shown(well(progress=run, started_at=NOW - timedelta(seconds=20), budget=budget))
    assert "pulling for 20 s: 50 of 200 records <progress max=200 value=50></progress>" in text
    assert "<progress max=3000 value=900></progress> 900 of 3,000 requests a day; 2,100 left" in text


def test_one_of_something_is_no_plural() -> None:
    state = well(webhook_log=LogStatus.ACTIVE, log_read_at=NOW, log_gaps=1, last_gap_at=NOW, queued_records=1)
    text = re.sub(r"<time [^>]*>|</time>", "", shown(state))
    assert "no call since the start, log read 0 s ago, 1 gap, the last 0 s ago, 1 queued record" in text


def test_errors_hosts_and_reasons_are_escaped() -> None:
    evil = "<script>alert(1)</script>"
    state = well(
        "evil", status=WorkerStatus.FAILING, error_kind=ErrorKind.REFUSED, error=evil, failures=3, other_holder=evil
    )
    state.next_check_reason = evil
    assert "<script" not in shown(state)
    assert shown(state).count("&lt;script&gt;") == 3


def test_a_daemon_without_sources_has_a_page() -> None:
    assert "no sources" in shown()


def run(id: int, *, minutes: int, outcome: str = "succeeded", error: str | None = None, **counts: int) -> RunRow:
    """Return a run that began some minutes ago and took 3 seconds."""
    began = NOW - timedelta(minutes=minutes)
    return RunRow(
        id=id,
        source_id=1,
        kind="incremental",
        trigger="schedule",
        holder="process 7 on elsewhere",
        started_at=began,
        finished_at=began + timedelta(seconds=3),
        outcome=outcome,
        counts=dict.fromkeys(COUNTS, 0) | counts,
        error=error,
        error_kind=None,
    )


def test_totals_runs_and_changes_of_the_database_are_shown() -> None:
    """Each run with its outcome, duration and changes; secrets in errors are masked."""
    changed = run(3, minutes=9, versions_inserted=2, events_written=5)
    failed = run(4, minutes=2, outcome="failed", error="secret <b>")
    counts = SourceCounts(models=1, records=4, records_deleted=1, versions=6, versions_missing=0, events=20)
    activity = Activity(counts=counts, last_runs=[failed, changed], last_changes=[changed])
    text = re.sub(r"<time [^>]*>|</time>", "", shown(well(), activity={"well": activity}))
    assert "<dt>mirrored</dt><dd>3 records and 1 deleted, 6 versions, 20 events</dd>" in text
    assert "<dt>last change</dt><dd>9 min ago: 2 new versions, 5 events</dd>" in text
    row = "<tr><td>2 min ago</td><td>incremental</td><td>failed</td><td>3 s</td><td>no changes: *** &lt;b&gt;</td></tr>"
    assert f"<caption>Last runs</caption>{row}" in text
    last = "<td>9 min ago</td><td>incremental</td><td>succeeded</td><td>3 s</td><td>2 new versions, 5 events</td>"
    assert f"<caption>Last changes</caption><tr>{last}</tr>" in text


def test_without_a_database_the_page_has_no_tables() -> None:
    assert "<table" not in shown(well())


def many() -> list[WorkerState]:
    """Return 300 sources, of which every hundredth is failing."""

    def one(number: int) -> WorkerState:
        name = f"site-{number:03}"
        if number % 100:
            return well(name)
        return well(name, status=WorkerStatus.FAILING, error_kind=ErrorKind.REFUSED, error="no", failures=3)

    return [one(number) for number in range(1, 301)]


def names(text: str) -> list[str]:
    return re.findall("<h2>(.*?)</h2>", text)


def test_many_sources_are_summed_up_and_the_worst_are_shown() -> None:
    text = shown(*many())
    assert names(text) == ["site-100", "site-200", "site-300", *(f"site-{n:03}" for n in range(1, 98))]
    assert "3 of 300 need attention" in text
    assert "<a href='/status?state=failing'>3 failing</a> · <a href='/status?state=well'>297 well</a>" in text
    assert "100 are shown, the worst first. <a href='/status?limit=400'>200 more</a>" in text
    assert len(text) < 150_000


def test_sources_can_be_chosen_by_state_and_name() -> None:
    failing = shown(*many(), selection=Selection(states=[HealthState.FAILING]))
    assert names(failing) == ["site-100", "site-200", "site-300"]
    assert "shown: failing (3) · <a href='/status'>all</a>" in failing
    assert "more</a>" not in failing
    found = shown(*many(), selection=Selection(patterns=["SITE-?10", "<b>"], limit=2))
    assert names(found) == ["site-010", "site-110"]
    assert "shown: SITE-?10, &lt;b&gt; (3)" in found
    assert "href='/status?source=SITE-%3F10&amp;source=%3Cb%3E&amp;limit=100'>1 more</a>" in found
    assert "3 of 300 need attention" in found


def test_the_page_with_a_form_does_not_reload() -> None:
    """It would take away what is typed."""
    fields = status(survey({}, NOW), started_at=NOW, redact=str)
    assert "http-equiv=refresh" in page(fields)
    assert "http-equiv=refresh" not in page(fields, finds=True)
    assert "<input name=source" in page(fields, finds=True)
