"""The log of webhook calls as a feed of changes: no port need be open, and a call that was never delivered is found.

DatoCMS logs each call of a webhook, delivered or not. Where the source has a webhook of its own and the token may read
that log, one request tells all changes since the last one seen. What a call says of a record is not believed: it is a
hint at a record to pull, just as one that the receiver took.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from structlog.typing import FilteringBoundLogger

from versionsync import cma
from versionsync.config import ConfigError
from versionsync.daemon.budget import Pace
from versionsync.daemon.intervals import QUICKEST_SECONDS, next_reading
from versionsync.daemon.next_run import Agenda
from versionsync.daemon.request_meter import Spending
from versionsync.daemon.scheduler import Timetable
from versionsync.daemon.state import Followed, LogReading, LogStance, SourceState
from versionsync.daemon.store import Bookkeeping
from versionsync.mirror.errors import MirrorError
from versionsync.mirror.tables.webhooks import LoggedCall
from versionsync.webhooks.log import LogPage, Position, Reading, read_page
from versionsync.webhooks.payload import Call, Heard, read_call
from versionsync.webhooks.registration import own_webhooks, silence

__all__ = ["ASLEEP_SECONDS", "Feed", "LogReader", "Told"]

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


PAGE: Final = 30
DEEP_PAGE: Final = 150
"""What does not fit on it is more than a whole look costs."""
READ_SECONDS: Final = 10.0
"""So long a reading may take: looks wait for it, and are what tells that upstream is away."""
CLIENT_SECONDS: Final = 60.0
"""So long a connection is used again; with the next one a token is read anew from where it is kept."""
FIND_SECONDS: Final = 3600.0
FIND_PATIENCE: Final = 10.0
"""A webhook is looked for at the start, then once an hour, or after ten of the longest pauses where that is longer."""
FIND_AGAIN_SECONDS: Final = 60.0
"""Where it could not be asked for; each time in a row twice as long."""
RECEIVED_KEPT: Final = 1000


class Told(StrEnum):
    """What a reading told."""

    NOTHING = "nothing"
    HINTS = "hints"
    """Records are named that may have changed."""
    LOOK = "look"
    """Something may have changed that no call names: all of the source must be looked at."""


class Feed:
    """The log of one source's webhook. Used by one task at a time."""

    def __init__(self, books: Bookkeeping, state: SourceState, *, log: FilteringBoundLogger) -> None:
        self._books = books
        self._state = state
        self._log = log
        self._webhook_id: str | None = None
        self._find_at = float("-inf")
        self._find_again_in = FIND_AGAIN_SECONDS
        self._position: Position | None = None
        self._received: OrderedDict[str, None] = OrderedDict()
        self._said: str | None = None
        self._doubted_at: datetime | None = None
        self._has_told_pause = False
        self._stack = AsyncExitStack()
        self._client: cma.Client | None = None
        self._client_until = 0.0
        self.unproven_in_a_row = 0

    @property
    def is_open(self) -> bool:
        """Whether the log tells what changes."""
        return self._webhook_id is not None

    @property
    def seconds_until_found(self) -> float:
        """Until a webhook is looked for again."""
        return max(self._find_at - time.monotonic(), 0.0)

    def pause(self) -> None:
        """It is not read until the next reading: the budget does not pay for it."""
        if self._state.webhook_log not in (LogStance.UNKNOWN, LogStance.READ):
            return
        self._state.webhook_log = LogStance.UNPAID
        if not self._has_told_pause:
            self._has_told_pause = True
            self._log.info("webhook_log.not_followed", reason="the budget pays for looks alone, for now")

    def find_again(self) -> None:
        """With the next reading look whether the webhook is (still) there."""
        self._find_at = float("-inf")

    async def see_doubt(self) -> bool:
        """Whether somebody has just changed the webhook, which the database tells: with the next reading it is found.

        Raises MirrorError.
        """
        up_to = await self._books.log_read_up_to()
        if up_to is None or not up_to.is_invalid or up_to.read_at == self._doubted_at:
            return False
        self._doubted_at, self._position = up_to.read_at, None
        self.find_again()
        return True

    def received(self, call_id: str) -> None:
        """The receiver has taken this call: the log need not tell it again."""
        self._received[call_id] = None
        if len(self._received) > RECEIVED_KEPT:
            self._received.popitem(last=False)

    async def read(self, source: Followed) -> tuple[Told, int]:
        """What is new, and how many requests were sent. Whatever goes wrong is told by the next look, or here once."""
        before, sent, results = 0, 0, Counter[cma.Result]()
        try:
            async with asyncio.timeout(READ_SECONDS):
                client = await self._open(source)
                before, results = client.usage.requests, Counter(client.usage.results)
                told = await self._read(client, source)
        except (cma.PermissionDenied, cma.NotFound, cma.InvalidRequest) as error:
            # The sentence names the request, which is another one each time.
            self._close(LogStance.REFUSED, str(error), source, kind=f"{type(error).__name__} {error.code}")
            told = Told.NOTHING
        except (cma.CmaError, ConfigError, MirrorError, TimeoutError) as error:
            self._log.debug("webhook_log.not_read", reason=str(error) or type(error).__name__)
            self._find_at = max(self._find_at, time.monotonic() + min(self._find_again_in, FIND_SECONDS))
            self._find_again_in *= 2.0
            self._state.log_readings[LogReading.FAILED] += 1
            told = Told.NOTHING
            self._client_until = 0.0
        if self._client is not None:
            sent = self._client.usage.requests - before
            self._state.results += self._client.usage.results - results
        return told, sent

    async def end(self) -> None:
        """Close the connection."""
        self._client = None
        await self._stack.aclose()

    async def _open(self, source: Followed) -> cma.Client:
        if self._client is None or time.monotonic() > self._client_until:
            await self.end()
            self._stack = AsyncExitStack()
            self._client = await self._stack.enter_async_context(source.open_client())
            self._client_until = time.monotonic() + CLIENT_SECONDS
        return self._client

    async def _read(self, client: cma.Client, source: Followed) -> Told:
        if time.monotonic() >= self._find_at:
            await self._find(client, source)
        if self._webhook_id is None:
            return Told.NOTHING
        if self._position is None:
            up_to = await self._books.log_read_up_to()
            self._position = None if up_to is None else Position(up_to=up_to)
        self._state.webhook_log = LogStance.READ
        webhook_id, position = self._webhook_id, self._position
        calls, page = await _page(client, webhook_id, position, limit=PAGE)
        reading = read_page(position, page, webhook_id=webhook_id)
        if position is not None and not reading.is_proven and not page.is_whole:
            calls, page = await _page(client, webhook_id, position, limit=DEEP_PAGE)
            reading = read_page(position, page, webhook_id=webhook_id)
        return await self._take(reading, calls)

    async def _take(self, reading: Reading, calls: Sequence[cma.WebhookCall]) -> Told:
        new = [call for call in calls if call.id in reading.new and call.id not in self._received]
        read = [call for each in new if (call := read_call(each.request_payload.encode())) is not None]
        unreadable = len(read) < len(new) or not reading.new <= {call.id for call in calls}
        # What was only doubted, since somebody has made or mended the webhook, was never read up to anywhere.
        is_first = self._position is None or self._position.up_to.is_invalid
        heard = await self._keep(read, reading, is_gap=not (is_first or reading.is_proven))
        self._position = reading.position
        self._state.log_readings[LogReading.PROVEN if reading.is_proven else LogReading.UNPROVEN] += 1
        self._state.log_read_at = datetime.now(UTC)
        self._state.heard[Heard.FOUND] += heard.count(Heard.FOUND)
        self._state.hints_waiting += heard.count(Heard.FOUND)
        if any(meaning is not Heard.ELSEWHERE for meaning in heard):
            self._state.called(datetime.now(UTC))
        if not reading.is_proven:
            self.unproven_in_a_row += 1
            if not is_first:
                self._state.log_gaps, self._state.last_gap_at = self._state.log_gaps + 1, datetime.now(UTC)
            tell = self._log.debug if is_first else self._log.info
            tell("webhook_log.unproven", calls=len(reading.new))
            return Told.LOOK
        self.unproven_in_a_row = 0
        if unreadable or Heard.NOTED in heard:
            return Told.LOOK
        return Told.HINTS if Heard.TAKEN in heard or Heard.FOUND in heard else Told.NOTHING

    async def _keep(self, calls: Sequence[Call], reading: Reading, *, is_gap: bool) -> Sequence[Heard]:
        """Keep what they hint at, and how far that was; nothing is written where nothing is new."""
        before = None if self._position is None else self._position.up_to
        now = reading.position.up_to
        is_as_before = before is not None and (before.webhook_id, before.last) == (now.webhook_id, now.last)
        if is_as_before and not calls and not is_gap:
            return ()
        return await self._books.hear_log(calls, now, is_gap=is_gap)

    async def _find(self, client: cma.Client, source: Followed) -> None:
        """Look for the source's webhook, and tell what has changed about it."""
        own = own_webhooks(await client.webhooks(), source.spec.name)
        webhook = next((one for one in own if silence(one) is None), None)
        if webhook is None:
            why = None if not own else f"the webhook {own[0].name} does not tell all: {silence(own[0])}"
            self._close(LogStance.ABSENT, why, source)
            return
        self._find_later(source)
        if self._webhook_id != webhook.id:
            self._log.info("webhook_log.followed", webhook=webhook.name, webhook_id=webhook.id)
        self._webhook_id, self._state.webhook_log, self._said = webhook.id, LogStance.READ, None

    def _find_later(self, source: Followed) -> None:
        self._find_again_in = FIND_AGAIN_SECONDS
        self._find_at = time.monotonic() + max(FIND_SECONDS, FIND_PATIENCE * source.max_staleness)

    def _close(self, stance: LogStance, why: str | None, source: Followed, *, kind: str | None = None) -> None:
        """There is no log to be read; `why` is told once for each `kind`. It goes on with looks alone."""
        self._find_later(source)
        if self.is_open and why is None:
            why = "the webhook is gone"
        self._webhook_id, self._state.webhook_log = None, stance
        if why is not None and (kind or why) != self._said:
            self._said = kind or why
            self._log.info("webhook_log.not_followed", reason=why)


async def _page(
    client: cma.Client, webhook_id: str, position: Position | None, *, limit: int
) -> tuple[Sequence[cma.WebhookCall], LogPage]:
    """The newest calls since `position`. One request."""
    filters = {"webhook_id": {"eq": webhook_id}}
    if position is not None and position.up_to.webhook_id == webhook_id and position.since is not None:
        filters["created_at"] = {"gt": f"{position.since:%Y-%m-%dT%H:%M:%SZ}"}
    page = await client.webhook_calls_page(limit=limit, order_by="created_at_desc", filters=filters)
    return page.items, LogPage(
        ids=page.ids,
        calls=[LoggedCall(call.id, call.created_at) for call in page.items],
        total=page.total,
        at=page.at or datetime.now(UTC) + (client.clock_offset or timedelta()),
    )
