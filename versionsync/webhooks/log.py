"""What a page of the log of a webhook's calls tells: which calls are new, and whether none was missed. Pure.

The log is read newest first, from a little before the newest call that was seen. Its calls may be listed late and out
of order: until LATE_SECONDS have passed, a call that is older than the newest one may still come, and so the reading
goes back that far. None was missed where that newest call is on the page again, and everything that came after it was
read too. Otherwise (the log was pruned, another webhook is read, too much happened) nothing is proven, and only a look
at the source itself tells what changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from versionsync.mirror.tables.webhooks import LogCursor, LoggedCall

__all__ = ["KEPT_SECONDS", "LATE_SECONDS", "LogDelta", "LogPage", "LogPosition", "read_page"]

LATE_SECONDS: Final = 60.0
"""How much later than it was made a call may appear in the log."""
KEPT_SECONDS: Final = 3600.0
"""So long each call is kept, at the least; days, as far as is known."""
SAME_SECOND: Final = timedelta(seconds=1)
"""Times may be whole seconds: calls of one second have no order, and are all read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """The newest calls of one webhook, newest first. `ids`: all of them, also those that could not be read.

    `calls`: those that could. `total`: how many there are since the time that was asked for. `at`: upstream's clock.
    """

    ids: Sequence[str | None]
    calls: Sequence[LoggedCall]
    total: int
    at: datetime

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left out."""
        return len(self.ids) >= self.total

    @property
    def is_in_order(self) -> bool:
        """Whether times fall from entry to entry, so that only what is older can be left out."""
        times = [call.at for call in self.calls]
        return all(earlier <= later for later, earlier in pairwise(times))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPosition:
    """How far the log was read. `seen`: the calls that the next page may show once more."""

    up_to: LogCursor
    seen: frozenset[str] = frozenset()

    @property
    def _is_late_over(self) -> bool:
        last = self.up_to.last
        return last is not None and self.up_to.read_at - last.at > timedelta(seconds=LATE_SECONDS)

    @property
    def since(self) -> datetime | None:
        """From when on to read, in whole seconds; calls of just then may be left out. None: all."""
        if (last := self.up_to.last) is None:
            return None
        back = SAME_SECOND if self._is_late_over else timedelta(seconds=LATE_SECONDS)
        return (last.at - back).replace(microsecond=0)

    def is_continued_by(self, page: LogPage) -> bool:
        """Whether no call can be missing between what was read and `page`."""
        if (last := self.up_to.last) is None:
            # The log was empty: all that is in it came since, and nothing that came since can have gone already.
            return page.is_complete and page.at - self.up_to.read_at < timedelta(seconds=KEPT_SECONDS)
        # What a page leaves out is older than what it shows, and of the last call nothing older can be new by now.
        return last.id in page.ids and (page.is_complete or (self._is_late_over and page.is_in_order))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDelta:
    """What a page told. `new`: ids of calls not seen before, readable or not. `position`: where to go on from."""

    new: frozenset[str]
    is_gapless: bool
    position: LogPosition


def read_page(position: LogPosition | None, page: LogPage, *, webhook_id: str) -> LogDelta:
    """What `page`, read from `position.since` on, tells to whoever stood at `position` (None: nowhere yet)."""
    if position is not None and position.up_to.webhook_id != webhook_id:
        position = None
    ids = frozenset(id for id in page.ids if id is not None)
    is_proven = position is not None and None not in page.ids and position.is_continued_by(page)
    last = max(page.calls, key=lambda call: (call.at, call.id), default=None)
    known: frozenset[str] = frozenset()
    if position is not None:
        known = position.seen
        before = position.up_to.last
        if before is not None:
            known |= {before.id}
            if is_proven and (last is None or before.at > last.at):
                last = before
    up_to = LogCursor(webhook_id=webhook_id, read_at=page.at, last=last)
    return LogDelta(new=ids - known, is_gapless=is_proven, position=LogPosition(up_to=up_to, seen=ids))
