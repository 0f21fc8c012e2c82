"""When a notification is due: once for each problem, and once when it has passed. Pure.

A source has one problem from the first notification until all is well again, whatever else goes wrong meanwhile. In
between only something worse than before is sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from versionsync.daemon.worker_state import WorkerState, WorkerStatus
from versionsync.errors import ErrorKind
from versionsync.status.model import is_stale

__all__ = ["MAX_PER_HOUR", "SETTLED_SECONDS", "NotificationKind", "NotificationState", "Rule", "kind_of", "worst"]

HOUR_SECONDS: Final = 3600.0

MAX_PER_HOUR: Final = 12
"""The notifications that one channel gets within an hour. A problem that lasts longer is sent after that."""

SETTLED_SECONDS: Final = 30.0
"""How long a source must be stale before a notification: after a machine wakes up, everything is stale for a moment."""


class NotificationKind(StrEnum):
    """What a notification is about; the values are those of the settings."""

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
    """What one channel gets.

    Attributes:
        on: The kinds of notifications.
        sources: The sources; None: all of them.
        after_failures: The failures in a row before a source counts as failing.
    """

    on: frozenset[NotificationKind] = frozenset(NotificationKind)
    sources: frozenset[str] | None = None
    after_failures: int = 3

    def is_about(self, source: str) -> bool:
        """Return whether the rule covers `source`."""
        return self.sources is None or source in self.sources


def kind_of(state: WorkerState, now: datetime, rule: Rule) -> NotificationKind | None:
    """Return the worst problem of a source that the rule covers; None: there is none, or it is a standby."""
    if state.status is WorkerStatus.STANDBY:
        return None
    if state.error_kind is ErrorKind.MASS_DELETE and NotificationKind.MASS_DELETE in rule.on:
        return NotificationKind.MASS_DELETE
    if state.failures >= rule.after_failures and NotificationKind.FAILING in rule.on:
        return NotificationKind.FAILING
    if is_stale(state.health(now), now) and NotificationKind.STALE in rule.on:
        return NotificationKind.STALE
    return None


def worst(kinds: Iterable[NotificationKind]) -> NotificationKind:
    """Return the most severe of `kinds`, which must have at least one."""
    return max(kinds, key=_BY_SEVERITY.index)


@dataclass(slots=True)
class _Incident:
    """The worst that was sent about a source since it was well. `stale_since` is monotonic."""

    sent: NotificationKind | None = None
    stale_since: float | None = None


@dataclass(slots=True)
class NotificationState:
    """What one channel has got. `clock` is monotonic in all methods."""

    _incidents: dict[str, _Incident] = field(default_factory=dict)
    _sent: deque[float] = field(default_factory=deque)

    def due(self, state: WorkerState, rule: Rule, *, now: datetime, clock: float) -> NotificationKind | None:
        """Return the notification that is due for the source, or None. It stays due until `mark_sent`."""
        if not rule.is_about(state.name):
            return None
        incident = self._incidents.setdefault(state.name, _Incident())
        kind = kind_of(state, now, rule)
        is_settled = _is_settled(incident, kind, clock)
        if kind is not None:
            return kind if is_settled and _is_worse(kind, incident.sent) and self._may_send(clock) else None
        if incident.sent is None or not _is_well(state, now):
            return None
        if NotificationKind.RECOVERED not in rule.on:
            incident.sent = None
            return None
        return NotificationKind.RECOVERED if self._may_send(clock) else None

    def mark_sent(self, kinds: Mapping[str, NotificationKind], *, clock: float) -> None:
        """Record one notification that was sent about these sources."""
        self._sent.append(clock)
        for source, kind in kinds.items():
            incident = self._incidents.setdefault(source, _Incident())
            incident.sent = None if kind is NotificationKind.RECOVERED else kind

    def sent_for(self, source: str) -> NotificationKind | None:
        """Return the worst that was sent about a source since it was well; None: nothing."""
        incident = self._incidents.get(source)
        return None if incident is None else incident.sent

    def restore(self, source: str, kind: NotificationKind) -> None:
        """Take over what was sent about a source before the start of this daemon."""
        incident = self._incidents.setdefault(source, _Incident())
        if _is_worse(kind, incident.sent):
            incident.sent = kind

    def reset(self, source: str) -> None:
        """Forget a source: another daemon sends its notifications."""
        self._incidents.pop(source, None)

    def is_last_of_the_hour(self, clock: float) -> bool:
        """Return whether the next notification is the last one for now."""
        self._delete_old(clock)
        return len(self._sent) == MAX_PER_HOUR - 1

    def _may_send(self, clock: float) -> bool:
        self._delete_old(clock)
        return len(self._sent) < MAX_PER_HOUR

    def _delete_old(self, clock: float) -> None:
        while self._sent and self._sent[0] <= clock - HOUR_SECONDS:
            self._sent.popleft()


def _is_settled(incident: _Incident, kind: NotificationKind | None, clock: float) -> bool:
    """Return whether a problem has lasted long enough. A failure has: it was tried again."""
    if kind is not NotificationKind.STALE:
        incident.stale_since = None
        return True
    if incident.stale_since is None:
        incident.stale_since = clock
    return clock - incident.stale_since >= SETTLED_SECONDS


def _is_worse(kind: NotificationKind, sent: NotificationKind | None) -> bool:
    return sent is None or _BY_SEVERITY.index(kind) > _BY_SEVERITY.index(sent)


def _is_well(state: WorkerState, now: datetime) -> bool:
    """Return whether a check has succeeded lately; this is not known while another process has the source."""
    return state.status is WorkerStatus.ACTIVE and not is_stale(state.health(now), now)
