"""The dead man's switch: an address that is called after looks that succeeded. Its service tells when the calls stop.

Only success is told there, since that is what every such service understands; what is wrong is what notices are for. A
sync never waits for it.
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
from versionsync.daemon.state import WorkerState, WorkerStatus
from versionsync.outgoing import proxy_for, trust

__all__ = ["HeartbeatSender"]

TIMEOUT_SECONDS: Final = 5.0
EVERY_SECONDS: Final = 60.0
"""However often a source is looked at, its switch is called no more often than that."""
RETRY_SECONDS: Final = 15.0


@dataclass(slots=True)
class _Target:
    """The switch of one source: the last success that it was told, or was to be told."""

    sent_state: datetime | None = None
    task: asyncio.Task[None] | None = None
    failures: int = 0
    not_before: float = 0.0


class HeartbeatSender:
    """Calls the switches that `urls` returns by source; it is asked at every look."""

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
        self._switches: dict[str, _Target] = {}

    def check(self, states: Mapping[str, WorkerState], now: datetime) -> None:
        """Begin to call where a look has succeeded since the last call; nothing here waits."""
        for name, url in self._urls().items():
            switch = self._switches.setdefault(name, _Target())
            success = states[name].last_success_at if name in states else None
            is_ours = name in states and states[name].status is WorkerStatus.ACTIVE
            is_due = is_ours and success != switch.sent_state and self._clock() >= switch.not_before
            if is_due and switch.task is None:
                switch.task = asyncio.create_task(self._call(name, switch, url, success))

    async def close(self) -> None:
        """Wait for nothing any more."""
        tasks = {each.task for each in self._switches.values() if each.task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _call(self, name: str, switch: _Target, url: Secret, success: datetime | None) -> None:
        try:
            reason = await _get(url)
        finally:
            switch.task = None
        switch.not_before = self._clock() + (EVERY_SECONDS if reason is None else RETRY_SECONDS)
        if reason is None:
            if switch.failures:
                self._log.info("heartbeat.recovered", source=name)
            switch.sent_state, switch.failures = success, 0
            return
        switch.failures += 1
        tell = self._log.warning if switch.failures == 1 else self._log.debug
        tell("heartbeat.failed", source=name, reason=reason)


async def _get(url: Secret) -> str | None:
    """Why the call did not arrive, without its address in it; None: it did."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    headers = {"User-Agent": f"versionsync/{__version__}"}
    try:
        context, proxy = trust(), proxy_for(url.reveal())
    except ValueError as error:  # its words are made to be shown
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
        # The words of other errors hold the address.
        told = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return f"it cannot be reached: {told}"
