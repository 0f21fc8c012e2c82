"""The metrics for Prometheus. They are read from the states of the sources on request; nothing is global.

None of prometheus-client's own counters are used: PROMETHEUS_MULTIPROC_DIR would make them write to files.

Names have their units in them. The only labels are the source and, for some, a word from a closed set. Each metric with
its help text and its value is one line of a table below.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from versionsync import __version__
from versionsync.cma import Result
from versionsync.daemon.scheduler import SourceScheduler
from versionsync.daemon.worker_state import RUN_SECONDS, PollOutcome, WorkerState, WorkerStatus
from versionsync.errors import ErrorKind
from versionsync.sync.report import LAG_SECONDS, Outcome
from versionsync.webhooks.payload import WebhookResult

__all__ = ["BUDGETS", "COUNTERS", "FLEET", "GAUGES", "Metrics"]

COUNTERS: Final[dict[str, tuple[str, str]]] = {
    "bytes_received": ("versionsync_received_bytes", "Bytes of all responses, as received."),
    "records_swept": ("versionsync_records_swept", "Records whose fingerprint was compared."),
    "records_pulled": ("versionsync_records_pulled", "Records whose versions were read."),
    "records_failed": ("versionsync_records_failed", "Records that a run could not mirror."),
    "versions_inserted": ("versionsync_versions_inserted", "New versions."),
    "versions_changed": ("versionsync_versions_changed", "Known versions whose row changed."),
    "versions_rewritten": ("versionsync_versions_rewritten", "Versions with other content under the same id."),
    "events_written": ("versionsync_events_written", "Events that were written."),
}
"""The counter of each count of a run, and its help text. Requests have one of their own, by result."""

GAUGES: Final[dict[str, tuple[str, Callable[[WorkerState, datetime], float]]]] = {
    "versionsync_source_staleness_seconds": (
        "Seconds since the last successful check began.",
        lambda state, now: state.staleness(now),
    ),
    "versionsync_source_max_staleness_seconds": (
        "How old the mirror may become, by the settings.",
        lambda state, _: state.max_staleness,
    ),
    "versionsync_source_consecutive_failures": (
        "Failures since the last success.",
        lambda state, _: state.failures,
    ),
    "versionsync_source_last_success_timestamp_seconds": (
        "When the last successful check began; 0: none yet.",
        lambda state, _: _timestamp(state.last_success_at),
    ),
    "versionsync_source_last_change_timestamp_seconds": (
        "When a check last found a change; 0: none since the start.",
        lambda state, _: _timestamp(state.last_change_at),
    ),
    "versionsync_source_next_check_timestamp_seconds": (
        "When the next check is due; 0: unknown.",
        lambda state, _: _timestamp(state.next_check_at),
    ),
    "versionsync_run_running_seconds": (
        "How long the run in progress has lasted; 0: there is none.",
        lambda state, now: _run_seconds(state, now),
    ),
    "versionsync_queued_records": (
        "Records named by webhooks that no run has checked yet.",
        lambda state, _: state.queued_records,
    ),
    "versionsync_webhook_active": (
        "1 if calls of a webhook should report changes: they are received, or their log is read.",
        lambda state, _: state.is_webhook_used,
    ),
    "versionsync_webhook_last_call_timestamp_seconds": (
        "When a call last reported a change, received or found in the log; 0: none since the start.",
        lambda state, _: _timestamp(state.last_call_at),
    ),
    "versionsync_webhook_undelivered_changes": (
        "Checks in a row that found changes which no call had reported.",
        lambda state, _: state.undelivered_changes,
    ),
    "versionsync_webhook_log_read_timestamp_seconds": (
        "When the log of calls was last read; 0: not since the start.",
        lambda state, _: _timestamp(state.log_read_at),
    ),
    "versionsync_views_blocked": (
        "Typed views that could not follow the schema in the last run.",
        lambda state, _: state.blocked_views,
    ),
    "versionsync_writer_queue_bytes": (
        "Bytes that were read and are not written yet.",
        lambda state, _: 0 if state.progress is None else state.progress.queued_bytes,
    ),
    "versionsync_lease_held": (
        "1 while a run of this daemon holds the source's lease.",
        lambda state, _: _lease_seconds(state) > 0,
    ),
    "versionsync_lease_remaining_seconds": (
        "How long the lease is valid at least; renewed every 10 seconds, so that it stays above 15.",
        lambda state, _: _lease_seconds(state),
    ),
    "versionsync_lease_epoch": (
        "The epoch of the last lease that this daemon held; 0: none.",
        lambda state, _: _lease_epoch(state),
    ),
}

BUDGETS: Final[dict[str, str]] = {
    "versionsync_budget_requests": "The limit of requests in this day or month, for all sources of the project.",
    "versionsync_budget_spent_requests": "Requests of the budget that were sent.",
    "versionsync_budget_forecast_requests": "Requests that will be sent by the end of the period at the present rate.",
}

FLEET: Final[dict[str, str]] = {
    "versionsync_sources_held": "Sources that this daemon runs.",
    "versionsync_runs_in_progress": "Runs of this daemon in progress.",
    "versionsync_runs_waiting": "Runs of this daemon that wait for a place.",
    "versionsync_daemons_alive": "Daemons that are alive on this database, as this one sees it.",
}
"""Gauges without labels, of the daemon and of all daemons together."""

TEXT_SHARE: Final = 9
"""A text that took t seconds to make is reused for this many times t."""


def _is_held(state: WorkerState) -> bool:
    return state.status is not WorkerStatus.STANDBY


class Metrics(Collector):
    """The metrics of one daemon.

    Of a source that another daemon runs there is only `versionsync_source_held`: its numbers are at that daemon, and
    old ones would mislead.

    Args:
        states: Returns the state of each source.
        now: Returns the time.
        scheduler: Counts the jobs.
        holds: Returns whether this daemon runs a source. Default: it is not on standby.
        runs_waiting: Returns how many runs wait for a place. None: there is no such number.
        daemons_alive: Returns how many daemons are alive, or None if it is not known yet.
    """

    def __init__(
        self,
        states: Callable[[], Mapping[str, WorkerState]],
        *,
        now: Callable[[], datetime],
        scheduler: SourceScheduler | None = None,
        holds: Callable[[WorkerState], bool] = _is_held,
        runs_waiting: Callable[[], int] | None = None,
        daemons_alive: Callable[[], int | None] | None = None,
    ) -> None:
        self._states = states
        self._holds = holds
        self._runs_waiting = runs_waiting
        self._daemons_alive = daemons_alive
        self._now = now
        self._scheduler = scheduler
        self._text, self._text_until = b"", float("-inf")
        self._turn = asyncio.Lock()
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def text(self) -> bytes:
        """Return all metrics in the format of Prometheus."""
        return generate_latest(self._registry)

    async def read(self) -> bytes:
        """Return the same, at most a tenth of the time. The values are those of one moment.

        The text for a thousand sources has 90,000 lines, which take a third of a second: a thread writes them.
        """
        async with self._turn:
            began = time.monotonic()
            if began > self._text_until:
                values = _Values(list(self._registry.collect()))
                self._text = await asyncio.to_thread(generate_latest, values)
                self._text_until = time.monotonic() + (time.monotonic() - began) * TEXT_SHARE
            return self._text

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics, as read from the states."""
        everyone = list(self._states().values())
        states = [state for state in everyone if self._holds(state)]
        yield InfoMetricFamily("versionsync_build", "The program.", value={"version": __version__})
        yield from self._fleet(everyone, states)
        yield from _gauges(states, self._now())
        yield from _budgets(states)
        yield from _counters(states)
        yield from _counters_by_word(states)
        yield from _histograms(states)
        yield from self._jobs()

    def _fleet(self, everyone: Sequence[WorkerState], held: Sequence[WorkerState]) -> Iterator[Metric]:
        """Yield what this daemon runs, and its place among the others. Gauges that are not known are left out."""
        family = GaugeMetricFamily(
            "versionsync_source_held", "1 if this daemon runs the source, 0 if not.", labels=["source"]
        )
        names = {state.name for state in held}
        for state in everyone:
            family.add_metric([state.name], float(state.name in names))
        yield family
        values = {
            "versionsync_sources_held": len(held),
            "versionsync_runs_in_progress": sum(state.progress is not None for state in everyone),
            "versionsync_runs_waiting": self._runs_waiting and self._runs_waiting(),
            "versionsync_daemons_alive": self._daemons_alive and self._daemons_alive(),
        }
        for name, help in FLEET.items():
            if (value := values[name]) is not None:
                yield GaugeMetricFamily(name, help, value=value)

    def _jobs(self) -> Iterator[Metric]:
        failed, missed = (0, 0) if self._scheduler is None else (self._scheduler.failed, self._scheduler.missed)
        yield CounterMetricFamily("versionsync_jobs_failed", "Jobs that ended with a bug in versionsync.", value=failed)
        yield CounterMetricFamily("versionsync_jobs_missed", "Jobs that did not start at their time.", value=missed)


