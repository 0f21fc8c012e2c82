"""When the log of webhook calls is read, and what follows from what it told.

While a project is being edited it is read every second, then less and less often, and not at all once looks at the
whole source come as often: a quiet project costs no request more. Whatever a look finds wakes it up again.
"""

from __future__ import annotations

import time
from typing import Final

from structlog.typing import FilteringBoundLogger

from versionsync.daemon.agenda import Agenda
from versionsync.daemon.bookkeeping import Bookkeeping
from versionsync.daemon.budget import Pace
from versionsync.daemon.feed import Feed, Told
from versionsync.daemon.followed import Followed
from versionsync.daemon.hints import Heard
from versionsync.daemon.spending import Spending
from versionsync.daemon.state import SourceState
from versionsync.daemon.timetable import Timetable
from versionsync.daemon.waits import QUICKEST_SECONDS, next_reading

__all__ = ["ASLEEP_SECONDS", "LogReader"]

ASLEEP_SECONDS: Final = 3600.0
"""Where it is not read: whatever wakes it up says when. (At the latest the next look at the source does.)"""
MOST_DOUBLINGS: Final = 10


class LogReader:
    """The readings of one source's log: a job of the timetable, beside the looks of the agenda."""

    def __init__(
        self,
        books: Bookkeeping,
        state: SourceState,
        spending: Spending,
        agenda: Agenda,
        timetable: Timetable,
        *,
        log: FilteringBoundLogger,
    ) -> None:
        self.job = f"{state.name}:log"
        self._read_at = float("-inf")
        self._feed = Feed(books, state, log=log)
        self._state = state
        self._spending = spending
        self._agenda = agenda
        self._timetable = timetable

    def received(self, call_id: str | int | None) -> None:
        """The receiver has taken this call: the log need not tell it again."""
        if call_id is not None:
            self._feed.received(str(call_id))

    def find_again(self) -> None:
        """See soon whether there is a webhook now: the settings were read again."""
        self._feed.find_again()

    async def see_doubt(self, source: Followed) -> None:
        """Read soon where somebody has just changed the webhook. Costs no request. Raises MirrorError."""
        if self._may_read(source) and await self._feed.see_doubt():
            self._timetable.next_in(self.job, 0)

    def doubt(self) -> None:
        """A look found what the log may not have told: see soon whether the webhook is still there."""
        if self._feed.is_open:
            self._feed.find_again()

    def tells(self, source: Followed, pace: Pace) -> bool:
        """Whether the log tells what changes."""
        return source.reads_webhook_log and self._feed.is_open and pace.log_seconds is not None

    async def read(self, source: Followed) -> Told:
        """Read it, if it may be read now, and have a look where it says so."""
        purse = self._state.purse
        if not self._may_read(source) or (purse is not None and purse.is_spent):
            return Told.NOTHING
        self._read_at = time.monotonic()
        told, requests = await self._feed.read(source)
        self._spending.add(requests)
        self._state.total.requests += requests
        match told:
            case Told.HINTS:
                self._agenda.hinted()
            case Told.LOOK:
                self._agenda.soon()
        return told

    def plan(self, source: Followed, pace: Pace, *, changed_at: float) -> None:
        """Say when it is read next. `changed_at`: when something new was last found, by the monotonic clock."""
        self._timetable.next_in(self.job, self._wait(source, pace, time.monotonic() - changed_at))

    async def end(self) -> None:
        """Close the connection."""
        await self._feed.end()

    def _may_read(self, source: Followed) -> bool:
        return source.reads_webhook_log and self._state.is_read

    def _wait(self, source: Followed, pace: Pace, quiet_seconds: float) -> float:
        if not self._may_read(source):
            return ASLEEP_SECONDS
        if pace.log_seconds is None:
            self._feed.pause()
            return ASLEEP_SECONDS
        if not self._feed.is_open:
            return self._feed.seconds_until_found
        # Where the receiver works, the log is for the calls that it never got.
        quickest = QUICKEST_SECONDS if self._state.heard[Heard.TAKEN] else pace.log_seconds
        seconds = next_reading(quiet_seconds=quiet_seconds, quickest=quickest)
        seconds *= 2.0 ** min(self._feed.unproven_in_a_row, MOST_DOUBLINGS)
        if max(seconds, self._agenda.rest_seconds) >= pace.look_seconds:
            return ASLEEP_SECONDS
        # Counted from the last reading: looks at what the receiver hears would put it off for ever.
        return max(self._read_at + seconds - time.monotonic(), self._agenda.rest_seconds, 0.0)
