"""How it stands with the sources, for people: all of one source, or a line each and what needs attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from versionsync.cli.attention import SourceStatus, ago, span
from versionsync.cli.snapshot import Snapshot
from versionsync.cli.terminal.output import Cell, Column, Output
from versionsync.text import count, duration, when

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.text import Text

    from versionsync.mirror.status import LagQuantiles
    from versionsync.mirror.tables.runs import RunRow
    from versionsync.mirror.tables.webhooks import WebhookRow

__all__ = ["lines_of"]

NAME_WIDTH: Final = 12
GOOD, BAD, FAINT = "green", "yellow", "dim"

Fact = tuple[str, str]


def lines_of(
    snapshot: Snapshot, output: Output, *, redact: Callable[[str], str], in_full: bool | None = None
) -> list[Text]:
    """A snapshot as lines that fit. `in_full`: all of each source, or (False) a table; None: all of a single one."""
    lines: list[Text] = []
    if in_full or (in_full is None and len(snapshot.sources) == 1):
        for number, one in enumerate(snapshot.sources):
            lines += output.paragraph_lines() if number else []
            lines += _in_full(snapshot, one, output, redact)
    elif snapshot.sources:
        lines += output.table_lines(*_table(snapshot, output))
        for one in snapshot.sources:
            for told in snapshot.attention(one):
                lines += output.paragraph_lines(
                    (f"{output.symbol(None)} {one.source.name}: {redact(told)}", BAD), hang=2
                )
    for name in snapshot.unsynced:
        told = f"{output.symbol(None)} {name}: not synced yet. Run: versionsync sync {name}"
        lines += output.paragraph_lines((told, BAD), hang=2)
    if not lines:
        lines += output.paragraph_lines("Nothing is mirrored yet. Run: versionsync sync")
    return lines


def _in_full(snapshot: Snapshot, one: SourceStatus, output: Output, redact: Callable[[str], str]) -> Iterator[Text]:
    attention = snapshot.attention(one)
    yield from output.paragraph_lines((one.source.name, f"bold {BAD if attention else GOOD}"))
    for name, value in _facts(one, snapshot.at):
        yield from output.paragraph_lines((f"  {name:<{NAME_WIDTH}} ", FAINT), value, hang=NAME_WIDTH + 3)
    for told in attention:
        yield from output.paragraph_lines((f"  {output.symbol(None)} {redact(told)}", BAD), hang=4)


def _facts(one: SourceStatus, now: datetime) -> Iterator[Fact]:
    project = one.source.project
    yield "project", f"{project.name or '–'} (id {project.id})"
    yield "environment", f"{project.environment}{' (the primary one, followed)' if project.follows_primary else ''}"
    yield "mirrored", _counts(one)
    fresh = one.complete_as_of
    yield "fresh as of", f"{when(fresh)} UTC ({ago(fresh, now)})" if fresh else "never yet"
    if (days := one.source.project.history_retention_days) is not None:
        yield "history", _history(one, days)
    if (since := one.source.checkpoint.unexplained_change_since) is not None:
        yield "searching", f"for a change that no list shows, reported {when(since)} UTC ({ago(since, now)})"
    yield "last run", _last_run(one.ended[0], now) if one.ended else "none yet"
    if one.running is not None:
        yield "under way", _current_run(one.running, now)
    if one.lease is not None and one.is_written:
        yield "writing", f"{one.lease.holder}, until {when(one.lease.expires_at)} UTC unless renewed"
    yield "next run", _next_run(one, now)
    if one.daemon is not None:
        holder = str(one.daemon.holder)
        yield "followed by", holder if one.has_daemon else f"nobody: {holder} did, and ended without a word"
    if one.webhook is not None and (told := _webhook(one.webhook, now)):
        yield "webhook", told
    if one.lag is not None:
        yield "lag", _lag(one.lag)
    if one.budget is not None:
        yield "budget", _budget(one)
    elif one.daemon is not None or one.this_month:
        yield "requests", f"{one.today:,} today, {one.this_month:,} this month; no budget"


def _counts(one: SourceStatus) -> str:
    held = one.row_counts
    deleted = f" and {held.records_deleted:,} deleted" if held.records_deleted else ""
    kept = f" ({held.versions_missing:,} gone upstream)" if held.versions_missing else ""
    parts = (
        f"{count(held.records - held.records_deleted, 'record')}{deleted}",
        f"{count(held.versions, 'version')}{kept}",
        count(held.events, "event"),
        count(held.models, "model"),
    )
    return ", ".join(parts)


def _history(one: SourceStatus, days: int) -> str:
    """For how long DatoCMS keeps versions, and when the next sync is needed for that."""
    kept = f"DatoCMS keeps versions for {count(days, 'day')}"
    return kept if one.sync_before is None else f"{kept}: sync before {when(one.sync_before)} UTC"


def _last_run(run: RunRow, now: datetime) -> str:
    outcome = run.outcome if run.finished_at is not None else "cut off"
    took = f", took {duration((run.finished_at - run.started_at).total_seconds())}" if run.finished_at else ""
    requests = f", {count(run.counts['requests'], 'request')}" if run.finished_at else ""
    return f"#{run.id} {run.kind}, {outcome}, {ago(run.started_at, now)}{took}{requests}"


def _current_run(run: RunRow, now: datetime) -> str:
    seconds, counts = max((now - run.started_at).total_seconds(), 0.0), run.counts
    told = f"#{run.id} {run.kind}, since {duration(seconds)}"
    if not counts["requests"]:
        return told
    told += f", {count(counts['requests'], 'request')}"
    if not counts["records_pulled"]:
        return f"{told}, {count(counts['records_swept'], 'record')} compared"
    rate = f" ({counts['events_written'] / seconds:,.0f}/s)" if seconds >= 1 else ""
    return f"{told}, {count(counts['records_pulled'], 'record')} read, {count(counts['events_written'], 'event')}{rate}"


def _webhook(webhook: WebhookRow, now: datetime) -> str | None:
    """How it does; None: there is none, or none that is used."""
    if not webhook.is_used:
        return "the token may not read the log of its calls" if webhook.log_state == "refused" else None
    parts = [f"last call {ago(webhook.last_call_at, now)}" if webhook.last_call_at else "no call yet"]
    if webhook.log_state == "read":
        parts.append(f"its log was read {ago(webhook.log_read_at, now)}" if webhook.log_read_at else "its log is read")
    if webhook.last_gap_at is not None:
        parts.append(f"{count(webhook.log_gaps, 'gap')}, the last {ago(webhook.last_gap_at, now)}")
    if webhook.waiting:
        parts.append(f"{count(webhook.waiting, 'hint')} waiting")
    return ", ".join(parts)


def _next_run(one: SourceStatus, now: datetime) -> str:
    follower = one.daemon
    if follower is None or follower.is_expired:
        return "when it is asked for: no `versionsync run` follows it"
    if follower.next_check_at is None:
        return "not known yet"
    seconds = int((follower.next_check_at - now).total_seconds())
    due = f"in {span(timedelta(seconds=seconds))}" if seconds > 0 else "now"
    return f"{due}: {follower.next_check_reason}" if follower.next_check_reason else due


def _lag(lag: LagQuantiles) -> str:
    """Upstream tells whole seconds: a tenth is more than can be known."""
    median, ninth = _seconds(lag.p50), _seconds(lag.p90)
    if lag.versions == 1:
        return f"the last version took {median} from upstream to its row"
    return f"half of the last {lag.versions} versions took {median} at the most, nine of ten {ninth}"


def _seconds(time: timedelta) -> str:
    seconds = time.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else span(time)


def _budget(one: SourceStatus) -> str:
    purse = one.budget
    assert purse is not None
    shared = f", shared by {purse.shared_by} sources" if purse.shared_by > 1 else ""
    numbers = f"{purse.spent:,} spent, {purse.left:,} left, {purse.forecast:,} forecast"
    return f"{purse.budget}{shared}: {numbers}, until {purse.ends_at:%Y-%m-%d %H:%M} UTC"


def _table(snapshot: Snapshot, output: Output) -> tuple[Sequence[Column], list[list[Cell]]]:
    """A line a source. Budget and lag have a column where at least one of them has any."""
    sources, now = snapshot.sources, snapshot.at
    columns = [
        Column(""),
        Column("source", shrinks=True),
        Column("versions", "right"),
        Column("fresh as of", "right"),
        Column("last run"),
        Column("next run"),
    ]
    has_lag, has_budget = any(one.lag for one in sources), any(one.budget for one in sources)
    columns += [Column("lag", "right")] if has_lag else []
    columns += [Column("budget left", "right")] if has_budget else []
    rows: list[list[Cell]] = []
    for one in sources:
        is_well = not snapshot.attention(one)
        row: list[Cell] = [
            (output.symbol(True), GOOD) if is_well else (output.symbol(None), BAD),
            (one.source.name, "" if is_well else BAD),
            f"{one.row_counts.versions:,}",
            _short(now - one.complete_as_of) + " ago" if one.complete_as_of else "never",
            _outcome(one, now),
            _when_next(one, now),
        ]
        row += [_short(one.lag.p50) if one.lag else "–"] if has_lag else []
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
    return f"in {_short(at - now)}" if at > now else "now"


def _short(time: timedelta) -> str:
    """`5 s`, `12 min`, `3 h`, `4 d`."""
    seconds = max(time.total_seconds(), 0.0)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
