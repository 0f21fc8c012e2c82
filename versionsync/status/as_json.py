"""The status of sources as plain values for JSON: what `versionsync status --json` and `/status` have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from versionsync.budget import BudgetStatus
from versionsync.mirror.row_counts import LagQuantiles
from versionsync.mirror.tables.daemons import ActiveDaemon
from versionsync.mirror.tables.leases import HeldLease
from versionsync.mirror.tables.runs import RunRow
from versionsync.mirror.tables.webhooks import WebhookRow
from versionsync.status.model import SourceStatus
from versionsync.status.snapshot import Activity, Snapshot

__all__ = ["activity_fields", "budget_fields", "snapshot_fields"]

Redact = Callable[[str], str]


def snapshot_fields(
    snapshot: Snapshot, redact: Redact, *, exit: int, exit_of: Callable[[SourceStatus], int]
) -> dict[str, Any]:
    """Return all of a snapshot.

    Args:
        snapshot: The snapshot.
        redact: Masks secrets in errors.
        exit: The exit code of the program.
        exit_of: Returns the exit code of one source.
    """
    return {
        "at": snapshot.at,
        "exit": exit,
        "sources": [_source(snapshot, one, redact, exit_of(one)) for one in snapshot.sources],
        "unsynced": list(snapshot.unsynced),
    }


def activity_fields(activity: Activity, redact: Redact) -> dict[str, Any]:
    """Return what a source holds and its last runs."""
    return {
        "counts": asdict(activity.counts),
        "last_runs": _runs(activity.last_runs, redact),
        "last_changes": _runs(activity.last_changes, redact),
    }


def budget_fields(status: BudgetStatus | None) -> dict[str, Any] | None:
    if status is None:
        return None
    return {
        "requests": status.budget.requests,
        "period": status.budget.period,
        "spent": status.spent,
        "left": status.left,
        "forecast": status.forecast,
        "sources": status.shared_by,
        "ends_at": status.ends_at,
    }


def _source(snapshot: Snapshot, one: SourceStatus, redact: Redact, exit: int) -> dict[str, Any]:
    project, checkpoint, details = one.source.project, one.source.checkpoint, one.details
    return {
        "source": one.source.name,
        "project": {"id": project and project.id, "name": project and project.name},
        "environment": project and project.environment,
        "follows_primary": project and project.follows_primary,
        "exit": exit,
        "complete_as_of": one.complete_as_of,
        "stale_after_seconds": snapshot.limit(one).total_seconds(),
        "last_success_at": checkpoint.last_success_at,
        "last_complete_sweep_at": checkpoint.last_complete_sweep_at,
        "unexplained_change_since": checkpoint.unexplained_change_since,
        "history": _history(one),
        "counts": details.row_counts and asdict(details.row_counts),
        "last_run": _run(one.runs[0], redact) if one.runs else None,
        "last_runs": _runs(one.runs, redact),
        "last_changes": _runs(details.last_changes, redact),
        "current_run": one.running and _current_run(one.running),
        "next_check": _next_check(one.daemon) if one.has_daemon else None,
        "lag": details.lag and _lag(details.lag),
        "requests": {"today": details.today, "this_month": details.this_month},
        "budget": budget_fields(one.budget),
        "lease": one.lease and _lease(one.lease),
        "daemon": one.daemon and _daemon(one.daemon),
        "webhook": one.webhook and _webhook(one.webhook),
        "attention": [redact(problem.text) for problem in snapshot.problems(one)],
    }


def _history(one: SourceStatus) -> dict[str, Any] | None:
    if (days := one.retention_days) is None:
        return None
    return {"retention_days": days, "sync_before": one.sync_before}


def _runs(runs: Iterable[RunRow], redact: Redact) -> list[dict[str, Any]]:
    return [_run(run, redact) for run in runs]


def _run(run: RunRow, redact: Redact) -> dict[str, Any]:
    return {
        "id": run.id,
        "kind": run.kind,
        "trigger": run.trigger,
        "outcome": run.outcome,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "counts": dict(run.counts),
        "error": None if run.error is None else redact(run.error),
        "error_kind": run.error_kind,
    }


def _current_run(run: RunRow) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "kind": run.kind,
        "started_at": run.started_at,
        "records": run.counts["records_pulled"],
        "events": run.counts["events_written"],
    }


def _next_check(daemon: ActiveDaemon | None) -> dict[str, Any] | None:
    if daemon is None or daemon.next_check_at is None:
        return None
    return {"at": daemon.next_check_at, "reason": daemon.next_check_reason}


def _lag(lag: LagQuantiles) -> dict[str, Any]:
    return {
        "p50_seconds": lag.p50.total_seconds(),
        "p90_seconds": lag.p90.total_seconds(),
        "versions": lag.versions,
    }


def _lease(lease: HeldLease) -> dict[str, Any]:
    return {
        "holder": str(lease.holder),
        "epoch": lease.epoch,
        "expires_at": lease.expires_at,
        "expired": lease.is_free,
    }


def _daemon(daemon: ActiveDaemon) -> dict[str, Any]:
    return {
        "holder": str(daemon.holder),
        "expires_at": daemon.expires_at,
        "expired": daemon.is_expired,
        "next_check_at": daemon.next_check_at,
        "next_check_reason": daemon.next_check_reason,
    }


def _webhook(webhook: WebhookRow) -> dict[str, Any]:
    return {
        "receiver_enabled": webhook.receives,
        "last_call_at": webhook.last_call_at,
        "queued_records": webhook.waiting,
        "undelivered_changes": webhook.undelivered_changes,
        "is_silent": webhook.is_silent,
        "log_state": webhook.log_state,
        "log_read_at": webhook.log_read_at,
        "log_gaps": webhook.log_gaps,
        "last_gap_at": webhook.last_gap_at,
    }
