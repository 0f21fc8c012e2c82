"""Many sources in few lines: the state of each in one word, how many are in each state, and the worst first. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from versionsync.status.model import Problem, ProblemKind

__all__ = ["HealthState", "is_pattern", "matches", "rank", "state_of", "summary", "summary_text"]


class HealthState(StrEnum):
    """The state of a source, the worst first."""

    FAILING = "failing"
    """The last run failed, or several did while a daemon tries again."""
    STALE = "stale"
    """The mirror is older than it may be, or was never complete."""
    ATTENTION = "attention"
    """Something else needs attention: a budget, a webhook, a view, a history that may end."""
    UNSYNCED = "unsynced"
    """The settings have it, and the database does not."""
    STARTING = "starting"
    """The first run of its daemon is not finished yet."""
    WELL = "well"
    """Nothing needs attention."""
    STANDBY = "standby"
    """Another process takes care of it."""


_RANKS: Final[Mapping[HealthState, int]] = {state: rank for rank, state in enumerate(HealthState)}

_BY_PROBLEM: Final = {
    ProblemKind.STARTING: HealthState.STARTING,
    ProblemKind.FAILING: HealthState.FAILING,
    ProblemKind.NEVER_COMPLETE: HealthState.STALE,
    ProblemKind.STALE: HealthState.STALE,
}

_WORDS: Final[Mapping[HealthState, str]] = {
    HealthState.ATTENTION: "with another problem",
    HealthState.UNSYNCED: "not synced yet",
    HealthState.STANDBY: "on standby",
}


def state_of(problems: Iterable[Problem], *, is_standby: bool = False) -> HealthState:
    """Return the state of a source with these problems: that of the worst."""
    if is_standby:
        return HealthState.STANDBY
    states = (_BY_PROBLEM.get(problem.kind, HealthState.ATTENTION) for problem in problems)
    return min(states, key=_RANKS.__getitem__, default=HealthState.WELL)


def rank(state: HealthState, complete_as_of: datetime | None, name: str) -> tuple[int, float, str]:
    """Return the key that sorts sources: the worst state first; among bad ones the oldest; then by name."""
    is_bad = _RANKS[state] < _RANKS[HealthState.UNSYNCED]
    age = complete_as_of.timestamp() if complete_as_of is not None and is_bad else float("-inf")
    return _RANKS[state], age, name


def summary(states: Iterable[HealthState]) -> dict[HealthState, int]:
    """Return how many sources are in each state, the worst first. States without a source have 0."""
    numbers = Counter(states)
    return {state: numbers[state] for state in HealthState}


def summary_text(numbers: Mapping[HealthState, int]) -> str:
    """Return the numbers in words: `3 failing, 12 stale, 985 well`. Zeros are left out."""
    return ", ".join(f"{number:,} {_WORDS.get(state, state.value)}" for state, number in numbers.items() if number)


def is_pattern(name: str) -> bool:
    """Return whether this is a pattern, such as `shop-*`, and no name of a source."""
    return any(char in name for char in "*?[")


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a name fits one of the patterns. Upper and lower case do not count."""
    return any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in patterns)
