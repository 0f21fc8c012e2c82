"""What the daemon says of itself: as JSON for programs, as a page for people. No content of any project is in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from html import escape
from typing import Any, Final

from versionsync import __version__
from versionsync.daemon.readiness import reason_of, reasons
from versionsync.daemon.state import SourceState

__all__ = ["PROGRAM", "identity", "page", "status"]

PROGRAM: Final = "versionsync"

_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 1.5rem 0 0.3rem; }
dl { display: grid; grid-template-columns: 11rem 1fr; margin: 0; }
dt { opacity: 0.65; } dd { margin: 0; overflow-wrap: anywhere; }
.good { color: #1a7f37; } .bad { color: #cf222e; }
@media (prefers-color-scheme: dark) { .good { color: #3fb950; } .bad { color: #ff7b72; } }
"""


def identity() -> dict[str, Any]:
    """By which this program is known to another one that finds its port taken."""
    return {"program": PROGRAM, "version": __version__, "pid": os.getpid()}


def status(
    states: Mapping[str, SourceState], *, started_at: datetime, now: datetime, redact: Callable[[str], str]
) -> dict[str, Any]:
    """Everything that is known, as plain values."""
    return {
        **identity(),
        "started_at": started_at,
        "ready": not reasons(states.values(), now),
        "sources": [_source(state, now, redact) for state in states.values()],
    }


def page(told: Mapping[str, Any]) -> str:
    """What `status` returned, as HTML that looks again by itself every five seconds."""
    health = '<span class="good">ready</span>' if told["ready"] else '<span class="bad">not ready</span>'
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=5>",
        f"<meta name=viewport content='width=device-width'><title>{PROGRAM}</title><style>{_STYLE}</style>",
        f"<h1>{PROGRAM} {escape(told['version'])}: {health}</h1>",
        f"<p>Process {told['pid']}, since {_time(told['started_at'])}. ",
        "<a href='/status?format=json'>JSON</a> · <a href='/metrics'>metrics</a></p>",
    ]
    for source in told["sources"]:
        parts.append(f"<h2>{escape(source['source'])}</h2><dl>")
        parts.extend(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in _facts(source))
        parts.append("</dl>")
    return "".join(parts) + "</html>\n"


def _source(state: SourceState, now: datetime, redact: Callable[[str], str]) -> dict[str, Any]:
    reason = reason_of(state, now)
    progress = state.progress
    return {
        "source": state.name,
        "stance": state.stance.value,
        "attention": None if reason is None else redact(reason),
        "trouble": None if state.trouble is None else state.trouble.value,
        "error": None if state.error is None else redact(state.error),
        "failures": state.failures,
        "followed_by": state.other,
        "staleness_seconds": round(state.staleness(now), 1),
        "max_staleness_seconds": state.max_staleness,
        "last_success_at": state.last_success_at,
        "last_change_at": state.last_change_at,
        "last_run_at": state.last_run_at,
        "last_run_seconds": None if state.last_run_seconds is None else round(state.last_run_seconds, 3),
        "next_look_at": state.next_look_at,
        "next_look_reason": state.next_look_reason,
        "run": None
        if progress is None
        else {
            "began_at": state.began_at,
            "phase": progress.phase,
            "records_total": progress.records_total,
            "records_planned": progress.records_planned,
            "counts": asdict(progress.counts),
        },
        "budget": None
        if state.purse is None
        else {
            "budget": str(state.purse.budget),
            "spent": state.purse.spent,
            "left": state.purse.left,
            "forecast": state.purse.forecast,
            "ends_at": state.purse.ends_at,
        },
        "webhooks": {
            "log": state.webhook_log.value,
            "log_read_at": state.log_read_at,
            "log_readings": {reading.value: number for reading, number in state.log_readings.items()},
            "calls": {heard.value: number for heard, number in state.heard.items()},
        },
        "runs": {outcome.value: number for outcome, number in state.runs.items()},
        "total": asdict(state.total),
    }


def _facts(source: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """What a person wants to see of a source, as HTML."""
    kind = "bad" if source["attention"] else "good"
    yield "state", f'<span class="{kind}">{escape(source["stance"])}</span>'
    if source["attention"]:
        yield "attention", escape(source["attention"])
    if source["followed_by"]:
        yield "followed by", escape(source["followed_by"])
    yield "fresh as of", f"{_time(source['last_success_at'])} ({source['staleness_seconds']:.0f} s ago)"
    yield "last change", _time(source["last_change_at"])
    yield "next look", f"{_time(source['next_look_at'])}: {escape(source['next_look_reason'] or '–')}"
    if run := source["run"]:
        of = f" of {run['records_total']:,}" if run["records_total"] is not None else ""
        done = f"{run['counts']['records_pulled']:,} records read{of}"
        yield "now", f"{escape(run['phase'])}, {done}, since {_time(run['began_at'])}"
    if budget := source["budget"]:
        spent = f"{budget['spent']:,} spent, {budget['left']:,} left until {_time(budget['ends_at'])}"
        yield "budget", f"{escape(budget['budget'])}: {spent}, {budget['forecast']:,} forecast"
    if source["webhooks"]["log"] == "read":
        yield "webhook calls", f"their log was read {_time(source['webhooks']['log_read_at'])}"
    total = source["total"]
    numbers = ("requests", "versions_inserted", "events_written")
    yield "since the start", ", ".join(f"{total[name]:,} {name.replace('_', ' ')}" for name in numbers)


def _time(time: datetime | None) -> str:
    return "never" if time is None else f"{time:%Y-%m-%d %H:%M:%S} UTC"
