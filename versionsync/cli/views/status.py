"""Shows the status of sources to people: all of one source, or a line for each and what needs attention.

Many sources begin with a summary and the worst of them, as many as fit the terminal.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from versionsync.cli.exit_codes import ExitCode, exit_code_of_kind, most_severe
from versionsync.cli.terminal.output import Cell, Column, Output
from versionsync.status.as_json import snapshot_fields
from versionsync.status.model import ProblemKind, SourceStatus
from versionsync.status.ranking import HealthState, summary, summary_text
from versionsync.status.snapshot import Snapshot
from versionsync.text import ago, changes, count, duration, short_span, some, span, when

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.text import Text

    from versionsync.mirror.row_counts import LagQuantiles, SourceCounts
    from versionsync.mirror.tables.runs import RunRow
    from versionsync.mirror.tables.webhooks import WebhookRow

__all__ = ["exit_code", "fitting", "full_lines", "status_fields", "table_lines"]

NAME_WIDTH: Final = 12
SUMMARIZED: Final = 10
"""More sources than this begin with a summary."""
NAMED: Final = 3
"""How many sources one line names that has something to say of several."""
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
    is_empty = not snapshot.sources and snapshot.chosen is None
    codes = [_exit_code_of(snapshot, one) for one in snapshot.sources]
    return most_severe([*codes, ExitCode.PARTIAL if is_empty or snapshot.unsynced else ExitCode.OK])


def status_fields(snapshot: Snapshot, redact: Callable[[str], str]) -> dict[str, object]:
    """Return a snapshot as plain values, with the exit codes."""

    def exit_of(one: SourceStatus) -> int:
        return _exit_code_of(snapshot, one)

    return snapshot_fields(snapshot, redact, exit=exit_code(snapshot), exit_of=exit_of)


def full_lines(snapshot: Snapshot, output: Output, *, redact: Callable[[str], str]) -> list[Text]:
    """Return all of each source as lines that fit the width of the terminal."""
    lines: list[Text] = []
    for number, one in enumerate(snapshot.sources):
        lines += output.paragraph_lines() if number else []
        lines += _in_full(snapshot, one, output, redact)
    return lines + _unsynced(snapshot, output)


def fitting(snapshot: Snapshot, output: Output, *, redact: Callable[[str], str]) -> int:
    """Return how many of the sources, in the order of the snapshot, `table_lines` can show on one screen.

    In a pipe or a file that is all of them, on a terminal at least one.
    """
    number = len(snapshot.sources)
    if output.height is None:
        return number
    room = output.height - 1  # the prompt of the shell follows

    def fits(number: int) -> bool:
        return len(table_lines(snapshot, snapshot.sources[:number], output, redact=redact)) <= room

    if number <= room and fits(number):
        return number
    return max(bisect_right(range(min(number, room) + 1), False, key=lambda one: not fits(one)) - 1, 1)


def table_lines(
    snapshot: Snapshot, shown: Sequence[SourceStatus], output: Output, *, redact: Callable[[str], str]
) -> list[Text]:
    """Return a line for each source that is `shown`, and what needs attention, as lines that fit the terminal's width.

    Args:
        snapshot: The snapshot, with all sources.
        shown: The first of its sources.
        output: Knows the terminal.
        redact: Masks secrets in errors.
    """
    lines: list[Text] = []
    left_out = len(snapshot.sources) - len(shown)
    if left_out or len(snapshot.sources) > SUMMARIZED:
        lines += output.paragraph_lines((_summary(snapshot), "bold"))
        lines += output.paragraph_lines((_daemons(snapshot), FAINT))
    if shown:
        lines += output.table_lines(*_table(snapshot, shown, output))
    if left_out:
        text = f"… and {left_out:,} more. Show them with a name, a pattern such as 'a*', or a pipe."
        lines += output.paragraph_lines((text, FAINT))
    said: dict[str, list[str]] = {}
    for one in shown:
        for problem in snapshot.problems(one):
            said.setdefault(redact(problem.text), []).append(one.source.name)
    for text, names in said.items():
        lines += output.paragraph_lines((f"{output.symbol(None)} {some(names, limit=NAMED)}: {text}", BAD), hang=2)
    lines += _unsynced(snapshot, output)
    if not lines:
        what = "Nothing is mirrored yet. Run: versionsync sync"
        lines += output.paragraph_lines(what if snapshot.chosen is None else f"No source is {snapshot.chosen}.")
    return lines


def _summary(snapshot: Snapshot) -> str:
    numbers = summary([*map(snapshot.state, snapshot.sources), *(HealthState.UNSYNCED for _ in snapshot.unsynced)])
    running = sum(one.running is not None for one in snapshot.sources)
    runs = f"; {count(running, 'run')} in progress" if running else ""
    return f"{count(sum(numbers.values()), 'source')}: {summary_text(numbers)}{runs}"


def _daemons(snapshot: Snapshot) -> str:
    """Return how many of the sources each daemon runs, the busiest first."""
    holders = Counter(str(one.daemon.holder) for one in snapshot.sources if one.daemon is not None and one.has_daemon)
    if not holders:
        return "daemons: none"
    alone = len(snapshot.sources) - holders.total()
    names = [f"{holder} ({number:,})" for holder, number in holders.most_common()]
    return f"daemons: {some(names, limit=NAMED)}" + (f"; none ({alone:,})" if alone else "")


def _unsynced(snapshot: Snapshot, output: Output) -> list[Text]:
    """Return lines for sources that the database does not have: one for each, or for all if there are many."""
    names = snapshot.unsynced
    if len(names) <= NAMED:
        texts = [f"{name}: not synced yet. Run: versionsync sync {name}" for name in names]
    else:
        texts = [f"{some(names, limit=NAMED)}: not synced yet. Run: versionsync sync"]
    return [line for text in texts for line in output.paragraph_lines((f"{output.symbol(None)} {text}", BAD), hang=2)]


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
    if one.details.row_counts is not None:
        yield "mirrored", _counts(one.details.row_counts)
    complete = one.complete_as_of
    yield "complete", f"as of {when(complete)} UTC ({ago(complete, now)})" if complete else "never yet"
    if (days := one.retention_days) is not None:
        yield "history", _history(one, days)
    if (since := one.source.checkpoint.unexplained_change_since) is not None:
        yield "searching", f"for a change that no list shows, since {when(since)} UTC ({ago(since, now)})"
    yield "last run", _last_run(one.ended[0], now) if one.ended else "none yet"
    if one.details.last_changes:
        yield "last change", _last_change(one.details.last_changes[0], now)
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
    if one.details.lag is not None:
        yield "lag", _lag(one.details.lag)
    if one.budget is not None:
        yield "budget", _budget(one)
    elif one.daemon is not None or one.details.this_month:
        sent = f"{one.details.today:,} today, {one.details.this_month:,} this month"
        yield "requests", f"{sent}; no budget"


def _counts(counts: SourceCounts) -> str:
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


def _table(
    snapshot: Snapshot, sources: Sequence[SourceStatus], output: Output
) -> tuple[Sequence[Column], list[list[Cell]]]:
    """Return a row for each source. Budget and lag have a column if any source has them."""
    now = snapshot.at
    columns = [
        Column(""),
        Column("source", shrinks=True),
        Column("versions", "right"),
        Column("complete", "right"),
        Column("last run"),
        Column("next run"),
    ]
    has_lag, has_budget = any(one.details.lag for one in sources), any(one.budget for one in sources)
    columns += [Column("lag", "right")] if has_lag else []
    columns += [Column("budget left", "right")] if has_budget else []
    rows: list[list[Cell]] = []
    for one in sources:
        is_well, counts, lag = not snapshot.problems(one), one.details.row_counts, one.details.lag
        row: list[Cell] = [
            (output.symbol(True), GOOD) if is_well else (output.symbol(None), BAD),
            (one.source.name, "" if is_well else BAD),
            f"{counts.versions:,}" if counts is not None else "–",
            short_span(now - one.complete_as_of) + " ago" if one.complete_as_of else "never",
            _outcome(one, now),
            _when_next(one, now),
        ]
        row += [short_span(lag.p50) if lag else "–"] if has_lag else []
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
