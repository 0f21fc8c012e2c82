"""Sends webhook calls in the background, with retries up to two days apart by the simulator's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import aiohttp

from versionsync.simulator.http.project import Project
from versionsync.simulator.world.webhooks import CallStatus, WebhookCall
from versionsync.simulator.world.world import World

__all__ = ["send_webhooks"]

POLL_SECONDS: Final = 0.05
RESPONSE_SECONDS: Final = 8.0
RETRY_AFTER: Final = (
    *(timedelta(minutes=minutes) for minutes in (2, 6, 30)),
    *(timedelta(hours=hours) for hours in (1, 5)),
    *(timedelta(days=days) for days in (1, 2)),
)
"""The delay after each failed attempt, with `auto_retry`: more than three days in all."""


async def send_webhooks(projects: Sequence[Project]) -> None:
    """Send the webhook calls of *projects* that are due, without an end; the list may grow.

    Within a project a slow receiver delays the next calls.
    """
    timeout = aiohttp.ClientTimeout(total=RESPONSE_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as sending:
        busy: dict[int, asyncio.Task[None]] = {}
        while True:
            for number, project in enumerate(projects):
                if project.world.has_webhooks and (number not in busy or busy[number].done()):
                    busy[number] = sending.create_task(_send_due(session, project.world))
            await asyncio.sleep(POLL_SECONDS)


async def _send_due(session: aiohttp.ClientSession, world: World) -> None:
    world.tick()
    await asyncio.gather(*(_send(session, world, call) for call in world.webhooks.due(world.now())))


async def _send(session: aiohttp.ClientSession, world: World, call: WebhookCall) -> None:
    webhook = call.webhook
    call.last_sent_at = world.now()
    payload = call.sent_payload.encode()
    try:
        for _ in range(2 if world.options.webhooks_call_twice == "same_call" else 1):
            async with session.post(webhook.url, data=payload, headers=call.request_headers) as response:
                call.response_status = response.status
                call.response_headers = dict(response.headers)
                call.response_payload = (await response.read()).decode(errors="replace")
    except (aiohttp.ClientError, TimeoutError) as error:
        call.response_status, call.response_payload = None, str(error)
    if call.response_status is not None and 200 <= call.response_status < 300:
        call.status, call.next_retry_at = CallStatus.SUCCESS, None
    elif webhook.auto_retry and call.retries < len(RETRY_AFTER):
        call.status = CallStatus.RESCHEDULED
        call.next_retry_at = world.now() + RETRY_AFTER[call.retries]
        call.retries += 1
    else:
        call.status, call.next_retry_at = CallStatus.FAILED, None
