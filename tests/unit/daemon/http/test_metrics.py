"""Metrics of a source that a run fills."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.fixtures.pages import ROOT
from versionsync.daemon.http.metrics import Metrics
from versionsync.daemon.worker_state import WorkerState
from versionsync.mirror.tables.runs import Counts
from versionsync.sync.report import Outcome, RunKind, RunReport

PAGE = ROOT / "docs" / "metrics.md"


def test_views_that_cannot_follow_the_schema_are_counted() -> None:
    """In the last run that tried; a run that ended before that does not change the number."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    state = WorkerState(name="website", max_staleness=60, since=now)
    for blocked, number in (({"a": "in use", "b": "in use"}, 2), (None, 2), ({}, 0)):
        state.finish_run(
            RunReport(
                source="website",
                kind=RunKind.INCREMENTAL,
                outcome=Outcome.SUCCEEDED,
                counts=Counts(),
                blocked_views=blocked,
            )
        )
        page = Metrics(lambda: {"website": state}, now=lambda: now).text().decode()
        assert f'versionsync_views_blocked{{source="website"}} {number:.1f}\n' in page
