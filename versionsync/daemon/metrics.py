"""What Prometheus is told. Everything is read from the sources' states when it is asked for; nothing is global.

Names have their units in them; the only labels are the source, and where it must be the outcome or the stance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from versionsync import __version__
from versionsync.daemon.hints import Heard
from versionsync.daemon.state import LogReading, SourceState, Stance
from versionsync.sync.report import Counts, Outcome

__all__ = ["BUDGETS", "COUNTERS", "GAUGES", "Metrics"]

COUNTERS: Final[dict[str, tuple[str, str]]] = {
    "requests": ("versionsync_requests", "Requests sent to DatoCMS, each try counted."),
    "throttled": ("versionsync_requests_throttled", "Answers that said `slower` (429)."),
    "bytes_received": ("versionsync_received_bytes", "Bytes of all answers, as they came over the wire."),
    "records_swept": ("versionsync_records_swept", "Records whose fingerprint was compared."),
    "records_pulled": ("versionsync_records_pulled", "Records whose versions were read."),
    "records_failed": ("versionsync_records_failed", "Records that a run could not mirror."),
    "versions_inserted": ("versionsync_versions_inserted", "Versions that were new."),
    "versions_changed": ("versionsync_versions_changed", "Known versions whose row changed."),
    "versions_rewritten": ("versionsync_versions_rewritten", "Versions with other content under the same id."),
    "events_written": ("versionsync_events_written", "Events."),
}
"""The counter of each count of a run, and what it means."""

GAUGES: Final[dict[str, str]] = {
    "versionsync_source_staleness_seconds": "Since the start of the last look that succeeded.",
    "versionsync_source_max_staleness_seconds": "How old the mirror may become, by the settings.",
    "versionsync_source_consecutive_failures": "Failures since the last success.",
    "versionsync_source_last_success_timestamp_seconds": "When the last look that succeeded began; 0: none has.",
    "versionsync_source_last_change_timestamp_seconds": "When something new was last found; 0: not since the start.",
    "versionsync_source_next_look_timestamp_seconds": "When the next look is due; 0: not known.",
}

BUDGETS: Final[dict[str, str]] = {
    "versionsync_budget_requests": "Requests that may be sent in this day or month, by all sources of the project.",
    "versionsync_budget_spent_requests": "Requests of these that were sent.",
    "versionsync_budget_forecast_requests": "Requests that will have been sent at its end, if it goes on as it went.",
}

RUN_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)


class Metrics(Collector):
    """The metrics of one daemon. `states` gives the sources as they are when it is asked."""

    def __init__(self, states: Callable[[], Mapping[str, SourceState]], *, now: Callable[[], datetime]) -> None:
        self._states = states
        self._now = now
        self._registry = CollectorRegistry()
        self._run_seconds = Histogram(
            "versionsync_run_duration_seconds",
            "How long runs took.",
            ["source"],
            buckets=RUN_SECONDS,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def ran(self, source: str, seconds: float) -> None:
        """A run of `source` took so long."""
        self._run_seconds.labels(source).observe(seconds)

    def text(self) -> bytes:
        """All of them, in Prometheus's own format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """What is read from the states."""
        states = list(self._states().values())
        yield InfoMetricFamily("versionsync_build", "The program.", value={"version": __version__})
        yield from _gauges(states, self._now())
        yield from _budgets(states)
        yield from _counters(states)


def _gauges(states: Iterable[SourceState], now: datetime) -> Iterator[Metric]:
    gauges = {name: GaugeMetricFamily(name, meaning, labels=["source"]) for name, meaning in GAUGES.items()}
    stance = GaugeMetricFamily(
        "versionsync_source_stance", "1 for what the daemon is to the source now.", labels=["source", "stance"]
    )
    for state in states:
        values = (
            state.staleness(now),
            state.max_staleness,
            float(state.failures),
            _timestamp(state.last_success_at),
            _timestamp(state.last_change_at),
            _timestamp(state.next_look_at),
        )
        for gauge, value in zip(gauges.values(), values, strict=True):
            gauge.add_metric([state.name], value)
        for each in Stance:
            stance.add_metric([state.name, each.value], float(state.stance is each))
    yield from gauges.values()
    yield stance


def _budgets(states: Iterable[SourceState]) -> Iterator[Metric]:
    """Only of sources that have a budget; it is the project's."""
    gauges = {name: GaugeMetricFamily(name, meaning, labels=["source"]) for name, meaning in BUDGETS.items()}
    for state in states:
        if (purse := state.purse) is not None:
            for gauge, value in zip(gauges.values(), (purse.budget.requests, purse.spent, purse.forecast), strict=True):
                gauge.add_metric([state.name], value)
    yield from gauges.values()


def _counters(states: Iterable[SourceState]) -> Iterator[Metric]:
    states = list(states)
    for count in fields(Counts):
        name, meaning = COUNTERS[count.name]
        counter = CounterMetricFamily(name, meaning, labels=["source"])
        for state in states:
            counter.add_metric([state.name], getattr(state.total, count.name))
        yield counter
    runs = CounterMetricFamily("versionsync_runs", "Runs, by how they ended.", labels=["source", "outcome"])
    for state in states:
        for outcome in Outcome:
            if outcome is not Outcome.RUNNING:
                runs.add_metric([state.name, outcome.value], state.runs[outcome])
    yield runs
    calls = CounterMetricFamily(
        "versionsync_webhook_calls", "Calls of webhooks, by what became of them.", labels=["source", "result"]
    )
    for state in states:
        for heard in Heard:
            calls.add_metric([state.name, heard.value], state.heard[heard])
    yield calls
    readings = CounterMetricFamily(
        "versionsync_webhook_log_readings",
        "Readings of the log of webhook calls, by how they ended.",
        labels=["source", "result"],
    )
    for state in states:
        for reading in LogReading:
            readings.add_metric([state.name, reading.value], state.log_readings[reading])
    yield readings


def _timestamp(time: datetime | None) -> float:
    return time.timestamp() if time is not None else 0.0
