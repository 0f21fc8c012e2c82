"""Compares pages of the log of a webhook's calls: which calls are new, and whether none was missed. Pure.

The log is read newest first, from a little before the newest call that was seen. Its calls may be listed late and out
of order: until LATE_SECONDS have passed, a call older than the newest one may still appear, so each page goes back that
far. None was missed if that newest call is on the page again, with everything that came after it. Otherwise there is a
gap (the log was pruned, another webhook is read, too much happened), and only a check of the source finds what changed.
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
"""How late a call may appear in the log."""
KEPT_SECONDS: Final = 3600.0
"""How long DatoCMS keeps each call at least; observed are days."""
SAME_SECOND: Final = timedelta(seconds=1)
"""Times may be full seconds: calls of one second have no order, and are all read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """The newest calls of one webhook, newest first.

    Attributes:
        ids: The ids of all calls, also of those that could not be read.
        calls: The calls that could be read.
        total: The number of calls since the requested time.
        at: The time by the clock of DatoCMS.
    """

    ids: Sequence[str | None]
    calls: Sequence[LoggedCall]
    total: int
    at: datetime

    @property
    def is_complete(self) -> bool:
        """Whether it has all calls since the requested time."""
        return len(self.ids) >= self.total

    @property
    def is_in_order(self) -> bool:
        """Whether times fall from entry to entry, so that only what is older can be left out."""
        times = [call.at for call in self.calls]
        return all(earlier <= later for later, earlier in pairwise(times))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPosition:
    """How far the log was read. `seen` are the calls that the next page may show once more."""

    up_to: LogCursor
    seen: frozenset[str] = frozenset()

    @property
    def _is_settled(self) -> bool:
        last = self.up_to.last
        return last is not None and self.up_to.read_at - last.at > timedelta(seconds=LATE_SECONDS)

    @property
    def since(self) -> datetime | None:
        """The time from which to read, in full seconds. Calls at exactly this time may be left out. None: read all."""
        if (last := self.up_to.last) is None:
            return None
        back = SAME_SECOND if self._is_settled else timedelta(seconds=LATE_SECONDS)
        return (last.at - back).replace(microsecond=0)

    def is_continued_by(self, page: LogPage) -> bool:
        """Return whether no call can be missing between what was read and `page`."""
        if (last := self.up_to.last) is None:
            # The log was empty: all calls in it are newer, and none of these can have been pruned already.
            return page.is_complete and page.at - self.up_to.read_at < timedelta(seconds=KEPT_SECONDS)
        # A page leaves out only calls older than those it shows, and no call older than the last one can be new now.
        return last.id in page.ids and (page.is_complete or (self._is_settled and page.is_in_order))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDelta:
    """What is new on a page.

    Attributes:
        new: The ids of calls not seen before, readable or not.
        is_gapless: Whether no call can be missing.
        position: Where the next page continues.
    """

    new: frozenset[str]
    is_gapless: bool
    position: LogPosition


def read_page(position: LogPosition | None, page: LogPage, *, webhook_id: str) -> LogDelta:
    """Return what is new on `page`, which was read from `position.since` on. None: the log was not read yet."""
    if position is not None and position.up_to.webhook_id != webhook_id:
        position = None
    ids = frozenset(id for id in page.ids if id is not None)
    is_gapless = position is not None and None not in page.ids and position.is_continued_by(page)
    last = max(page.calls, key=lambda call: (call.at, call.id), default=None)
    known: frozenset[str] = frozenset()
    if position is not None:
        known = position.seen
        before = position.up_to.last
        if before is not None:
            known |= {before.id}
            if is_gapless and (last is None or before.at > last.at):
                last = before
    up_to = LogCursor(webhook_id=webhook_id, read_at=page.at, last=last)
    return LogDelta(new=ids - known, is_gapless=is_gapless, position=LogPosition(up_to=up_to, seen=ids))
