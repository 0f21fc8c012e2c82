"""The text of `docs/metrics.md`, made from the metrics that a daemon serves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from prometheus_client.core import Metric

from versionsync.budget import Budget, BudgetStatus
from versionsync.daemon.http.metrics import Metrics
from versionsync.daemon.worker_state import WorkerState

__all__ = ["metrics_page"]


_INTRODUCTION: Final = """\
# Metrics

This page is written by `python -m docs.generate`; change `versionsync/daemon/http/metrics.py` instead.

`versionsync run` serves these at `http://127.0.0.1:8765/metrics`. See how to [load them into
Prometheus](monitoring.md#prometheus-and-grafana), and what to do when [an alert](alerts.md) fires.

- A timestamp of 0 means never, or not known.
- `versionsync_budget_…` exist only for sources with a budget.
- Counters start at 0 with each start of the daemon.
- With several daemons, the numbers of a source are at the daemon that runs it. When the source moves to another daemon,
  they go on there. The others have only `versionsync_source_held` of it. So take all daemons together:
  `sum by (source)` or `max by (source)`.

`versionsync_build_info` and the usual `process_…` metrics are served too.

| metric | type | labels | meaning |
| --- | --- | --- | --- |
"""

_NOTES: Final = {
    "versionsync_source_staleness_seconds": "Runs of every process count, and a restart does not hide it.",
    "versionsync_source_held": "Over all daemons of a source the sum is 1.",
    "versionsync_views_blocked": "`versionsync status` has the reasons.",
    "versionsync_writer_queue_bytes": "At most 16 MiB; then reading waits for the database.",
}
"""What a reader wants to know beyond the help text of a metric."""

_VALUES: Final = {
    "versionsync_failures_total": "The same words as in `runs.error_kind`.",
    "versionsync_requests_total": "`throttled` is 429. `refused` is another 4xx, including the 404 that proves a "
    "deletion. `error` is 5xx or an unreadable answer.",
    "versionsync_webhook_calls_total": "`accepted_no_record`: something else may have changed, and a check follows. "
    "`recovered`: found in the webhook log only.",
    "versionsync_webhook_log_polls_total": "`gap`: calls may be missing, and the whole source is checked.",
}
"""What the values of a metric's labels mean, beyond their words."""

_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)


def metrics_page() -> str:
    """Return the text of `docs/metrics.md`."""
    return _INTRODUCTION + "".join(_row(metric) for metric in _metrics()) + _values()


def _metrics() -> Iterator[Metric]:
    """Yield all metrics of a daemon with one source that has a budget, sorted by name."""
    budget = BudgetStatus(budget=Budget.parse("3000/day"), spent=0, shared_by=1, now=_NOW)
    states = {"website": WorkerState(name="website", max_staleness=60, since=_NOW, budget=budget)}
    states["website"].run_seconds.observe(1.0)
    metrics = Metrics(lambda: states, now=lambda: _NOW, runs_waiting=lambda: 0, daemons_alive=lambda: 1).collect()
    yield from sorted((each for each in metrics if each.type != "info"), key=lambda each: each.name)


def _row(metric: Metric) -> str:
    labels = {label: None for sample in metric.samples for label in sample.labels if label != "le"}
    shown = ", ".join(f"`{label}`" for label in labels)
    meaning = " ".join(filter(None, [metric.documentation, _NOTES.get(_name(metric))]))
    return f"| `{_name(metric)}` | {metric.type} | {shown} | {meaning} |\n"


def _values() -> str:
    """Return the table of labels that have a closed set of values."""
    rows = []
    for metric in _metrics():
        found: dict[str, dict[str, None]] = {}
        for sample in metric.samples:
            for label, value in sample.labels.items():
                if label not in ("source", "le"):
                    found.setdefault(label, {})[value] = None
        rows += [
            f"| `{_name(metric)}` | `{label}` | {', '.join(f'`{value}`' for value in values)} | "
            f"{_VALUES.get(_name(metric), '')} |\n"
            for label, values in found.items()
        ]
    return "\n## Values of labels\n\n| metric | label | values | notes |\n| --- | --- | --- | --- |\n" + "".join(rows)


def _name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name
