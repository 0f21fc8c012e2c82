"""Who is told what, and when: each trouble once, and once that it has passed. Pure.

A source is in one trouble from the first notice until all is well again, whatever else goes wrong meanwhile: what is
told in between is only what is worse than what was told before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from versionsync.daemon.readiness import is_stale
from versionsync.daemon.state import WorkerState, WorkerStatus
from versionsync.errors import ErrorKind

__all__ = ["MAX_PER_HOUR", "SETTLED_SECONDS", "NotificationKind", "NotificationState", "Rule", "kind_of", "worst"]

HOUR_SECONDS: Final = 3600.0

MAX_PER_HOUR: Final = 12
"""So many notices go to one place within an hour; what is still so after that is told then."""

SETTLED_SECONDS: Final = 30.0
"""A source must be stale for so long before it is told: a machine that wakes up has everything stale for a moment."""


class NotificationKind(StrEnum):
    """What a notice is about; the values are those of the settings."""

    FAILING = "failing"
    STALE = "stale"
    MASS_DELETE = "mass_delete"
    RECOVERED = "recovered"


_BY_SEVERITY: Final = (
    NotificationKind.RECOVERED,
    NotificationKind.STALE,
    NotificationKind.FAILING,
    NotificationKind.MASS_DELETE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one place wants to be told: of which sources (None: all of them), and after how many failures."""

    on: frozenset[NotificationKind] = frozenset(NotificationKind)
    sources: frozenset[str] | None = None
    after_failures: int = 3

    def is_about(self, source: str) -> bool:
        """Whether it wants to hear of `source`."""
        return self.sources is None or source in self.sources


def kind_of(state: WorkerState, now: datetime, rule: Rule) -> NotificationKind | None:
    """The worst that `rule` wants to be told of a source as it stands; None: nothing, or another daemon follows it."""
    if state.status is WorkerStatus.STANDBY:
        return None
    if state.error_kind is ErrorKind.MASS_DELETE and NotificationKind.MASS_DELETE in rule.on:
        return NotificationKind.MASS_DELETE
    if state.failures >= rule.after_failures and NotificationKind.FAILING in rule.on:
        return NotificationKind.FAILING
    if is_stale(state, now) and NotificationKind.STALE in rule.on:
        return NotificationKind.STALE
    return None


def worst(kinds: Iterable[NotificationKind]) -> NotificationKind:
    """The one of `kinds`, at least one, that a notice of all of them is about."""
    return max(kinds, key=_BY_SEVERITY.index)


@dataclass(slots=True)
class _Incident:
    """What was told of one source since it was well; `stale_since` is by a clock that never jumps."""

    sent: NotificationKind | None = None
    stale_since: float | None = None


@dataclass(slots=True)
class NotificationState:
    """What one place has been told. `clock` below is seconds of a clock that never jumps."""

    _incidents: dict[str, _Incident] = field(default_factory=dict)
    _sent: deque[float] = field(default_factory=deque)

    def due(self, state: WorkerState, rule: Rule, *, now: datetime, clock: float) -> NotificationKind | None:
        """What is to be told of a source next; None: nothing. It is told again until `told` says that it was."""
        if not rule.is_about(state.name):
            return None
        trouble = self._incidents.setdefault(state.name, _Incident())
        kind = kind_of(state, now, rule)
        is_settled = _is_settled(trouble, kind, clock)
        if kind is not None:
            return kind if is_settled and _is_worse(kind, trouble.sent) and self._may_send(clock) else None
        if trouble.sent is None or not _is_well(state, now):
            return None
        if NotificationKind.RECOVERED not in rule.on:
            trouble.sent = None
            return None
        return NotificationKind.RECOVERED if self._may_send(clock) else None

    def mark_sent(self, kinds: Mapping[str, NotificationKind], *, clock: float) -> None:
        """One notice has been sent, which says this of these sources."""
        self._sent.append(clock)
        for source, kind in kinds.items():
            trouble = self._incidents.setdefault(source, _Incident())
            trouble.sent = None if kind is NotificationKind.RECOVERED else kind

    def sent_for(self, source: str) -> NotificationKind | None:
        """The worst that was told of a source since it was well; None: nothing."""
        trouble = self._incidents.get(source)
        return None if trouble is None else trouble.sent

    def restore(self, source: str, kind: NotificationKind) -> None:
        """This was told of a source before this memory began."""
        trouble = self._incidents.setdefault(source, _Incident())
        if _is_worse(kind, trouble.sent):
            trouble.sent = kind

    def reset(self, source: str) -> None:
        """Others tell of that source."""
        self._incidents.pop(source, None)

    def is_last_of_the_hour(self, clock: float) -> bool:
        """Whether one more notice is the last one for now."""
        self._delete_old(clock)
        return len(self._sent) == MAX_PER_HOUR - 1

    def _may_send(self, clock: float) -> bool:
        self._delete_old(clock)
        return len(self._sent) < MAX_PER_HOUR

    def _delete_old(self, clock: float) -> None:
        while self._sent and self._sent[0] <= clock - HOUR_SECONDS:
            self._sent.popleft()


def _is_settled(trouble: _Incident, kind: NotificationKind | None, clock: float) -> bool:
    """Whether what is wrong has been so for long enough to be told; a failure has, since it was tried again."""
    if kind is not NotificationKind.STALE:
        trouble.stale_since = None
        return True
    if trouble.stale_since is None:
        trouble.stale_since = clock
    return clock - trouble.stale_since >= SETTLED_SECONDS


def _is_worse(kind: NotificationKind, told: NotificationKind | None) -> bool:
    return told is None or _BY_SEVERITY.index(kind) > _BY_SEVERITY.index(told)


def _is_well(state: WorkerState, now: datetime) -> bool:
    """Whether a look has succeeded, and lately; a source that another process has for now is not known to be."""
    return state.status is WorkerStatus.ACTIVE and not is_stale(state, now)
