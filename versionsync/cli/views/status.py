"""Shows the status of sources to people: all of one source, or a line for each and what needs attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from versionsync.cli.exit_codes import ExitCode, exit_code_of_kind, most_severe
from versionsync.cli.terminal.output import Cell, Column, Output
from versionsync.status.as_json import snapshot_fields
from versionsync.status.model import ProblemKind, SourceStatus
from versionsync.status.snapshot import Snapshot
from versionsync.text import ago, changes, count, duration, short_span, span, when

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.text import Text

    from versionsync.mirror.row_counts import LagQuantiles
    from versionsync.mirror.tables.runs import RunRow
    from versionsync.mirror.tables.webhooks import WebhookRow

__all__ = ["exit_code", "lines_of", "status_fields"]

NAME_WIDTH: Final = 12
GOOD, BAD, FAINT = "green", "yellow", "dim"

Fact = tuple[str, str]


def _exit_code_of(snapshot: Snapshot, one: SourceStatus) -> ExitCode:
    """Return the exit code for one source. A failed run counts as what a sync would have ended with."""

    def code(kind: ProblemKind, error_kind: str | None) -> ExitCode:
        if kind is ProblemKind.FAILING:
            return exit_code_of_kind(error_kind)
        return ExitCode.OK if kind is ProblemKind.VIEW_BLOCKED else ExitCode.PARTIAL

    return most_severe(code(problem.kind, problem.error_kind) for problem in snapshot.problems(one))


def exit_code(snapshot: Snapshot) -> ExitCode:
    """Return the most severe exit code of the sources, at least PARTIAL if one is not mirrored yet."""
    has_all = bool(snapshot.sources) and not snapshot.unsynced
    codes = [_exit_code_of(snapshot, one) for one in snapshot.sources]
    return most_severe([*codes, ExitCode.OK if has_all else ExitCode.PARTIAL])


def status_fields(snapshot: Snapshot, redact: Callable[[str], str]) -> dict[str, object]:
    """Return a snapshot as plain values, with the exit codes."""

    def exit_of(one: SourceStatus) -> int:
        return _exit_code_of(snapshot, one)

    return snapshot_fields(snapshot, redact, exit=exit_code(snapshot), exit_of=exit_of)


def lines_of(
    snapshot: Snapshot, output: Output, *, redact: Callable[[str], str], in_full: bool | None = None
) -> list[Text]:
    """Return a snapshot as lines that fit the terminal.

    Args:
        snapshot: The snapshot.
        output: Knows the terminal.
        redact: Masks secrets in errors.
        in_full: Whether to show all of each source instead of a table; None: only if there is a single one.
    """
    lines: list[Text] = []
    if in_full or (in_full is None and len(snapshot.sources) == 1):
        for number, one in enumerate(snapshot.sources):
            lines += output.paragraph_lines() if number else []
            lines += _in_full(snapshot, one, output, redact)
    elif snapshot.sources:
        lines += output.table_lines(*_table(snapshot, output))
        for one in snapshot.sources:
            for problem in snapshot.problems(one):
                text = f"{output.symbol(None)} {one.source.name}: {redact(problem.text)}"
                lines += output.paragraph_lines((text, BAD), hang=2)
    for name in snapshot.unsynced:
        text = f"{output.symbol(None)} {name}: not synced yet. Run: versionsync sync {name}"
        lines += output.paragraph_lines((text, BAD), hang=2)
    if not lines:
        lines += output.paragraph_lines("Nothing is mirrored yet. Run: versionsync sync")
    return lines


def _in_full(snapshot: Snapshot, one: SourceStatus, output: Output, redact: Callable[[str], str]) -> Iterator[Text]:
    problems = snapshot.problems(one)
    yield from output.paragraph_lines((one.source.name, f"bold {BAD if problems else GOOD}"))
    for name, value in _facts(one, snapshot.at):
        yield from output.paragraph_lines((f"  {name:<{NAME_WIDTH}} ", FAINT), value, hang=NAME_WIDTH + 3)
    for problem in problems:
        yield from output.paragraph_lines((f"  {output.symbol(None)} {redact(problem.text)}", BAD), hang=4)


def _facts(one: SourceStatus, now: datetime) -> Iterator[Fact]:
    if (project := one.source.project) is None:
        yield "project", "not known yet: no run has read it"
    else:
        yield "project", f"{project.name or '–'} (id {project.id})"
        yield "environment", f"{project.environment}{' (the primary one)' if project.follows_primary else ''}"
    yield "mirrored", _counts(one)
    complete = one.complete_as_of
    yield "complete", f"as of {when(complete)} UTC ({ago(complete, now)})" if complete else "never yet"
    if (days := one.retention_days) is not None:
        yield "history", _history(one, days)
    if (since := one.source.checkpoint.unexplained_change_since) is not None:
        yield "searching", f"for a change that no list shows, since {when(since)} UTC ({ago(since, now)})"
    yield "last run", _last_run(one.ended[0], now) if one.ended else "none yet"
    if one.last_changes:
        yield "last change", _last_change(one.last_changes[0], now)
    if one.running is not None:
        yield "running", _current_run(one.running, now)
    if one.lease is not None and one.is_written:
        yield "writing", f"{one.lease.holder}, until {when(one.lease.expires_at)} UTC unless renewed"
    yield "next run", _next_run(one, now)
    if one.daemon is not None:
        holder = str(one.daemon.holder)
        yield "daemon", holder if one.has_daemon else f"none: {holder} ended unexpectedly"
    if one.webhook is not None and (webhook := _webhook(one.webhook, now)):
        yield "webhook", webhook
    if one.lag is not None:
        yield "lag", _lag(one.lag)
    if one.budget is not None:
        yield "budget", _budget(one)
    elif one.daemon is not None or one.this_month:
        yield "requests", f"{one.today:,} today, {one.this_month:,} this month; no budget"


def _counts(one: SourceStatus) -> str:
    counts = one.row_counts
    deleted = f" and {counts.records_deleted:,} deleted" if counts.records_deleted else ""
    missing = f" ({counts.versions_missing:,} no longer in DatoCMS)" if counts.versions_missing else ""
    parts = (
        f"{count(counts.records - counts.records_deleted, 'record')}{deleted}",
        f"{count(counts.versions, 'version')}{missing}",
        count(counts.events, "event"),
        count(counts.models, "model"),
    )
    return ", ".join(parts)


def _history(one: SourceStatus, days: int) -> str:
    """Return how long DatoCMS keeps versions, and when the next sync is needed for that."""
    kept = f"DatoCMS keeps versions for {count(days, 'day')}"
    return kept if one.sync_before is None else f"{kept}: sync before {when(one.sync_before)} UTC"


def _last_run(run: RunRow, now: datetime) -> str:
    outcome = run.outcome if run.finished_at is not None else "cut off"
    took = f", took {duration((run.finished_at - run.started_at).total_seconds())}" if run.finished_at else ""
    requests = f", {count(run.counts['requests'], 'request')}" if run.finished_at else ""
    return f"#{run.id} {run.kind}, {outcome}, {ago(run.started_at, now)}{took}{requests}"


def _last_change(run: RunRow, now: datetime) -> str:
    counts = run.counts
    changed = changes(
        versions_inserted=counts["versions_inserted"],
        versions_changed=counts["versions_changed"],
        events=counts["events_written"],
    )
    return f"{ago(run.started_at, now)}: {changed} (run #{run.id})"


def _current_run(run: RunRow, now: datetime) -> str:
    seconds, counts = max((now - run.started_at).total_seconds(), 0.0), run.counts
    text = f"#{run.id} {run.kind}, since {duration(seconds)}"
    if not counts["requests"]:
        return text
    text += f", {count(counts['requests'], 'request')}"
    if not counts["records_pulled"]:
        return f"{text}, {count(counts['records_swept'], 'record')} compared"
    rate = f" ({counts['events_written'] / seconds:,.0f}/s)" if seconds >= 1 else ""
    return f"{text}, {count(counts['records_pulled'], 'record')} read, {count(counts['events_written'], 'event')}{rate}"


def _webhook(webhook: WebhookRow, now: datetime) -> str | None:
    """Return its state; None: it is not used."""
    if not webhook.is_used:
        return "the token may not read the log of its calls" if webhook.log_state == "refused" else None
    parts = [f"last call {ago(webhook.last_call_at, now)}" if webhook.last_call_at else "no call yet"]
    if webhook.log_state == "active":
        parts.append(f"its log was read {ago(webhook.log_read_at, now)}" if webhook.log_read_at else "its log is read")
    if webhook.last_gap_at is not None:
        parts.append(f"{count(webhook.log_gaps, 'gap')}, the last {ago(webhook.last_gap_at, now)}")
    if webhook.waiting:
        parts.append(count(webhook.waiting, "queued record"))
    return ", ".join(parts)


def _next_run(one: SourceStatus, now: datetime) -> str:
    daemon = one.daemon
    if daemon is None or daemon.is_expired:
        return "not scheduled: no daemon (`versionsync run`) is running for it"
    if daemon.next_check_at is None:
        return "not known yet"
    seconds = int((daemon.next_check_at - now).total_seconds())
    due = f"in {span(timedelta(seconds=seconds))}" if seconds > 0 else "now"
    return f"{due}: {daemon.next_check_reason}" if daemon.next_check_reason else due


def _lag(lag: LagQuantiles) -> str:
    """Return the lag. DatoCMS gives full seconds, so more digits than a tenth would be noise."""
    p50, p90 = _seconds(lag.p50), _seconds(lag.p90)
    if lag.versions == 1:
        return f"the last version took {p50} from DatoCMS to its row"
    return f"half of the last {lag.versions} versions took at most {p50}, 90 % at most {p90}"


def _seconds(time: timedelta) -> str:
    seconds = time.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else span(time)


def _budget(one: SourceStatus) -> str:
    status = one.budget
    assert status is not None
    shared = f", shared by {status.shared_by} sources" if status.shared_by > 1 else ""
    numbers = f"{status.spent:,} spent, {status.left:,} left, {status.forecast:,} forecast"
    return f"{status.budget}{shared}: {numbers}, until {status.ends_at:%Y-%m-%d %H:%M} UTC"


def _table(snapshot: Snapshot, output: Output) -> tuple[Sequence[Column], list[list[Cell]]]:
    """Return a row for each source. Budget and lag have a column if any source has them."""
    sources, now = snapshot.sources, snapshot.at
    columns = [
        Column(""),
        Column("source", shrinks=True),
        Column("versions", "right"),
        Column("complete", "right"),
        Column("last run"),
        Column("next run"),
    ]
    has_lag, has_budget = any(one.lag for one in sources), any(one.budget for one in sources)
    columns += [Column("lag", "right")] if has_lag else []
    columns += [Column("budget left", "right")] if has_budget else []
    rows: list[list[Cell]] = []
    for one in sources:
        is_well = not snapshot.problems(one)
        row: list[Cell] = [
            (output.symbol(True), GOOD) if is_well else (output.symbol(None), BAD),
            (one.source.name, "" if is_well else BAD),
            f"{one.row_counts.versions:,}",
            short_span(now - one.complete_as_of) + " ago" if one.complete_as_of else "never",
            _outcome(one, now),
            _when_next(one, now),
        ]
        row += [short_span(one.lag.p50) if one.lag else "–"] if has_lag else []
        row += [f"{one.budget.left:,}" if one.budget else "–"] if has_budget else []
        rows.append(row)
    return columns, rows


def _outcome(one: SourceStatus, now: datetime) -> Cell:
    if one.running is not None:
        return f"running {duration((now - one.running.started_at).total_seconds())}", "cyan"
    return one.ended[0].outcome if one.ended else "–"


def _when_next(one: SourceStatus, now: datetime) -> str:
    if one.daemon is None or one.daemon.is_expired:
        return "–"
    at = one.daemon.next_check_at
    if at is None:
        return "?"
    return f"in {short_span(at - now)}" if at > now else "now"
