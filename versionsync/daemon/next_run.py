"""When one source is looked at next, by what is known and by what is asked for meanwhile."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from versionsync.daemon.scheduler import SourceScheduler
from versionsync.daemon.state import WorkerState, WorkerStatus

__all__ = ["NextRun"]


class NextRun:
    """The next look at a source, in the timetable and in the source's state.

    A look that is asked for while another one is under way comes after it: that one may have begun too early.
    """

    def __init__(self, timetable: SourceScheduler, state: WorkerState) -> None:
        self.job = f"{state.name}:look"
        self._timetable = timetable
        self._state = state
        self._is_wanted = False
        self._is_hinted = False
        self._not_before = 0.0

    def request_soon(self) -> None:
        """Look as soon as nothing else of this source is under way."""
        self._is_wanted = True
        self._timetable.next_in(self.job, 0)

    def add_pending(self) -> None:
        """Look where a webhook hints at: at once, unless the budget has just paid for a change, or the source fails."""
        self._is_hinted = True
        if not self.is_failing:
            self._timetable.next_in(self.job, self.idle_seconds)

    def began(self) -> None:
        """A look begins: it sees all that was asked for until now."""
        self._is_wanted = self._is_hinted = False

    def pending_read(self) -> None:
        """The look under way knows of all hints until now."""
        self._is_hinted = False

    def charge(self, seconds: float) -> None:
        """A change was read: for so long the budget pays for no other one that is only hinted at."""
        self._not_before = time.monotonic() + seconds

    def next_in(self, seconds: float, reason: str) -> None:
        """Look in so many seconds, for this reason, unless it is asked for earlier."""
        if self._is_wanted:
            seconds = 0.0
        elif self._is_hinted and not self.is_failing:
            seconds = self.idle_seconds
        self._state.next_check_at = datetime.now(UTC) + timedelta(seconds=max(seconds, 0.0))
        self._state.next_check_reason = reason
        self._timetable.next_in(self.job, seconds)

    @property
    def is_failing(self) -> bool:
        """Whether the next look is a try, to be made when it is due: while editors go on, calls come all the time."""
        return self._state.status is WorkerStatus.FAILING and not self._state.is_read

    @property
    def idle_seconds(self) -> float:
        """For so long nothing is done about a hint."""
        return max(self._not_before - time.monotonic(), 0.0)
