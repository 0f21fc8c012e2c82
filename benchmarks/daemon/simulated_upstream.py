"""An upstream of nothing but edits, and an engine that knows what each kind of run costs there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Final, cast

from benchmarks.daemon import run_costs as costs
from versionsync import cma
from versionsync.cma import Usage
from versionsync.mirror.tables.runs import Counts
from versionsync.sync.options import SourceSpec, SyncOptions
from versionsync.sync.report import Outcome, Progress, RunKind, RunReport
from versionsync.sync.run_limits import RequestLimitReached
from versionsync.webhooks.payload import WebhookPayload, parse_payload
from versionsync.webhooks.registration import EVENTS, name_of

__all__ = ["Engine", "Upstream"]

WEBHOOK: Final = cma.Webhook(
    id="1",
    name=name_of("website"),
    url="https://example.com/",
    enabled=True,
    auto_retry=False,
    is_custom=False,
    http_basic_user=None,
    http_basic_password=None,
    header_names=(),
    events=(cma.WebhookEvents(entity_type="item", event_types=EVENTS),),
)


class Upstream:
    """A project whose records are edited at `edits`, each time another one. Counts requests by UTC day."""

    def __init__(self, edits: Sequence[datetime], *, records: int, has_webhook: bool) -> None:
        self.records = records
        self.requests: Counter[date] = Counter()
        self.latencies: list[float] = []
        self.webhooks = (WEBHOOK,) if has_webhook else ()
        self.calls: list[cma.WebhookCall] = []
        self.changed_at = datetime.min.replace(tzinfo=UTC)
        self._edits = list(edits)
        self._happened = 0
        self._unseen: dict[str, datetime] = {}

    @property
    def next_edit_at(self) -> datetime | None:
        """When somebody edits next."""
        return self._edits[self._happened] if self._happened < len(self._edits) else None

    @property
    def unseen(self) -> Sequence[str]:
        """The records that were edited and are not mirrored."""
        return tuple(self._unseen)

    @property
    def number_unseen(self) -> int:
        """How many these are."""
        return len(self._unseen)

    def happen(self) -> Sequence[WebhookPayload]:
        """Let happen what is to have happened by now; returns what a webhook tells of it."""
        told = []
        while (at := self.next_edit_at) is not None and at <= datetime.now(UTC):
            call = _call(str(self._happened), at)
            self.calls.append(call)
            self._unseen[str(self._happened)] = self.changed_at = at
            self._happened += 1
            read = parse_payload(call.request_payload.encode())
            assert read is not None
            told.append(read)
        return told

    def mirrored(self, ids: Sequence[str]) -> None:
        """A run has mirrored these records just now."""
        now = datetime.now(UTC)
        self.latencies += [(now - self._unseen.pop(id)).total_seconds() for id in ids]

    def open_client(self) -> AbstractAsyncContextManager[cma.Client]:
        """A client of it, as far as the daemon itself uses one."""
        return cast("AbstractAsyncContextManager[cma.Client]", _client(self))


@asynccontextmanager
async def _client(upstream: Upstream) -> AsyncIterator[Client]:
    yield Client(upstream)


class Client:
    """Asks for webhooks and their calls."""

    clock_offset = timedelta()

    def __init__(self, upstream: Upstream) -> None:
        self.usage = Usage()
        self._upstream = upstream

    def send(self, requests: int) -> None:
        """So many more."""
        self.usage.requests += requests
        self._upstream.requests[datetime.now(UTC).date()] += requests

    async def webhooks(self) -> Sequence[cma.Webhook]:
        """Those of the project."""
        self.send(1)
        return self._upstream.webhooks

    async def webhook_calls_page(
        self, *, limit: int, order_by: str, filters: Mapping[str, Mapping[str, str]]
    ) -> cma.Page[cma.WebhookCall]:
        """The newest ones after a time."""
        self.send(1)
        self._upstream.happen()
        since = filters.get("created_at", {}).get("gt")
        after = None if since is None else datetime.fromisoformat(since)
        calls = [call for call in reversed(self._upstream.calls) if after is None or call.created_at > after]
        shown = tuple(calls[:limit])
        now = datetime.now(UTC).replace(microsecond=0)
        return cma.Page(items=shown, total=len(calls), ids=tuple(call.id for call in shown), at=now)


class Engine:
    """Stands in the place of `versionsync.sync.sync_source`."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._swept_at = self._looked_at = datetime.now(UTC) - timedelta(days=3650)

    async def run(
        self,
        _mirror: object,
        client: Client,
        spec: SourceSpec,
        options: SyncOptions,
        *,
        progress: Progress,
        log: object,
        limits: object,
    ) -> RunReport:
        """One run."""
        self._upstream.happen()
        now, found = datetime.now(UTC), self._upstream.unseen
        if options.scrub:
            kind, cost, found = RunKind.SCRUB, costs.of_scrub(options.scrub), ()
        elif options.record_ids:
            kind, cost = RunKind.RECORDS, costs.of_hints(len(options.record_ids))
            found = [id for id in options.record_ids if id in found]
        else:
            kind, cost = RunKind.INCREMENTAL, self._look(now, options, len(found))
        most = cost if options.max_requests is None else options.max_requests
        client.send(min(cost, most))
        if cost > most:
            counts, error = Counts(requests=most), RequestLimitReached(most)
            return RunReport(source=spec.name, kind=kind, outcome=Outcome.FAILED, counts=counts, error=error)
        if kind is RunKind.INCREMENTAL:
            if self._is_sweep(now, options):
                self._swept_at, progress.records_total = now, self._upstream.records
            self._looked_at = now
        self._upstream.mirrored(found)
        counts = Counts(requests=cost, records_pulled=len(found), versions_inserted=len(found))
        return RunReport(source=spec.name, kind=kind, outcome=Outcome.SUCCEEDED, counts=counts)

    def _is_sweep(self, now: datetime, options: SyncOptions) -> bool:
        return now - self._swept_at >= options.beacon_trust

    def _look(self, now: datetime, options: SyncOptions, changed: int) -> int:
        if self._is_sweep(now, options):
            return costs.of_sweep(self._upstream.records, changed)
        return costs.of_look(changed) if self._upstream.changed_at > self._looked_at else costs.IDLE


def _call(record_id: str, at: datetime) -> cma.WebhookCall:
    payload = {"entity_type": "item", "event_type": "update", "entity": {"id": record_id}}
    return cma.WebhookCall(
        id=f"{int(record_id):08}",
        webhook_id=WEBHOOK.id,
        entity_type="item",
        event_type="update",
        created_at=at,
        last_sent_at=at,
        next_retry_at=None,
        status="success",
        response_status=204,
        attempted_auto_retries_count=0,
        request_payload=json.dumps(payload),
    )
