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
from versionsync.daemon.state import SourceState, Stance
from versionsync.sync.error_kinds import ErrorKind

__all__ = ["MOST_AN_HOUR", "SETTLED_SECONDS", "Memory", "NoticeKind", "Rule", "kind_of", "worst"]

HOUR_SECONDS: Final = 3600.0

MOST_AN_HOUR: Final = 12
"""So many notices go to one place within an hour; what is still so after that is told then."""

SETTLED_SECONDS: Final = 30.0
"""A source must be stale for so long before it is told: a machine that wakes up has everything stale for a moment."""


class NoticeKind(StrEnum):
    """What a notice is about; the values are those of the settings."""

    FAILING = "failing"
    STALE = "stale"
    VANISHED = "vanished"
    RECOVERED = "recovered"


_WORSE_LAST: Final = (NoticeKind.RECOVERED, NoticeKind.STALE, NoticeKind.FAILING, NoticeKind.VANISHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one place wants to be told: of which sources (None: all of them), and after how many failures."""

    on: frozenset[NoticeKind] = frozenset(NoticeKind)
    sources: frozenset[str] | None = None
    after: int = 3

    def is_about(self, source: str) -> bool:
        """Whether it wants to hear of `source`."""
        return self.sources is None or source in self.sources


def kind_of(state: SourceState, now: datetime, rule: Rule) -> NoticeKind | None:
    """The worst that `rule` wants to be told of a source as it stands; None: nothing, or another daemon follows it."""
    if state.stance is Stance.STANDBY:
        return None
    if state.trouble is ErrorKind.MASS_DELETE and NoticeKind.VANISHED in rule.on:
        return NoticeKind.VANISHED
    if state.failures >= rule.after and NoticeKind.FAILING in rule.on:
        return NoticeKind.FAILING
    if is_stale(state, now) and NoticeKind.STALE in rule.on:
        return NoticeKind.STALE
    return None


def worst(kinds: Iterable[NoticeKind]) -> NoticeKind:
    """The one of `kinds`, at least one, that a notice of all of them is about."""
    return max(kinds, key=_WORSE_LAST.index)


@dataclass(slots=True)
class _Trouble:
    """What was told of one source since it was well; `stale_since` is by a clock that never jumps."""

    told: NoticeKind | None = None
    stale_since: float | None = None


@dataclass(slots=True)
class Memory:
    """What one place has been told. `clock` below is seconds of a clock that never jumps."""

    _troubles: dict[str, _Trouble] = field(default_factory=dict)
    _sent: deque[float] = field(default_factory=deque)

    def next_of(self, state: SourceState, rule: Rule, *, now: datetime, clock: float) -> NoticeKind | None:
        """What is to be told of a source next; None: nothing. It is told again until `told` says that it was."""
        if not rule.is_about(state.name):
            return None
        trouble = self._troubles.setdefault(state.name, _Trouble())
        kind = kind_of(state, now, rule)
        is_settled = _is_settled(trouble, kind, clock)
        if kind is not None:
            return kind if is_settled and _is_worse(kind, trouble.told) and self._may_send(clock) else None
        if trouble.told is None or not _is_well(state, now):
            return None
        if NoticeKind.RECOVERED not in rule.on:
            trouble.told = None
            return None
        return NoticeKind.RECOVERED if self._may_send(clock) else None

    def told(self, kinds: Mapping[str, NoticeKind], *, clock: float) -> None:
        """One notice has been sent, which says this of these sources."""
        self._sent.append(clock)
        for source, kind in kinds.items():
            trouble = self._troubles.setdefault(source, _Trouble())
            trouble.told = None if kind is NoticeKind.RECOVERED else kind

    def told_of(self, source: str) -> NoticeKind | None:
        """The worst that was told of a source since it was well; None: nothing."""
        trouble = self._troubles.get(source)
        return None if trouble is None else trouble.told

    def recall(self, source: str, kind: NoticeKind) -> None:
        """This was told of a source before this memory began."""
        trouble = self._troubles.setdefault(source, _Trouble())
        if _is_worse(kind, trouble.told):
            trouble.told = kind

    def forget(self, source: str) -> None:
        """Others tell of that source."""
        self._troubles.pop(source, None)

    def is_last_of_the_hour(self, clock: float) -> bool:
        """Whether one more notice is the last one for now."""
        self._forget(clock)
        return len(self._sent) == MOST_AN_HOUR - 1

    def _may_send(self, clock: float) -> bool:
        self._forget(clock)
        return len(self._sent) < MOST_AN_HOUR

    def _forget(self, clock: float) -> None:
        while self._sent and self._sent[0] <= clock - HOUR_SECONDS:
            self._sent.popleft()


def _is_settled(trouble: _Trouble, kind: NoticeKind | None, clock: float) -> bool:
    """Whether what is wrong has been so for long enough to be told; a failure has, since it was tried again."""
    if kind is not NoticeKind.STALE:
        trouble.stale_since = None
        return True
    if trouble.stale_since is None:
        trouble.stale_since = clock
    return clock - trouble.stale_since >= SETTLED_SECONDS


def _is_worse(kind: NoticeKind, told: NoticeKind | None) -> bool:
    return told is None or _WORSE_LAST.index(kind) > _WORSE_LAST.index(told)


def _is_well(state: SourceState, now: datetime) -> bool:
    """Whether a look has succeeded, and lately; a source that another process has for now is not known to be."""
    return state.stance is Stance.FOLLOWING and not is_stale(state, now)
