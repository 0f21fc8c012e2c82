"""How it stands with the sources, for programs: what `versionsync status --json` writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from versionsync.cli.attention import SourceStatus
from versionsync.cli.snapshot import Snapshot

if TYPE_CHECKING:
    from versionsync.daemon.budget import BudgetStatus
    from versionsync.mirror.status import LagQuantiles
    from versionsync.mirror.tables.daemons import ActiveDaemon
    from versionsync.mirror.tables.leases import HeldLease
    from versionsync.mirror.tables.runs import RunRow
    from versionsync.mirror.tables.webhooks import WebhookRow

__all__ = ["fields_of"]


def fields_of(snapshot: Snapshot, redact: Callable[[str], str]) -> dict[str, Any]:
    """All of a snapshot; what the database has of errors goes through `redact`."""
    return {
        "at": snapshot.at,
        "exit": snapshot.exit,
        "sources": [_source(snapshot, one, redact) for one in snapshot.sources],
        "unsynced": list(snapshot.unsynced),
    }


def _source(snapshot: Snapshot, one: SourceStatus, redact: Callable[[str], str]) -> dict[str, Any]:
    project, checkpoint = one.source.project, one.source.checkpoint
    return {
        "source": one.source.name,
        "project": {"id": project.id, "name": project.name},
        "environment": project.environment,
        "follows_primary": project.follows_primary,
        "exit": snapshot.exit_of(one),
        "complete_as_of": one.complete_as_of,
        "stale_after_seconds": snapshot.limit(one).total_seconds(),
        "last_success_at": checkpoint.last_success_at,
        "last_complete_sweep_at": checkpoint.last_complete_sweep_at,
        "unexplained_change_since": checkpoint.unexplained_change_since,
        "history": _history(one),
        "counts": asdict(one.row_counts),
        "last_run": _run(one.runs[0], redact) if one.runs else None,
        "current_run": _current_run(one),
        "next_check": _next_check(one.daemon) if one.has_daemon else None,
        "lag": _lag(one.lag),
        "requests": {"today": one.today, "this_month": one.this_month},
        "budget": _budget(one.budget),
        "lease": _lease(one.lease),
        "daemon": _daemon(one.daemon),
        "webhook": _webhook(one.webhook),
        "attention": [redact(line) for line in snapshot.attention(one)],
    }


def _history(one: SourceStatus) -> dict[str, Any] | None:
    if (days := one.source.project.history_retention_days) is None:
        return None
    return {"retention_days": days, "sync_before": one.sync_before}


def _run(run: RunRow, redact: Callable[[str], str]) -> dict[str, Any]:
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


def _current_run(one: SourceStatus) -> dict[str, Any] | None:
    if (run := one.running) is None:
        return None
    return {
        "run_id": run.id,
        "kind": run.kind,
        "started_at": run.started_at,
        "records": run.counts["records_pulled"],
        "events": run.counts["events_written"],
    }


def _next_check(follower: ActiveDaemon | None) -> dict[str, Any] | None:
    if follower is None or follower.next_check_at is None:
        return None
    return {"at": follower.next_check_at, "reason": follower.next_check_reason}


def _lag(lag: LagQuantiles | None) -> dict[str, Any] | None:
    if lag is None:
        return None
    return {
        "p50_seconds": lag.p50.total_seconds(),
        "p90_seconds": lag.p90.total_seconds(),
        "versions": lag.versions,
    }


def _budget(purse: BudgetStatus | None) -> dict[str, Any] | None:
    if purse is None:
        return None
    return {
        "requests": purse.budget.requests,
        "period": purse.budget.period,
        "spent": purse.spent,
        "left": purse.left,
        "forecast": purse.forecast,
        "sources": purse.shared_by,
        "ends_at": purse.ends_at,
    }


def _lease(lease: HeldLease | None) -> dict[str, Any] | None:
    if lease is None:
        return None
    return {
        "holder": str(lease.holder),
        "epoch": lease.epoch,
        "expires_at": lease.expires_at,
        "expired": lease.is_free,
    }


def _daemon(follower: ActiveDaemon | None) -> dict[str, Any] | None:
    if follower is None:
        return None
    return {
        "holder": str(follower.holder),
        "expires_at": follower.expires_at,
        "expired": follower.is_expired,
        "next_check_at": follower.next_check_at,
        "next_check_reason": follower.next_check_reason,
    }


def _webhook(webhook: WebhookRow | None) -> dict[str, Any] | None:
    if webhook is None:
        return None
    return asdict(webhook) | {"is_silent": webhook.is_silent}
