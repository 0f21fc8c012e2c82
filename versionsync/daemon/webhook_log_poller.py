"""Polls the log of webhook calls for changes: no port need be open, and calls that were never delivered are found.

DatoCMS logs each call of a webhook, delivered or not. If the source has a webhook and the token may read that log, one
request shows all changes since the last call that was seen. The content of a call is not used: like a call that the
receiver accepts, it only names a record to pull.
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
from versionsync.backoff import Backoff
from versionsync.config import ConfigError
from versionsync.daemon.budget_schedule import Schedule
from versionsync.daemon.next_check import MIN_INTERVAL_SECONDS, next_poll
from versionsync.daemon.request_meter import RequestMeter
from versionsync.daemon.scheduler import NextRun, SourceScheduler
from versionsync.daemon.worker_database import WorkerDatabase
from versionsync.daemon.worker_state import LogStatus, PollOutcome, SourceConfig, WorkerState
from versionsync.mirror.errors import MirrorError
from versionsync.mirror.tables.webhooks import LoggedCall
from versionsync.webhooks.delivery_log import LogDelta, LogPage, LogPosition, read_page
from versionsync.webhooks.payload import WebhookPayload, WebhookResult, parse_payload
from versionsync.webhooks.registration import find_own, missing_events

__all__ = ["SUSPENDED_SECONDS", "LogReader", "PollResult"]

SUSPENDED_SECONDS: Final = 3600.0
"""The interval while the log is not read. The next check of the source resumes it at the latest."""
MAX_GAP_FACTOR: Final = 1024.0
"""Polls that end with a gap double the interval up to this factor."""


PAGE: Final = 30
DEEP_PAGE: Final = 150
"""A larger page costs more than a complete check."""
READ_SECONDS: Final = 10.0
"""The time limit of a poll: checks wait for it, and it is checks that report an outage of DatoCMS."""
CLIENT_SECONDS: Final = 60.0
"""How long a connection is reused; the next one reads the token again from its file or variable."""
SEARCH_SECONDS: Final = 3600.0
SEARCH_CHECKS: Final = 10.0
"""The webhook is searched at the start, then once an hour, or every ten checks of a quiet source if that is longer."""
SEARCH_RETRY: Final = Backoff(60.0, SEARCH_SECONDS)
RECEIVED_KEPT: Final = 1000


class PollResult(StrEnum):
    """What a poll showed."""

    NOTHING = "nothing"
    RECORDS = "records"
    """It names records that may have changed."""
    CHECK = "check"
    """Something may have changed that no call names: the complete source must be checked."""


class LogReader:
    """Reads the log of one source's webhook, as a job beside the checks. Used by one task at a time."""

    def __init__(
        self,
        store: WorkerDatabase,
        state: WorkerState,
        meter: RequestMeter,
        next_run: NextRun,
        scheduler: SourceScheduler,
        *,
        log: FilteringBoundLogger,
    ) -> None:
        self.job = f"{state.name}:log"
        self._store = store
        self._state = state
        self._meter = meter
        self._next_run = next_run
        self._scheduler = scheduler
        self._log = log
        self._polled_at = float("-inf")
        self._webhook_id: str | None = None
        self._search_at = float("-inf")
        self._failures = 0
        self._gaps_in_a_row = 0
        self._position: LogPosition | None = None
        self._received: OrderedDict[str, None] = OrderedDict()
        self._logged_reason: str | None = None
        self._invalidated_at: datetime | None = None
        self._has_logged_pause = False
        self._stack = AsyncExitStack()
        self._client: cma.Client | None = None
        self._client_until = 0.0

    def received(self, call_id: str | int | None) -> None:
        """Record that the receiver has this call: the log need not report it again."""
        if call_id is not None:
            self._received[str(call_id)] = None
        if len(self._received) > RECEIVED_KEPT:
            self._received.popitem(last=False)

    def search_again(self) -> None:
        """Search for the webhook in the next poll."""
        self._search_at = float("-inf")

    def invalidate(self) -> None:
        """Search for the webhook in the next poll: a check found changes that the log may not have reported."""
        if self._webhook_id is not None:
            self.search_again()

    def resume(self) -> None:
        """Read the cursor again: another daemon may have read the log since."""
        self._position = None
        self.search_again()

    def webhook_changed(self, source: SourceConfig, at: datetime) -> None:
        """Poll soon if a command has changed the webhook at this time, as the database shows."""
        if self._may_poll(source) and at != self._invalidated_at:
            self._invalidated_at, self._position = at, None
            self.search_again()
            self._scheduler.next_in(self.job, 0)

    def is_delivering(self, source: SourceConfig, schedule: Schedule) -> bool:
        """Return whether the log reports changes."""
        return source.polls_webhook_log and self._webhook_id is not None and schedule.log_seconds is not None

    async def poll(self, source: SourceConfig) -> PollResult:
        """Poll the log if that is allowed now, and request a check if the log shows changes."""
        budget = self._state.budget
        if not self._may_poll(source) or (budget is not None and budget.is_spent):
            return PollResult.NOTHING
        self._polled_at = time.monotonic()
        result, requests = await self._poll(source)
        self._meter.add(requests)
        self._state.total.requests += requests
        match result:
            case PollResult.RECORDS:
                self._next_run.add_pending()
            case PollResult.CHECK:
                self._next_run.request_soon()
        return result

    def plan(self, source: SourceConfig, schedule: Schedule, *, changed_at: float) -> None:
        """Schedule the next poll. `changed_at` is the monotonic time of the last change that was found."""
        self._scheduler.next_in(self.job, self._wait(source, schedule, time.monotonic() - changed_at))

    async def end(self) -> None:
        self._client = None
        await self._stack.aclose()

    def _may_poll(self, source: SourceConfig) -> bool:
        return source.polls_webhook_log and self._state.is_working

    def _wait(self, source: SourceConfig, schedule: Schedule, quiet_seconds: float) -> float:
        if not self._may_poll(source):
            return SUSPENDED_SECONDS
        if schedule.log_seconds is None:
            self._pause()
            return SUSPENDED_SECONDS
        if self._webhook_id is None:
            return max(self._search_at - time.monotonic(), 0.0)
        # If the receiver works, the log is only for calls that it never got.
        shortest = MIN_INTERVAL_SECONDS if self._state.webhook_results[WebhookResult.ACCEPTED] else schedule.log_seconds
        seconds = next_poll(quiet_seconds=quiet_seconds, shortest=shortest)
        seconds = Backoff(seconds, seconds * MAX_GAP_FACTOR).delay(self._gaps_in_a_row + 1)
        if max(seconds, self._next_run.idle_seconds) >= schedule.check_seconds:
            return SUSPENDED_SECONDS
        # Counted from the last poll: otherwise checks of what the receiver accepts would put it off for ever.
        return max(self._polled_at + seconds - time.monotonic(), self._next_run.idle_seconds, 0.0)

    def _pause(self) -> None:
        """Record that the log is not read until the next poll: the budget does not pay for it."""
        if self._state.webhook_log not in (LogStatus.UNKNOWN, LogStatus.ACTIVE):
            return
        self._state.webhook_log = LogStatus.NOT_IN_PLAN
        if not self._has_logged_pause:
            self._has_logged_pause = True
            self._log.info("webhook_log.inactive", reason="for now the budget pays only for checks")

    async def _poll(self, source: SourceConfig) -> tuple[PollResult, int]:
        """Return what is new, and the number of requests. Errors are logged here once, or reported by the next run."""
        before, sent, results = 0, 0, Counter[cma.Result]()
        result = PollResult.NOTHING
        try:
            async with asyncio.timeout(READ_SECONDS):
                client = await self._open(source)
                before, results = client.usage.requests, Counter(client.usage.results)
                result = await self._read(client, source)
        except (cma.PermissionDenied, cma.NotFound, cma.InvalidRequest) as error:
            # The sentence names the request, which differs each time.
            self._close(LogStatus.REFUSED, str(error), source, kind=f"{type(error).__name__} {error.code}")
        except (cma.CmaError, ConfigError, MirrorError, TimeoutError) as error:
            self._log.debug("webhook_log.poll_failed", reason=str(error) or type(error).__name__)
            self._failures += 1
            self._search_at = max(self._search_at, time.monotonic() + SEARCH_RETRY.delay(self._failures))
            self._state.log_polls[PollOutcome.FAILED] += 1
            self._client_until = 0.0
        if self._client is not None:
            sent = self._client.usage.requests - before
            self._state.results += self._client.usage.results - results
        return result, sent

    async def _open(self, source: SourceConfig) -> cma.Client:
        if self._client is None or time.monotonic() > self._client_until:
            await self.end()
            self._stack = AsyncExitStack()
            self._client = await self._stack.enter_async_context(source.open_client())
            self._client_until = time.monotonic() + CLIENT_SECONDS
        return self._client

    async def _read(self, client: cma.Client, source: SourceConfig) -> PollResult:
        if time.monotonic() >= self._search_at:
            await self._search(client, source)
        if self._webhook_id is None:
            return PollResult.NOTHING
        if self._position is None:
            cursor = await self._store.log_cursor()
            self._position = None if cursor is None else LogPosition(up_to=cursor)
        self._state.webhook_log = LogStatus.ACTIVE
        webhook_id, position = self._webhook_id, self._position
        calls, page = await _page(client, webhook_id, position, limit=PAGE)
        delta = read_page(position, page, webhook_id=webhook_id)
        if position is not None and not delta.is_gapless and not page.is_complete:
            calls, page = await _page(client, webhook_id, position, limit=DEEP_PAGE)
            delta = read_page(position, page, webhook_id=webhook_id)
        return await self._save(delta, calls)

    async def _save(self, delta: LogDelta, calls: Sequence[cma.WebhookCall]) -> PollResult:
        state, now = self._state, datetime.now(UTC)
        new = [call for call in calls if call.id in delta.new and call.id not in self._received]
        payloads = [call for each in new if (call := parse_payload(each.request_payload.encode())) is not None]
        has_unreadable = len(payloads) < len(new) or not delta.new <= {call.id for call in calls}
        # An invalid cursor says that a command has changed the webhook: its log was never read.
        is_first = self._position is None or self._position.up_to.is_invalid
        results = await self._save_page(payloads, delta, is_gap=not (is_first or delta.is_gapless))
        self._position = delta.position
        state.log_polls[PollOutcome.COMPLETE if delta.is_gapless else PollOutcome.GAP] += 1
        state.log_read_at = now
        recovered = results.count(WebhookResult.RECOVERED)
        state.webhook_results[WebhookResult.RECOVERED] += recovered
        state.queued_records += recovered
        if any(result is not WebhookResult.OTHER_ENVIRONMENT for result in results):
            state.record_call(now)
        if not delta.is_gapless:
            self._gaps_in_a_row += 1
            if not is_first:
                state.log_gaps, state.last_gap_at = state.log_gaps + 1, now
            log = self._log.debug if is_first else self._log.info
            log("webhook_log.gap", calls=len(delta.new))
            return PollResult.CHECK
        self._gaps_in_a_row = 0
        if has_unreadable or WebhookResult.ACCEPTED_NO_RECORD in results:
            return PollResult.CHECK
        return PollResult.RECORDS if recovered or WebhookResult.ACCEPTED in results else PollResult.NOTHING

    async def _save_page(
        self, calls: Sequence[WebhookPayload], delta: LogDelta, *, is_gap: bool
    ) -> Sequence[WebhookResult]:
        """Queue the records that the calls name, and save the cursor; without anything new, write nothing."""
        before = None if self._position is None else self._position.up_to
        now = delta.position.up_to
        is_unchanged = before is not None and (before.webhook_id, before.last) == (now.webhook_id, now.last)
        if is_unchanged and not calls and not is_gap:
            return ()
        return await self._store.save_log_page(calls, now, is_gap=is_gap)

    async def _search(self, client: cma.Client, source: SourceConfig) -> None:
        """Search for the source's webhook, and log what has changed about it."""
        own = find_own(await client.webhooks(), source.spec.name)
        webhook = next((one for one in own if missing_events(one) is None), None)
        if webhook is None:
            why = None if not own else f"the webhook {own[0].name} does not report everything: {missing_events(own[0])}"
            self._close(LogStatus.ABSENT, why, source)
            return
        self._search_later(source)
        if self._webhook_id != webhook.id:
            self._log.info("webhook_log.active", webhook=webhook.name, webhook_id=webhook.id)
        self._webhook_id, self._state.webhook_log, self._logged_reason = webhook.id, LogStatus.ACTIVE, None

    def _search_later(self, source: SourceConfig) -> None:
        self._failures = 0
        self._search_at = time.monotonic() + max(SEARCH_SECONDS, SEARCH_CHECKS * source.max_staleness)

    def _close(self, status: LogStatus, why: str | None, source: SourceConfig, *, kind: str | None = None) -> None:
        """Go on with checks only. The reason is logged once for each `kind`."""
        self._search_later(source)
        if self._webhook_id is not None and why is None:
            why = "the webhook no longer exists"
        self._webhook_id, self._state.webhook_log = None, status
        if why is not None and (kind or why) != self._logged_reason:
            self._logged_reason = kind or why
            self._log.info("webhook_log.inactive", reason=why)


async def _page(
    client: cma.Client, webhook_id: str, position: LogPosition | None, *, limit: int
) -> tuple[Sequence[cma.WebhookCall], LogPage]:
    """Return the newest calls since `position`. Sends one request."""
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
