"""Heartbeats: calls an address after successful checks. A monitoring service there raises an alarm when calls stop.

Only success is reported, since every such service understands that; problems are what notifications are for. A sync
never waits for a heartbeat.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import aiohttp
from structlog.typing import FilteringBoundLogger

from versionsync import __version__
from versionsync.config import Secret
from versionsync.daemon.notifications.notifier import cancel_all
from versionsync.daemon.worker_state import WorkerState, WorkerStatus
from versionsync.outgoing_http import proxy_for, trust

__all__ = ["HeartbeatSender"]

TIMEOUT_SECONDS: Final = 5.0
EVERY_SECONDS: Final = 60.0
"""The shortest interval between the heartbeats of a source, however often it is checked."""
RETRY_SECONDS: Final = 15.0


@dataclass(slots=True)
class _Target:
    """The heartbeat of one source. `reported` is the success that was last reported."""

    reported: datetime | None = None
    task: asyncio.Task[None] | None = None
    failures: int = 0
    not_before: float = 0.0


class HeartbeatSender:
    """Sends heartbeats to the addresses that `urls` returns, by source."""

    def __init__(
        self,
        urls: Callable[[], Mapping[str, Secret]],
        *,
        log: FilteringBoundLogger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._urls = urls
        self._log = log
        self._clock = clock
        self._targets: dict[str, _Target] = {}

    def check(self, states: Mapping[str, WorkerState], now: datetime) -> None:
        """Begin a heartbeat for each source that was checked successfully since the last one; nothing here waits."""
        for name, url in self._urls().items():
            target = self._targets.setdefault(name, _Target())
            success = states[name].last_success_at if name in states else None
            is_ours = name in states and states[name].status is WorkerStatus.ACTIVE
            is_due = is_ours and success != target.reported and self._clock() >= target.not_before
            if is_due and target.task is None:
                target.task = asyncio.create_task(self._call(name, target, url, success))

    async def close(self) -> None:
        """Stop, without waiting for answers."""
        await cancel_all(target.task for target in self._targets.values())

    async def _call(self, name: str, target: _Target, url: Secret, success: datetime | None) -> None:
        try:
            reason = await _get(url)
        finally:
            target.task = None
        target.not_before = self._clock() + (EVERY_SECONDS if reason is None else RETRY_SECONDS)
        if reason is None:
            if target.failures:
                self._log.info("heartbeat.recovered", source=name)
            target.reported, target.failures = success, 0
            return
        target.failures += 1
        report = self._log.warning if target.failures == 1 else self._log.debug
        report("heartbeat.failed", source=name, reason=reason)


async def _get(url: Secret) -> str | None:
    """Return why the call did not arrive, without its address; None: it did."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    headers = {"User-Agent": f"versionsync/{__version__}"}
    try:
        context, proxy = trust(), proxy_for(url.reveal())
    except ValueError as error:  # its text holds no secret
        return str(error)
    except OSError as error:
        return f"it cannot be reached: {error.strerror}"
    through, login = (None, None) if proxy is None else (proxy.url, proxy.headers)
    try:
        async with (
            aiohttp.ClientSession(
                timeout=timeout, headers=headers, connector=aiohttp.TCPConnector(ssl=context)
            ) as http,
            http.get(url.reveal(), proxy=through, proxy_headers=login) as answer,
        ):
            return None if answer.ok else f"it answered with HTTP {answer.status}"
    except TimeoutError:
        return f"no answer within {TIMEOUT_SECONDS:.0f} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # The text of other errors holds the address.
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return f"it cannot be reached: {why}"
