"""Keeps the database and the channels in agreement about what was sent: no problem is sent twice, and none is lost.

Before the first notification about a source, the database is asked what was already sent, by this daemon before its
restart or by another one before this one took over. What is sent from then on is saved there a moment later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from structlog.typing import FilteringBoundLogger

from versionsync.daemon.notifications.rules import NotificationKind, NotificationState
from versionsync.daemon.worker_database import WorkerDatabase
from versionsync.daemon.worker_state import WorkerState, WorkerStatus
from versionsync.mirror.errors import MirrorError

__all__ = ["NotificationStore"]

RETRY_SECONDS: Final = 15.0
"""The wait before a database that was unavailable is asked again."""

Sent = dict[str, NotificationKind]
"""The open notifications about a source, by channel."""


class NotificationStore:
    """Stores the notifications of all sources. `store_of` returns the store of a source by its name."""

    def __init__(self, store_of: Callable[[str], WorkerDatabase], *, log: FilteringBoundLogger) -> None:
        self._store_of = store_of
        self._log = log
        self._saved: dict[str, Sent] = {}
        self._ready: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def check(
        self,
        states: Mapping[str, WorkerState],
        channels: Mapping[str, NotificationState],
        *,
        now: datetime,
        clock: float,
    ) -> frozenset[str]:
        """Begin to read and to write what is due, and return the sources about which notifications may be sent.

        Nothing here waits. `channels` are by their key; `clock` is monotonic.
        """
        for name, state in states.items():
            if state.status in (WorkerStatus.STARTING, WorkerStatus.STANDBY):
                self._leave(name, channels)
            elif self._is_free(name, clock):
                if name not in self._saved:
                    self._task = asyncio.create_task(self._read(self._store_of(name), name, channels, clock))
                elif changes := self._changes(name, state, channels):
                    self._task = asyncio.create_task(self._write(self._store_of(name), name, changes, now, clock))
        return frozenset(self._ready)

    def remember(self, channel: str, state: NotificationState) -> None:
        """Restore the state of a channel that is new in the settings, or back in them."""
        for name, saved in self._saved.items():
            if channel in saved:
                state.restore(name, saved[channel])

    async def close(self) -> None:
        """Stop, without waiting for the database."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _is_free(self, name: str, clock: float) -> bool:
        is_busy = self._task is not None and not self._task.done()
        return not is_busy and clock >= self._not_before.get(name, float("-inf"))

    def _leave(self, name: str, channels: Mapping[str, NotificationState]) -> None:
        """Forget a source that another daemon has. It is read again when it comes back."""
        self._ready.discard(name)
        if self._saved.pop(name, None) is not None:
            for state in channels.values():
                state.reset(name)

    def _changes(
        self, name: str, state: WorkerState, channels: Mapping[str, NotificationState]
    ) -> dict[str, NotificationKind | None]:
        saved = self._saved[name]
        sent = {channel: each.sent_for(name) for channel, each in channels.items()}
        if state.status is WorkerStatus.ACTIVE:  # a channel that is no longer in the settings gets no more
            sent = dict.fromkeys(saved) | sent
        return {channel: kind for channel, kind in sent.items() if kind != saved.get(channel)}

    async def _read(
        self, store: WorkerDatabase, name: str, channels: Mapping[str, NotificationState], clock: float
    ) -> None:
        try:
            self._saved[name] = dict(await store.sent_notifications())
        except (MirrorError, RuntimeError) as error:  # the source may have ended
            # The unavailable database may be the very problem to report.
            self._log.debug("notifications.load_failed", source=name, reason=str(error))
            self._not_before[name] = clock + RETRY_SECONDS
        else:
            for channel, kind in self._saved[name].items():
                if channel in channels:
                    channels[channel].restore(name, kind)
        self._ready.add(name)

    async def _write(
        self,
        store: WorkerDatabase,
        name: str,
        changes: Mapping[str, NotificationKind | None],
        now: datetime,
        clock: float,
    ) -> None:
        try:
            await store.save_notifications(changes, now)
        except (MirrorError, RuntimeError) as error:
            self._log.debug("notifications.save_failed", source=name, reason=str(error))
            self._not_before[name] = clock + RETRY_SECONDS
            return
        kept: Mapping[str, NotificationKind | None] = {**self._saved.get(name, {}), **changes}
        self._saved[name] = {channel: kind for channel, kind in kept.items() if kind is not None}
