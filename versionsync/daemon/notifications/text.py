"""What a notice says: which source, what is wrong, since when, what to do, and which machine says so. Pure.

It holds no content of a project, and is redacted by whoever sends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from versionsync.daemon.notifications.rules import MAX_PER_HOUR, NotificationKind, worst
from versionsync.daemon.state import WorkerState
from versionsync.errors import ErrorKind

__all__ = ["Notification", "notification_for", "test_notification"]

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400

_WORDS: Final[Mapping[NotificationKind, str]] = {
    NotificationKind.FAILING: "failing",
    NotificationKind.STALE: "stale",
    NotificationKind.MASS_DELETE: "too many records vanished at once",
    NotificationKind.RECOVERED: "well again",
}
_ADVICE: Final[Mapping[ErrorKind, str]] = {
    ErrorKind.UNAVAILABLE: "Nothing, if DatoCMS is away for a while: it goes on by itself. Otherwise look at the "
    "network of this machine: `versionsync doctor` tries it.",
    ErrorKind.STALLED: "Nothing, if it happens once. Otherwise see whether DatoCMS or the database hangs: "
    "`versionsync doctor` tries both.",
    ErrorKind.REFUSED: "Somebody has to mend the token, its role or the environment: `versionsync doctor` says which. "
    "A token that is exchanged in its file is used by itself.",
    ErrorKind.CONFIGURATION: "Somebody has to mend the settings: they lead to another project or environment than "
    "before, or to a token that is not there. `versionsync doctor` says which.",
    ErrorKind.DATABASE: "See that the database is up and its disk has room: `versionsync doctor` tries it. It goes on "
    "by itself.",
    ErrorKind.PARTIAL: "All other records are mirrored, and these are tried again. If it stays, look at "
    "them in DatoCMS.",
    ErrorKind.UNKNOWN_RECORD: "Nothing: the source is well. Check the id of the record that was asked for.",
    ErrorKind.MASS_DELETE: "Nothing was marked as deleted, and nothing will be until somebody says that it is so.",
    ErrorKind.BUDGET: "It goes on by itself when the budget allows; raise `budget`, or ask for less by `max_staleness` "
    "and `scrub`.",
    ErrorKind.LOCKED: "Another process writes to the source: wait for it, or stop it.",
    ErrorKind.UNEXPECTED: "This should not happen: run `versionsync sync --debug` and report what it shows.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One notice as it is sent; `kind` is the worst thing in it, None where it only tries whether it arrives."""

    kind: NotificationKind | None
    title: str
    body: str


def notification_for(
    due: Sequence[tuple[NotificationKind, WorkerState]], *, now: datetime, host: str, is_last: bool = False
) -> Notification:
    """What is told of these sources, at least one, as they stand. `is_last`: no more can be told within the hour."""
    parts = ["\n".join(_lines(kind, state, now)) for kind, state in due]
    foot = f"{host}, {_time(now)}"
    if is_last:
        foot += f"\nNo more than {MAX_PER_HOUR} notices an hour are sent here: what comes now has to wait."
    title = _title(*due[0], now) if len(due) == 1 else _title_of_many(due)
    kind = worst(kind for kind, _ in due)
    if len(due) == 1:
        return Notification(kind=kind, title=title, body=f"{parts[0]}\n{foot}")
    named = [f"{state.name}: {part}" for part, (_, state) in zip(parts, due, strict=True)]
    return Notification(kind=kind, title=title, body="\n\n".join([*named, foot]))


def test_notification(*, host: str, now: datetime) -> Notification:
    """A notice that says nothing but that notices arrive."""
    body = f"Nothing is wrong: somebody tries whether notices arrive.\n{host}, {_time(now)}"
    return Notification(kind=None, title="versionsync: a test", body=body)


def _title(kind: NotificationKind, state: WorkerState, now: datetime) -> str:
    what = _WORDS[kind]
    if kind is NotificationKind.FAILING:
        what += f" ({state.failures} in a row)"
    elif kind is NotificationKind.STALE:
        what += f" for {_duration(state.staleness(now))}"
    return f"versionsync: {state.name}: {what}"


def _title_of_many(due: Sequence[tuple[NotificationKind, WorkerState]]) -> str:
    names: dict[NotificationKind, list[str]] = {}
    for kind, state in due:
        names.setdefault(kind, []).append(state.name)
    return "versionsync: " + "; ".join(f"{_WORDS[kind]}: {', '.join(of)}" for kind, of in names.items())


def _lines(kind: NotificationKind, state: WorkerState, now: datetime) -> list[str]:
    if kind is NotificationKind.RECOVERED:
        return [f"The source {state.name} is mirrored again, as of {_time(state.last_success_at or now)}."]
    lines = [f"{_sentence(state.error)}"] if state.error else []
    if not state.error and state.progress is not None:
        lines.append(f"A run is under way and not done yet: {state.progress.phase}.")
    lines.append(_since(state, now))
    if state.error_kind is not None:
        lines.append(f"What to do: {_ADVICE[state.error_kind]}")
    elif kind is NotificationKind.STALE:
        lines.append("What to do: `versionsync status` says what it is at.")
    return lines


def _since(state: WorkerState, now: datetime) -> str:
    ago = _duration(state.staleness(now))
    if state.last_success_at is None:
        return f"No look at {state.name} has succeeded since the start {ago} ago ({_time(state.since)})."
    return f"The last look at {state.name} that succeeded was {ago} ago ({_time(state.last_success_at)})."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _duration(seconds: float) -> str:
    """As somebody would say it: one unit is enough."""
    for unit, name in ((_DAY, "days"), (_HOUR, "hours"), (_MINUTE, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds:.0f} seconds"


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
