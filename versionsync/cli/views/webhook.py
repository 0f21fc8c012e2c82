"""The last calls of a webhook: show them, and repeat one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from versionsync import cma
from versionsync.cli.terminal.output import Column, Output
from versionsync.text import when
from versionsync.webhooks.payload import parse_payload
from versionsync.webhooks.registration import EVENTS, missing_events, subscribed_events

__all__ = ["CALLS_SHOWN", "TestCall", "entry", "last_calls", "resend", "show"]

CALLS_SHOWN: Final = 5
TIMEOUT_SECONDS: Final = 20.0
"""Longer than DatoCMS waits for an answer."""
POLL_SECONDS: Final = 0.5
RUNNING: Final = frozenset({"pending"})
"""`rescheduled` is not among them: such a call has failed. With automatic retries DatoCMS makes it again up to seven
times, after 2, 6 and 30 minutes, 1 and 5 hours, 1 and 2 days."""
COLUMNS: Final = (
    Column("time (UTC)"),
    Column("event"),
    Column("record", shrinks=True),
    Column("environment", shrinks=True),
    Column("status"),
    Column("HTTP", side="right"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCall:
    """The result of a repeated call. `http_status` is None if there was no answer."""

    call_id: str
    url: str
    status: str
    http_status: int | None
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Whether the answer was 2xx."""
        return self.status == "success"

    @property
    def sentence(self) -> str:
        """The result in a sentence."""
        call = f"DatoCMS repeated call {self.call_id}: {self.url}"
        if self.http_status is not None:
            return f"{call} answered {self.http_status} within {self.seconds:.1f} s"
        if self.status in RUNNING:
            return f"{call} has not answered for {self.seconds:.0f} s"
        return f"{call} did not answer"

    def fields(self) -> dict[str, Any]:
        """Return the result as the members of a JSON object."""
        return asdict(self) | {"answered": self.http_status is not None, "good": self.succeeded}


async def last_calls(client: cma.Client, webhook_id: str, *, limit: int = CALLS_SHOWN) -> Sequence[cma.WebhookCall]:
    """Return the newest calls of a webhook, newest first. One request."""
    filters = {"webhook_id": {"eq": webhook_id}}
    return (await client.webhook_calls_page(limit=limit, order_by="created_at_desc", filters=filters)).items


async def resend(client: cma.Client, webhook: cma.Webhook) -> TestCall | None:
    """Let DatoCMS repeat the last call, and wait for the result. None: there is no call yet."""
    calls = await last_calls(client, webhook.id, limit=1)
    if not calls:
        return None
    before, started = calls[0], time.monotonic()
    await client.resend_webhook_call(before.id)
    while True:
        call, seconds = await client.webhook_call(before.id), time.monotonic() - started
        # For a moment the call may still look as before: it is finished only after it was sent again.
        is_sent = call.last_sent_at != before.last_sent_at or seconds > TIMEOUT_SECONDS / 4
        if seconds > TIMEOUT_SECONDS or (is_sent and call.status not in RUNNING):
            return TestCall(
                call_id=call.id,
                url=webhook.url,
                status=call.status,
                http_status=call.response_status if call.status not in RUNNING else None,
                seconds=round(seconds, 2),
            )
        await asyncio.sleep(POLL_SECONDS)


def show(output: Output, webhook: cma.Webhook, calls: Sequence[cma.WebhookCall]) -> None:
    """Print a webhook and its last calls."""
    flaw = missing_events(webhook)
    _line(output, "webhook", f"{webhook.name} (id {webhook.id}), {'enabled' if webhook.enabled else 'disabled'}")
    _line(output, "URL", webhook.url)
    _line(output, "events", ", ".join(event for event in EVENTS if event in subscribed_events(webhook)) or "none")
    _line(output, "login", webhook.http_basic_user or "none")
    _line(output, "calls again", "yes" if webhook.auto_retry else "no")
    if flaw is not None:
        output.paragraph((f"  {output.symbol(None)} {flaw}: `versionsync webhook install` fixes it", "yellow"), hang=4)
    if not calls:
        _line(output, "last calls", "none yet")
        return
    _line(output, "last calls", "")
    output.table(COLUMNS, [_row(call) for call in calls], indent=2)


def entry(webhook: cma.Webhook, calls: Sequence[cma.WebhookCall]) -> dict[str, Any]:
    """Return the same as the members of a JSON object."""
    return {
        "id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "enabled": webhook.enabled,
        "auto_retry": webhook.auto_retry,
        "http_basic_user": webhook.http_basic_user,
        "events": sorted(subscribed_events(webhook)),
        "tells_all": missing_events(webhook) is None,
        "attention": missing_events(webhook),
        "calls": [_call(call) for call in calls],
    }


def _line(output: Output, name: str, value: str) -> None:
    output.paragraph(f"  {name:<12} {value}".rstrip(), hang=15)


def _row(call: cma.WebhookCall) -> list[str]:
    record, environment = _about(call)
    http = "–" if call.response_status is None else str(call.response_status)
    return [when(call.created_at), call.event_type, record or "–", environment or "–", call.status, http]


def _call(call: cma.WebhookCall) -> dict[str, Any]:
    record, environment = _about(call)
    return {
        "id": call.id,
        "created_at": call.created_at,
        "entity_type": call.entity_type,
        "event_type": call.event_type,
        "record": record,
        "environment": environment,
        "status": call.status,
        "http_status": call.response_status,
        "last_sent_at": call.last_sent_at,
    }


def _about(call: cma.WebhookCall) -> tuple[str | None, str | None]:
    """Return the record and the environment that the call is about."""
    read = parse_payload(call.request_payload.encode())
    return (None, None) if read is None else (read.record_id, read.environment)
