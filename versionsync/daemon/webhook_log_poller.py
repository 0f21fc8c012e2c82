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
from versionsync.daemon.budget import Schedule
from versionsync.daemon.intervals import MIN_INTERVAL_SECONDS, next_poll
from versionsync.daemon.next_run import NextRun
from versionsync.daemon.request_meter import RequestMeter
from versionsync.daemon.scheduler import SourceScheduler
from versionsync.daemon.state import LogStatus, PollOutcome, SourceConfig, WorkerState
from versionsync.daemon.store import SourceStore
from versionsync.mirror.errors import MirrorError
from versionsync.mirror.tables.webhooks import LoggedCall
from versionsync.webhooks.log import LogDelta, LogPage, LogPosition, read_page
from versionsync.webhooks.payload import WebhookPayload, WebhookResult, parse_payload
from versionsync.webhooks.registration import find_own, missing_events

__all__ = ["SUSPENDED_SECONDS", "LogReader", "PollResult", "WebhookLogPoller"]

SUSPENDED_SECONDS: Final = 3600.0
"""Where it is not read: whatever wakes it up says when. (At the latest the next look at the source does.)"""
MAX_DOUBLINGS: Final = 10


class LogReader:
    """The readings of one source's log: a job of the timetable, beside the looks of the agenda."""

    def __init__(
        self,
        books: SourceStore,
        state: WorkerState,
        spending: RequestMeter,
        agenda: NextRun,
        timetable: SourceScheduler,
        *,
        log: FilteringBoundLogger,
    ) -> None:
        self.job = f"{state.name}:log"
        self._read_at = float("-inf")
        self._feed = WebhookLogPoller(books, state, log=log)
        self._state = state
        self._spending = spending
        self._agenda = agenda
        self._timetable = timetable

    def received(self, call_id: str | int | None) -> None:
        """The receiver has taken this call: the log need not tell it again."""
        if call_id is not None:
            self._feed.received(str(call_id))

    def search_again(self) -> None:
        """See soon whether there is a webhook now: the settings were read again."""
        self._feed.search_again()

    async def reload_invalidation(self, source: SourceConfig) -> None:
        """Read soon where somebody has just changed the webhook. Costs no request. Raises MirrorError."""
        if self._may_poll(source) and await self._feed.reload_invalidation():
            self._timetable.next_in(self.job, 0)

    def invalidate(self) -> None:
        """A look found what the log may not have told: see soon whether the webhook is still there."""
        if self._feed.is_open:
            self._feed.search_again()

    def is_delivering(self, source: SourceConfig, pace: Schedule) -> bool:
        """Whether the log tells what changes."""
        return source.polls_webhook_log and self._feed.is_open and pace.log_seconds is not None

    async def poll(self, source: SourceConfig) -> PollResult:
        """Read it, if it may be read now, and have a look where it says so."""
        purse = self._state.budget
        if not self._may_poll(source) or (purse is not None and purse.is_spent):
            return PollResult.NOTHING
        self._read_at = time.monotonic()
        told, requests = await self._feed.read(source)
        self._spending.add(requests)
        self._state.total.requests += requests
        match told:
            case PollResult.RECORDS:
                self._agenda.add_pending()
            case PollResult.CHECK:
                self._agenda.request_soon()
        return told

    def plan(self, source: SourceConfig, pace: Schedule, *, changed_at: float) -> None:
        """Say when it is read next. `changed_at`: when something new was last found, by the monotonic clock."""
        self._timetable.next_in(self.job, self._wait(source, pace, time.monotonic() - changed_at))

    async def end(self) -> None:
        """Close the connection."""
        await self._feed.end()

    def _may_poll(self, source: SourceConfig) -> bool:
        return source.polls_webhook_log and self._state.is_read

    def _wait(self, source: SourceConfig, pace: Schedule, quiet_seconds: float) -> float:
        if not self._may_poll(source):
            return SUSPENDED_SECONDS
        if pace.log_seconds is None:
            self._feed.pause()
            return SUSPENDED_SECONDS
        if not self._feed.is_open:
            return self._feed.seconds_until_found
        # Where the receiver works, the log is for the calls that it never got.
        quickest = MIN_INTERVAL_SECONDS if self._state.webhook_results[WebhookResult.ACCEPTED] else pace.log_seconds
        seconds = next_poll(quiet_seconds=quiet_seconds, quickest=quickest)
        seconds *= 2.0 ** min(self._feed.unproven_in_a_row, MAX_DOUBLINGS)
        if max(seconds, self._agenda.idle_seconds) >= pace.check_seconds:
            return SUSPENDED_SECONDS
        # Counted from the last reading: looks at what the receiver hears would put it off for ever.
        return max(self._read_at + seconds - time.monotonic(), self._agenda.idle_seconds, 0.0)


