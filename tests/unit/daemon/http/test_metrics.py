"""Metrics of a source that a run fills."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from tests.fixtures.pages import ROOT
from versionsync.daemon.http.metrics import FLEET, Metrics
from versionsync.daemon.worker_state import WorkerState, WorkerStatus
from versionsync.mirror.tables.runs import Counts
from versionsync.sync.report import Outcome, Progress, RunKind, RunReport

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


NOW = datetime(2026, 11, 1, tzinfo=UTC)


def sources(**statuses: WorkerStatus) -> dict[str, WorkerState]:
    return {
        name: WorkerState(name=name, max_staleness=60, since=NOW, status=status) for name, status in statuses.items()
    }


def test_a_source_of_another_daemon_has_one_metric() -> None:
    """It says that this daemon does not run it. Numbers of the time when it did would mislead."""
    states = sources(mine=WorkerStatus.ACTIVE, other=WorkerStatus.STANDBY)
    lines = Metrics(lambda: states, now=lambda: NOW).text().decode().splitlines()
    assert [line for line in lines if 'source="other"' in line] == ['versionsync_source_held{source="other"} 0.0']
    assert 'versionsync_source_held{source="mine"} 1.0' in lines
    assert 'versionsync_source_state{source="mine",state="active"} 1.0' in lines
    assert "versionsync_sources_held 1.0" in lines


def test_which_sources_are_held_can_be_said_by_the_daemon() -> None:
    """A source that it holds may be on standby for a while: a sync by hand writes to it."""
    states = sources(mine=WorkerStatus.STANDBY, other=WorkerStatus.STANDBY)
    metrics = Metrics(lambda: states, now=lambda: NOW, holds=lambda state: state.name == "mine")
    lines = metrics.text().decode().splitlines()
    assert 'versionsync_source_state{source="mine",state="standby"} 1.0' in lines
    assert 'versionsync_source_held{source="other"} 0.0' in lines


def test_gauges_of_the_fleet_are_there_once_they_are_known() -> None:
    states = sources(a=WorkerStatus.ACTIVE, b=WorkerStatus.STARTING)
    states["a"].progress = Progress(source="a")

    def fleet(metrics: Metrics) -> list[str]:
        lines = metrics.text().decode().splitlines()
        return [line for line in lines if line.startswith(tuple(FLEET))]

    alone = Metrics(lambda: states, now=lambda: NOW)
    assert fleet(alone) == ["versionsync_sources_held 2.0", "versionsync_runs_in_progress 1.0"]
    wired = Metrics(lambda: states, now=lambda: NOW, runs_waiting=lambda: 5, daemons_alive=lambda: 3)
    assert fleet(wired) == [*fleet(alone), "versionsync_runs_waiting 5.0", "versionsync_daemons_alive 3.0"]


async def test_reads_at_once_and_soon_after_share_one_text() -> None:
    """With a thousand sources it takes a while to make."""
    asked = 0

    def states() -> dict[str, WorkerState]:
        nonlocal asked
        asked += 1
        return sources(**{f"s{number}": WorkerStatus.ACTIVE for number in range(200)})

    metrics = Metrics(states, now=lambda: NOW)
    texts = [*await asyncio.gather(*(metrics.read() for _ in range(3))), await metrics.read()]
    assert asked == 1
    assert len(set(texts)) == 1
    assert texts[0].count(b"versionsync_source_held{") == 200
