"""The state of the daemon and its sources as plain values, for `/status`. It holds no content of any project."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from versionsync import __version__
from versionsync.daemon.worker_state import WorkerState
from versionsync.status.as_json import activity_fields, budget_fields
from versionsync.status.model import not_ready_reason, problems
from versionsync.status.ranking import HealthState, matches, state_of, summary
from versionsync.status.snapshot import Activity

__all__ = ["PROGRAM", "REASONS", "SHOWN", "Selection", "Survey", "identity", "reasons", "status", "survey"]

PROGRAM: Final = "versionsync"
SHOWN: Final = 100
"""How many sources are shown unless another number is asked for."""
REASONS: Final = 50
"""How many sources `/readyz` names."""
_NO_ACTIVITY: Final[Mapping[str, Any]] = {"counts": None, "last_runs": [], "last_changes": []}


def identity() -> dict[str, Any]:
    """Return how this program identifies itself to another one that finds its port taken."""
    return {"program": PROGRAM, "version": __version__, "pid": os.getpid()}


def reasons(states: Mapping[str, WorkerState], now: datetime) -> list[str]:
    """Return what keeps the daemon from being ready, one line per source."""
    found = {name: not_ready_reason(state.health(now), now) for name, state in states.items()}
    return [f"{name}: {reason}" for name, reason in found.items() if reason is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which sources to show.

    Attributes:
        states: Only those in these states. Empty: in any.
        patterns: Only those whose name fits one of these patterns. Empty: all.
        limit: At most this many.
    """

    states: Sequence[HealthState] = ()
    patterns: Sequence[str] = ()
    limit: int = SHOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All sources of the daemon at one moment, and which of them are shown.

    Attributes:
        now: The moment.
        summary: How many sources are in each state.
        ready: Whether each is as fresh as it should be.
        selection: What was asked for.
        matching: How many sources were asked for.
        shown: The first of these, the worst first.
    """

    now: datetime
    summary: Mapping[HealthState, int]
    ready: bool
    selection: Selection
    matching: int
    shown: Sequence[WorkerState]


def survey(states: Mapping[str, WorkerState], now: datetime, selection: Selection | None = None) -> Survey:
    """Return how many sources are in each state, and those to show. Sources in the same state keep their order."""
    selection = selection or Selection()
    found = [
        (state_of(problems(health, now), is_standby=health.is_standby), state)
        for state, health in ((state, state.health(now)) for state in states.values())
    ]
    matching = [
        (each, state)
        for each, state in found
        if (not selection.states or each in selection.states)
        and (not selection.patterns or matches(state.name, selection.patterns))
    ]
    ranks = {each: number for number, each in enumerate(HealthState)}
    matching.sort(key=lambda pair: ranks[pair[0]])
    return Survey(
        now=now,
        summary=summary(each for each, _ in found),
        ready=not reasons(states, now),
        selection=selection,
        matching=len(matching),
        shown=[state for _, state in matching[: selection.limit]],
    )


def status(
    found: Survey,
    *,
    started_at: datetime,
    redact: Callable[[str], str],
    activity: Mapping[str, Activity] | None = None,
) -> dict[str, Any]:
    """Return the summary, and everything that is known of the sources to show.

    Args:
        found: All sources, and which to show.
        started_at: When the daemon started.
        redact: Masks secrets in errors.
        activity: What the database has of each source that is shown.
    """
    selection = found.selection
    return {
        **identity(),
        "at": found.now,
        "started_at": started_at,
        "ready": found.ready,
        "summary": {state.value: number for state, number in found.summary.items()},
        "selection": {
            "state": [state.value for state in selection.states],
            "source": list(selection.patterns),
            "limit": selection.limit,
            "matching": found.matching,
        },
        "sources": [_source(state, found.now, redact, (activity or {}).get(state.name)) for state in found.shown],
    }


def _source(
    state: WorkerState, now: datetime, redact: Callable[[str], str], activity: Activity | None
) -> dict[str, Any]:
    problem = next(problems(state.health(now), now), None)
    budget = budget_fields(state.budget)
    return {
        "source": state.name,
        "state": state.status.value,
        "attention": None if problem is None else redact(problem.text),
        "error_kind": None if state.error_kind is None else state.error_kind.value,
        "error": None if state.error is None else redact(state.error),
        "failures": state.failures,
        "daemon": state.other_holder,
        "staleness_seconds": round(state.staleness(now), 1),
        "max_staleness_seconds": state.max_staleness,
        "last_success_at": state.last_success_at,
        "last_change_at": state.last_change_at,
        "unexplained_change_since": state.unexplained_change_since,
        "last_run_at": state.last_run_at,
        "last_run_seconds": None if state.last_run_seconds is None else round(state.last_run_seconds, 3),
        "next_check_at": state.next_check_at,
        "next_check_reason": state.next_check_reason,
        "run": _run(state),
        "budget": None if budget is None else budget | {"budget": str(state.budget and state.budget.budget)},
        "webhooks": {
            "receiver_enabled": state.receiver_enabled,
            "last_call_at": state.last_call_at,
            "queued_records": state.queued_records,
            "undelivered_changes": state.undelivered_changes,
            "is_silent": state.is_webhook_silent,
            "log_state": state.webhook_log.value,
            "log_read_at": state.log_read_at,
            "log_gaps": state.log_gaps,
            "last_gap_at": state.last_gap_at,
            "log_polls": {outcome.value: number for outcome, number in state.log_polls.items()},
            "calls": {result.value: number for result, number in state.webhook_results.items()},
        },
        "runs": {outcome.value: number for outcome, number in state.runs.items()},
        "total": asdict(state.total),
        **(_NO_ACTIVITY if activity is None else activity_fields(activity, redact)),
    }


def _run(state: WorkerState) -> dict[str, Any] | None:
    if (progress := state.progress) is None:
        return None
    return {
        "started_at": state.started_at,
        "phase": progress.phase,
        "records_total": progress.records_total,
        "records_planned": progress.records_planned,
        "counts": asdict(progress.counts),
    }
