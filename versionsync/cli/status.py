"""`versionsync status`: what is mirrored, how fresh it is, and what needs attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from versionsync.cli.output import count, duration, when
from versionsync.cli.session import Session

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from versionsync.mirror.followers import Following
    from versionsync.mirror.leases import HeldLease
    from versionsync.mirror.queries import RunRow, SourceRow
    from versionsync.mirror.standing import Standing

__all__ = ["SourceStatus", "ago", "attention", "status"]

STALE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """All that is known of one source.

    `run` is None before the first one, `lease` while nobody writes, `follower` while no daemon follows it.
    """

    source: SourceRow
    standing: Standing
    run: RunRow | None
    lease: HeldLease | None
    follower: Following | None = None


def status(
    session: Session,
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE]...", help="Sources to show; all of them if none is named.")
    ] = None,
) -> None:
    """Show for each source what is mirrored, how fresh it is, how the last run went, and what needs attention.

    It asks the database alone, never DatoCMS.
    """
    now = datetime.now(UTC)
    with session.open_mirror() as mirror:
        known = session.known_sources(mirror, sources or ())
        with mirror.read() as connection:
            found = [_look(connection, source) for source in known]
    waiting = _not_synced_yet(session, [one.source.name for one in found]) if not sources else []
    if session.output.as_json:
        session.output.json({"sources": [_entry(one, now) for one in found], "not_synced_yet": waiting})
        return
    for number, one in enumerate(found):
        if number:
            session.output.line()
        _show(session, one, now)
    for name in waiting:
        session.output.line(f"{session.output.symbol(None)} {name}: not synced yet. Run: versionsync sync {name}")
    if not found and not waiting:
        session.output.line("Nothing is mirrored yet. Run: versionsync sync")


def attention(one: SourceStatus, now: datetime) -> Iterator[str]:
    """What somebody should look at."""
    run, fresh = one.run, one.source.checkpoint.last_success_at
    if run is not None and run.outcome in ("failed", "partial", "interrupted"):
        how = "failed" if run.outcome == "failed" else f"was {run.outcome}"
        yield f"the last run {how}{f': {run.error}' if run.error else ''}"
    if run is not None and run.outcome == "running" and (one.lease is None or one.lease.is_over):
        yield "the last run ended without a word; the next one goes on from there"
    if fresh is None:
        yield "no run has succeeded yet"
    elif now - fresh > STALE:
        yield f"nothing succeeded for {ago(fresh, now).removesuffix(' ago')}"


def ago(time: datetime, now: datetime) -> str:
    """`5 seconds ago`, `3 hours ago`."""
    seconds = max((now - time).total_seconds(), 0.0)
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{count(int(seconds // size), unit)} ago"
    return f"{count(int(seconds), 'second')} ago"


def _look(connection: Connection, source: SourceRow) -> SourceStatus:
    from versionsync.mirror.queries import current_lease, followed_by, last_runs
    from versionsync.mirror.standing import standing

    runs = last_runs(connection, source.id, limit=1)
    return SourceStatus(
        source,
        standing(connection, source.id),
        runs[0] if runs else None,
        current_lease(connection, source.id),
        followed_by(connection, source.id),
    )


def _not_synced_yet(session: Session, known: Sequence[str]) -> list[str]:
    """Sources that the settings file names and the database does not have."""
    configuration = session.configuration
    if not configuration.file_names_sources:
        return []
    return [source.name for source in configuration.sources if source.name not in known]


def _show(session: Session, one: SourceStatus, now: datetime) -> None:
    output, project = session.output, one.source.project
    output.line(one.source.name, style="bold")
    _fact(session, "project", f"{project.name or '–'} (id {project.id})")
    _fact(
        session,
        "environment",
        f"{project.environment}{' (the primary one, followed)' if project.follows_primary else ''}",
    )
    held = one.standing
    live = held.records - held.records_deleted
    deleted = f" and {held.records_deleted:,} deleted" if held.records_deleted else ""
    kept = f" ({held.versions_missing:,} gone upstream)" if held.versions_missing else ""
    numbers = (
        f"{count(live, 'record')}{deleted}, {count(held.versions, 'version')}{kept}, {count(held.events, 'event')}"
    )
    _fact(session, "mirrored", f"{numbers}, {count(held.models, 'model')}")
    fresh = one.source.checkpoint.last_success_at
    _fact(session, "fresh as of", f"{when(fresh)} UTC ({ago(fresh, now)})" if fresh else "never")
    _fact(session, "last run", _run(one.run, now) if one.run else "none yet")
    if one.lease is not None and not one.lease.is_over:
        _fact(session, "writing", f"{one.lease.holder}, until {when(one.lease.expires_at)} UTC unless renewed")
    if one.follower is not None and not one.follower.is_over:
        _fact(session, "followed by", f"{one.follower.holder}{_next_look(one.follower, now)}")
    for line in attention(one, now):
        output.prose((f"  {output.symbol(None)} {session.redactor.redact(line)}", "yellow"), hang=4)


def _fact(session: Session, name: str, value: str) -> None:
    session.output.prose(f"  {name:<12} {value}", hang=15)


def _next_look(follower: Following, now: datetime) -> str:
    if follower.next_look_at is None:
        return ""
    seconds = (follower.next_look_at - now).total_seconds()
    when_ = f"in {count(int(seconds), 'second')}" if seconds > 0 else "now"
    return f", which looks {when_}: {follower.next_look_reason}"


def _run(run: RunRow, now: datetime) -> str:
    took = duration(((run.finished_at or now) - run.started_at).total_seconds())
    requests = count(run.counts["requests"], "request")
    return f"#{run.id} {run.kind}, {run.outcome}, {ago(run.started_at, now)}, took {took}, {requests}"


def _entry(one: SourceStatus, now: datetime) -> dict[str, Any]:
    project, lease, run = one.source.project, one.lease, one.run
    return {
        "source": one.source.name,
        "project": {"id": project.id, "name": project.name},
        "environment": project.environment,
        "follows_primary": project.follows_primary,
        "fresh_as_of": one.source.checkpoint.last_success_at,
        "mirrored": asdict(one.standing),
        "last_run": None if run is None else _run_entry(run),
        "lease": None
        if lease is None
        else {
            "holder": str(lease.holder),
            "epoch": lease.epoch,
            "expires_at": lease.expires_at,
            "is_over": lease.is_over,
        },
        "follower": None
        if one.follower is None
        else {
            "holder": str(one.follower.holder),
            "expires_at": one.follower.expires_at,
            "is_over": one.follower.is_over,
            "next_look_at": one.follower.next_look_at,
            "next_look_reason": one.follower.next_look_reason,
        },
        "attention": list(attention(one, now)),
    }


def _run_entry(run: RunRow) -> dict[str, Any]:
    return {
        "id": run.id,
        "kind": run.kind,
        "trigger": run.trigger,
        "outcome": run.outcome,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "counts": dict(run.counts),
        "error": run.error,
    }
