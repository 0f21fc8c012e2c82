"""The text of a notification: which source, what is wrong, since when, what to do, and which machine reports it. Pure.

It holds no content of a project. The sender masks secrets in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from versionsync.daemon.notifications.rules import MAX_PER_HOUR, NotificationKind, worst
from versionsync.daemon.worker_state import WorkerState
from versionsync.errors import ErrorKind
from versionsync.text import span, when

__all__ = ["Notification", "notification_for", "test_notification"]

_TITLES: Final[Mapping[NotificationKind, str]] = {
    NotificationKind.FAILING: "failing",
    NotificationKind.STALE: "stale",
    NotificationKind.MASS_DELETE: "too many records were deleted at once",
    NotificationKind.RECOVERED: "recovered",
}
_ADVICE: Final[Mapping[ErrorKind, str]] = {
    ErrorKind.UNAVAILABLE: "Nothing, if DatoCMS is down for a while: versionsync tries again by itself. Otherwise "
    "check the network of this machine with `versionsync doctor`.",
    ErrorKind.STALLED: "Nothing, if it happens once. Otherwise check with `versionsync doctor` whether DatoCMS or the "
    "database does not answer.",
    ErrorKind.REFUSED: "Fix the token, its role or the environment: `versionsync doctor` shows which. A new token in "
    "the token file is used without a restart.",
    ErrorKind.CONFIGURATION: "Fix the settings: they lead to another project or environment than before, or to a "
    "missing token. `versionsync doctor` shows which.",
    ErrorKind.DATABASE: "Check with `versionsync doctor` that the database is up and its disk has space. versionsync "
    "tries again by itself.",
    ErrorKind.PARTIAL: "All other records are mirrored, and these are tried again. If the error stays, check these "
    "records in DatoCMS.",
    ErrorKind.UNKNOWN_RECORD: "Nothing: the source is well. Check the record id that was given.",
    ErrorKind.MASS_DELETE: "Nothing was marked as deleted. If the deletions are right, run `versionsync sync "
    "--allow-mass-delete`.",
    ErrorKind.BUDGET: "Nothing: the next period brings new requests. To avoid it, raise `budget`, or raise "
    "`max_staleness` and lower `scrub`.",
    ErrorKind.LOCKED: "Another process writes to the source: wait for it, or stop it.",
    ErrorKind.UNEXPECTED: "This should not happen: run `versionsync sync --debug` and report what it shows.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One notification. `kind` is the worst problem in it; None: it is a test."""

    kind: NotificationKind | None
    title: str
    body: str


def notification_for(
    due: Sequence[tuple[NotificationKind, WorkerState]], *, now: datetime, host: str, is_last: bool = False
) -> Notification:
    """Return the notification about these sources, at least one.

    Args:
        due: Each source with what its notification is about.
        now: The time.
        host: The name of this machine.
        is_last: Whether no more notifications can be sent within the hour.
    """
    parts = ["\n".join(_lines(kind, state, now)) for kind, state in due]
    foot = f"{host}, {when(now)} UTC"
    if is_last:
        foot += f"\nThis channel gets at most {MAX_PER_HOUR} notifications an hour: the next one has to wait."
    title = _title(*due[0], now) if len(due) == 1 else _title_of_many(due)
    kind = worst(kind for kind, _ in due)
    if len(due) == 1:
        return Notification(kind=kind, title=title, body=f"{parts[0]}\n{foot}")
    named = [f"{state.name}: {part}" for part, (_, state) in zip(parts, due, strict=True)]
    return Notification(kind=kind, title=title, body="\n\n".join([*named, foot]))


def test_notification(*, host: str, now: datetime) -> Notification:
    """Return a notification that only tests whether it arrives."""
    body = f"Nothing is wrong: this is a test of the notifications.\n{host}, {when(now)} UTC"
    return Notification(kind=None, title="versionsync: a test", body=body)


def _title(kind: NotificationKind, state: WorkerState, now: datetime) -> str:
    title = _TITLES[kind]
    if kind is NotificationKind.FAILING:
        title += f" ({state.failures} in a row)"
    elif kind is NotificationKind.STALE:
        title += f" for {_age(state, now)}"
    return f"versionsync: {state.name}: {title}"


def _title_of_many(due: Sequence[tuple[NotificationKind, WorkerState]]) -> str:
    names: dict[NotificationKind, list[str]] = {}
    for kind, state in due:
        names.setdefault(kind, []).append(state.name)
    return "versionsync: " + "; ".join(f"{_TITLES[kind]}: {', '.join(of)}" for kind, of in names.items())


def _lines(kind: NotificationKind, state: WorkerState, now: datetime) -> list[str]:
    if kind is NotificationKind.RECOVERED:
        return [f"The source {state.name} is mirrored again, as of {when(state.last_success_at or now)} UTC."]
    lines = [f"{state.error[:1].upper()}{state.error[1:].rstrip('.')}."] if state.error else []
    if not state.error and state.progress is not None:
        lines.append(f"A run is in progress and not finished yet: {state.progress.phase}.")
    lines.append(_since(state, now))
    if state.error_kind is not None:
        lines.append(f"What to do: {_ADVICE[state.error_kind]}")
    elif kind is NotificationKind.STALE:
        lines.append("What to do: run `versionsync status` to see what it does.")
    return lines


def _since(state: WorkerState, now: datetime) -> str:
    age = _age(state, now)
    if state.last_success_at is None:
        return f"No check of {state.name} has succeeded since the start {age} ago ({when(state.since)} UTC)."
    return f"The last successful check of {state.name} was {age} ago ({when(state.last_success_at)} UTC)."


def _age(state: WorkerState, now: datetime) -> str:
    return span(timedelta(seconds=state.staleness(now)))