PAGE: Final = 30
DEEP_PAGE: Final = 150
"""What does not fit on it is more than a whole look costs."""
READ_SECONDS: Final = 10.0
"""So long a reading may take: looks wait for it, and are what tells that upstream is away."""
CLIENT_SECONDS: Final = 60.0
"""So long a connection is used again; with the next one a token is read anew from where it is kept."""
SEARCH_SECONDS: Final = 3600.0
SEARCH_TIMEOUT_SECONDS: Final = 10.0
"""A webhook is looked for at the start, then once an hour, or after ten of the longest pauses where that is longer."""
SEARCH_AGAIN_SECONDS: Final = 60.0
"""Where it could not be asked for; each time in a row twice as long."""
RECEIVED_KEPT: Final = 1000


class PollResult(StrEnum):
    """What a reading told."""

    NOTHING = "nothing"
    RECORDS = "records"
    """Records are named that may have changed."""
    CHECK = "check"
    """Something may have changed that no call names: all of the source must be looked at."""


class WebhookLogPoller:
    """The log of one source's webhook. Used by one task at a time."""

    def __init__(self, books: SourceStore, state: WorkerState, *, log: FilteringBoundLogger) -> None:
        self._books = books
        self._state = state
        self._log = log
        self._webhook_id: str | None = None
        self._find_at = float("-inf")
        self._find_again_in = SEARCH_AGAIN_SECONDS
        self._position: LogPosition | None = None
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
        if self._state.webhook_log not in (LogStatus.UNKNOWN, LogStatus.ACTIVE):
            return
        self._state.webhook_log = LogStatus.NOT_IN_PLAN
        if not self._has_told_pause:
            self._has_told_pause = True
            self._log.info("webhook_log.inactive", reason="the budget pays for looks alone, for now")

    def search_again(self) -> None:
        """With the next reading look whether the webhook is (still) there."""
        self._find_at = float("-inf")

    async def reload_invalidation(self) -> bool:
        """Whether somebody has just changed the webhook, which the database tells: with the next reading it is found.

        Raises MirrorError.
        """
        up_to = await self._books.log_cursor()
        if up_to is None or not up_to.is_invalid or up_to.read_at == self._doubted_at:
            return False
        self._doubted_at, self._position = up_to.read_at, None
        self.search_again()
        return True

    def received(self, call_id: str) -> None:
        """The receiver has taken this call: the log need not tell it again."""
        self._received[call_id] = None
        if len(self._received) > RECEIVED_KEPT:
            self._received.popitem(last=False)

    async def read(self, source: SourceConfig) -> tuple[PollResult, int]:
        """What is new, and how many requests were sent. Whatever goes wrong is told by the next look, or here once."""
        before, sent, results = 0, 0, Counter[cma.Result]()
        try:
            async with asyncio.timeout(READ_SECONDS):
                client = await self._open(source)
                before, results = client.usage.requests, Counter(client.usage.results)
                told = await self._read(client, source)
        except (cma.PermissionDenied, cma.NotFound, cma.InvalidRequest) as error:
            # The sentence names the request, which is another one each time.
            self._close(LogStatus.REFUSED, str(error), source, kind=f"{type(error).__name__} {error.code}")
            told = PollResult.NOTHING
        except (cma.CmaError, ConfigError, MirrorError, TimeoutError) as error:
            self._log.debug("webhook_log.poll_failed", reason=str(error) or type(error).__name__)
            self._find_at = max(self._find_at, time.monotonic() + min(self._find_again_in, SEARCH_SECONDS))
            self._find_again_in *= 2.0
            self._state.log_polls[PollOutcome.FAILED] += 1
            told = PollResult.NOTHING
            self._client_until = 0.0
        if self._client is not None:
            sent = self._client.usage.requests - before
            self._state.results += self._client.usage.results - results
        return told, sent

    async def end(self) -> None:
        """Close the connection."""
        self._client = None
        await self._stack.aclose()

    async def _open(self, source: SourceConfig) -> cma.Client:
        if self._client is None or time.monotonic() > self._client_until:
            await self.end()
            self._stack = AsyncExitStack()
            self._client = await self._stack.enter_async_context(source.open_client())
            self._client_until = time.monotonic() + CLIENT_SECONDS
        return self._client

    async def _read(self, client: cma.Client, source: SourceConfig) -> PollResult:
        if time.monotonic() >= self._find_at:
            await self._search(client, source)
        if self._webhook_id is None:
            return PollResult.NOTHING
        if self._position is None:
            up_to = await self._books.log_cursor()
            self._position = None if up_to is None else LogPosition(up_to=up_to)
        self._state.webhook_log = LogStatus.ACTIVE
        webhook_id, position = self._webhook_id, self._position
        calls, page = await _page(client, webhook_id, position, limit=PAGE)
        reading = read_page(position, page, webhook_id=webhook_id)
        if position is not None and not reading.is_gapless and not page.is_complete:
            calls, page = await _page(client, webhook_id, position, limit=DEEP_PAGE)
            reading = read_page(position, page, webhook_id=webhook_id)
        return await self._save(reading, calls)

    async def _save(self, reading: LogDelta, calls: Sequence[cma.WebhookCall]) -> PollResult:
        new = [call for call in calls if call.id in reading.new and call.id not in self._received]
        read = [call for each in new if (call := parse_payload(each.request_payload.encode())) is not None]
        unreadable = len(read) < len(new) or not reading.new <= {call.id for call in calls}
        # What was only doubted, since somebody has made or mended the webhook, was never read up to anywhere.
        is_first = self._position is None or self._position.up_to.is_invalid
        heard = await self._remember(read, reading, is_gap=not (is_first or reading.is_gapless))
        self._position = reading.position
        self._state.log_polls[PollOutcome.COMPLETE if reading.is_gapless else PollOutcome.GAP] += 1
        self._state.log_read_at = datetime.now(UTC)
        self._state.webhook_results[WebhookResult.RECOVERED] += heard.count(WebhookResult.RECOVERED)
        self._state.queued_records += heard.count(WebhookResult.RECOVERED)
        if any(meaning is not WebhookResult.OTHER_ENVIRONMENT for meaning in heard):
            self._state.called(datetime.now(UTC))
        if not reading.is_gapless:
            self.unproven_in_a_row += 1
            if not is_first:
                self._state.log_gaps, self._state.last_gap_at = self._state.log_gaps + 1, datetime.now(UTC)
            tell = self._log.debug if is_first else self._log.info
            tell("webhook_log.gap", calls=len(reading.new))
            return PollResult.CHECK
        self.unproven_in_a_row = 0
        if unreadable or WebhookResult.ACCEPTED_NO_RECORD in heard:
            return PollResult.CHECK
        return (
            PollResult.RECORDS
            if WebhookResult.ACCEPTED in heard or WebhookResult.RECOVERED in heard
            else PollResult.NOTHING
        )

    async def _remember(
        self, calls: Sequence[WebhookPayload], reading: LogDelta, *, is_gap: bool
    ) -> Sequence[WebhookResult]:
        """Keep what they hint at, and how far that was; nothing is written where nothing is new."""
        before = None if self._position is None else self._position.up_to
        now = reading.position.up_to
        is_as_before = before is not None and (before.webhook_id, before.last) == (now.webhook_id, now.last)
        if is_as_before and not calls and not is_gap:
            return ()
        return await self._books.save_log_page(calls, now, is_gap=is_gap)

    async def _search(self, client: cma.Client, source: SourceConfig) -> None:
        """Look for the source's webhook, and tell what has changed about it."""
        own = find_own(await client.webhooks(), source.spec.name)
        webhook = next((one for one in own if missing_events(one) is None), None)
        if webhook is None:
            why = None if not own else f"the webhook {own[0].name} does not tell all: {missing_events(own[0])}"
            self._close(LogStatus.ABSENT, why, source)
            return
        self._search_later(source)
        if self._webhook_id != webhook.id:
            self._log.info("webhook_log.active", webhook=webhook.name, webhook_id=webhook.id)
        self._webhook_id, self._state.webhook_log, self._said = webhook.id, LogStatus.ACTIVE, None

    def _search_later(self, source: SourceConfig) -> None:
        self._find_again_in = SEARCH_AGAIN_SECONDS
        self._find_at = time.monotonic() + max(SEARCH_SECONDS, SEARCH_TIMEOUT_SECONDS * source.max_staleness)

    def _close(self, stance: LogStatus, why: str | None, source: SourceConfig, *, kind: str | None = None) -> None:
        """There is no log to be read; `why` is told once for each `kind`. It goes on with looks alone."""
        self._search_later(source)
        if self.is_open and why is None:
            why = "the webhook is gone"
        self._webhook_id, self._state.webhook_log = None, stance
        if why is not None and (kind or why) != self._said:
            self._said = kind or why
            self._log.info("webhook_log.inactive", reason=why)


async def _page(
    client: cma.Client, webhook_id: str, position: LogPosition | None, *, limit: int
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