class _Values(Collector):
    """Metrics that were collected already."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _gauges(states: Iterable[WorkerState], now: datetime) -> Iterator[Metric]:
    for name, (help, value) in GAUGES.items():
        gauge = GaugeMetricFamily(name, help, labels=["source"])
        for state in states:
            gauge.add_metric([state.name], value(state, now))
        yield gauge
    state_family = GaugeMetricFamily(
        "versionsync_source_state", "1 for the state of the source now, 0 for the others.", labels=["source", "state"]
    )
    for state in states:
        for each in WorkerStatus:
            state_family.add_metric([state.name, each.value], float(state.status is each))
    yield state_family


def _budgets(states: Iterable[WorkerState]) -> Iterator[Metric]:
    """Yield the budget, which is that of the project, for sources that have one."""
    gauges = {name: GaugeMetricFamily(name, help, labels=["source"]) for name, help in BUDGETS.items()}
    for state in states:
        if (status := state.budget) is not None:
            values = (status.budget.requests, status.spent, status.forecast)
            for gauge, value in zip(gauges.values(), values, strict=True):
                gauge.add_metric([state.name], value)
    yield from gauges.values()


def _counters(states: Iterable[WorkerState]) -> Iterator[Metric]:
    counts = {state.name: state.counts for state in states}
    for count, (name, help) in COUNTERS.items():
        counter = CounterMetricFamily(name, help, labels=["source"])
        for source, value in counts.items():
            counter.add_metric([source], getattr(value, count))
        yield counter


def _counters_by_word(states: Iterable[WorkerState]) -> Iterator[Metric]:
    """Yield a value for each word, even if it is 0: a rate needs the series to exist from the start."""
    requests = CounterMetricFamily(
        "versionsync_requests", "Requests to DatoCMS, with each attempt, by how it ended.", labels=["source", "result"]
    )
    runs = CounterMetricFamily("versionsync_runs", "Runs, by how they ended.", labels=["source", "outcome"])
    failures = CounterMetricFamily(
        "versionsync_failures",
        "Runs that did not do all that they should, by the kind of error.",
        labels=["source", "error_kind"],
    )
    calls = CounterMetricFamily(
        "versionsync_webhook_calls", "Calls of webhooks, by what became of them.", labels=["source", "result"]
    )
    polls = CounterMetricFamily(
        "versionsync_webhook_log_polls",
        "Polls of the log of webhook calls, by how they ended.",
        labels=["source", "result"],
    )
    for state in states:
        sent = state.requests
        for result in Result:
            requests.add_metric([state.name, result.value], sent[result])
        for outcome in Outcome:
            if outcome not in (Outcome.RUNNING, Outcome.INTERRUPTED):  # an interrupted daemon counts no more
                runs.add_metric([state.name, outcome.value], state.runs[outcome])
        for kind in ErrorKind:
            if kind is not ErrorKind.LOCKED:  # a source that another process writes to is not a failure
                failures.add_metric([state.name, kind.value], state.failures_by_kind[kind])
        for webhook_result in WebhookResult:
            calls.add_metric([state.name, webhook_result.value], state.webhook_results[webhook_result])
        for poll in PollOutcome:
            polls.add_metric([state.name, poll.value], state.log_polls[poll])
    yield from (requests, runs, failures, calls, polls)


def _histograms(states: Iterable[WorkerState]) -> Iterator[Metric]:
    runs = HistogramMetricFamily("versionsync_run_duration_seconds", "How long runs took.", labels=["source"])
    lag = HistogramMetricFamily(
        "versionsync_version_lag_seconds",
        "From the time of a version in DatoCMS to its row, for versions after the first backfill.",
        labels=["source"],
    )
    for state in states:
        for family, bounds, seen in ((runs, RUN_SECONDS, state.run_seconds), (lag, LAG_SECONDS, state.lag)):
            family.add_metric([state.name], buckets=_buckets(bounds, seen.counts), sum_value=seen.seconds)
    yield from (runs, lag)


def _buckets(bounds: Iterable[float], numbers: Iterable[int]) -> list[tuple[str, float]]:
    """Return the cumulative buckets of a histogram."""
    return list(zip([*map(str, bounds), "+Inf"], map(float, accumulate(numbers)), strict=True))


def _timestamp(at: datetime | None) -> float:
    return at.timestamp() if at is not None else 0.0


def _run_seconds(state: WorkerState, now: datetime) -> float:
    if state.progress is None or state.started_at is None:
        return 0.0
    return max((now - state.started_at).total_seconds(), 0.0)


def _lease_seconds(state: WorkerState) -> float:
    lease = None if state.progress is None else state.progress.lease
    return 0.0 if lease is None else max(lease.until - time.monotonic(), 0.0)


def _lease_epoch(state: WorkerState) -> int:
    lease = None if state.progress is None else state.progress.lease
    return state.lease_epoch if lease is None else lease.epoch
