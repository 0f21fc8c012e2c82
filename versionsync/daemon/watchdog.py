"""Whether the daemon gets on, by what gets done and not by a timer: what a watchdog wants to know. Pure.

Each activity has a mark that is another one whenever something got done. One whose mark stands still for too long
hangs: a run whose deadline could not end it, a database call that never returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Activity", "Watchdog"]


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that goes on. `mark` None: it rests. Its mark may stand still for `patience` seconds."""

    name: str
    mark: object | None
    timeout: float


class Watchdog:
    """Remembers since when each activity's mark stands still."""

    def __init__(self) -> None:
        self._seen: Mapping[str, tuple[object, float]] = {}

    def stuck(self, activities: Iterable[Activity], now: float) -> list[str]:
        """The names of those that hang; `now` in seconds of a clock that never jumps."""
        seen: dict[str, tuple[object, float]] = {}
        hanging: list[str] = []
        for activity in activities:
            if activity.mark is None:
                continue
            mark, since = self._seen.get(activity.name, (None, now))
            since = since if mark == activity.mark else now
            seen[activity.name] = activity.mark, since
            if now - since > activity.timeout:
                hanging.append(activity.name)
        self._seen = seen
        return hanging
