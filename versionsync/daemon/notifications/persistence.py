"""Brings what places remember and what the database has of it together: no trouble is told twice, and none forgotten.

Before anything is told of a source, the database is asked what was told already: by this daemon before it started
again, or by another one before this one took over. What is told from then on is written there a moment later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from structlog.typing import FilteringBoundLogger

from versionsync.daemon.notifications.rules import NotificationKind, NotificationState
from versionsync.daemon.state import WorkerState, WorkerStatus
from versionsync.mirror.errors import MirrorError

__all__ = ["NotificationStore", "StoreBackend"]

RETRY_SECONDS: Final = 15.0
"""How soon a database that was away is asked again."""


class StoreBackend(Protocol):
    """Where it is kept, of one source. Everything raises MirrorError; RuntimeError once the source is left."""

    async def sent_notifications(self) -> Mapping[str, NotificationKind]:
        """What was told of the source that is not over, by place."""

    async def save_notifications(self, told: Mapping[str, NotificationKind | None], at: datetime) -> None:
        """This was told of the source to these places; None: that all is well again."""


class NotificationStore:
    """Of all sources, for one herald. `books` has the book of each source that is followed."""

    def __init__(self, books: Callable[[], Mapping[str, StoreBackend]], *, log: FilteringBoundLogger) -> None:
        self._books = books
        self._log = log
        self._kept: dict[str, dict[str, NotificationKind]] = {}
        self._may_be_told: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def check(
        self, states: Mapping[str, WorkerState], places: Mapping[str, NotificationState], *, now: datetime, clock: float
    ) -> frozenset[str]:
        """The sources that may be told of. Begins to read and to write what is due; nothing here waits."""
        for name, state in states.items():
            if state.status in (WorkerStatus.STARTING, WorkerStatus.STANDBY):
                self._leave(name, places)
            elif self._is_free(name, clock):
                if name not in self._kept:
                    self._begin(self._read(self._books()[name], name, places, clock))
                elif changes := self._changes(name, state, places):
                    self._begin(self._write(self._books()[name], name, changes, now, clock))
        return frozenset(self._may_be_told)

    def remember(self, place: str, memory: NotificationState) -> None:
        """A place that is new in the settings, or was in them before: what it was told, it knows."""
        for name, kept in self._kept.items():
            if place in kept:
                memory.restore(name, kept[place])

    async def close(self) -> None:
        """Wait for nothing any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _is_free(self, name: str, clock: float) -> bool:
        is_busy = self._task is not None and not self._task.done()
        return not is_busy and clock >= self._not_before.get(name, float("-inf"))

    def _leave(self, name: str, places: Mapping[str, NotificationState]) -> None:
        """It is another daemon's now, which tells and writes what comes: it is read anew when it is ours again."""
        self._may_be_told.discard(name)
        if self._kept.pop(name, None) is not None:
            for memory in places.values():
                memory.reset(name)

    def _changes(
        self, name: str, state: WorkerState, places: Mapping[str, NotificationState]
    ) -> dict[str, NotificationKind | None]:
        kept = self._kept[name]
        told = {place: memory.sent_for(name) for place, memory in places.items()}
        if state.status is WorkerStatus.ACTIVE:  # a place that is in the settings no more is owed nothing
            told = dict.fromkeys(kept) | told
        return {place: kind for place, kind in told.items() if kind != kept.get(place)}

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.create_task(work)

    async def _read(self, book: StoreBackend, name: str, places: Mapping[str, NotificationState], clock: float) -> None:
        try:
            self._kept[name] = dict(await book.sent_notifications())
        except (MirrorError, RuntimeError) as error:
            # That the database is away may be the very thing to tell.
            self._log.debug("notifications.load_failed", source=name, reason=str(error))
            self._not_before[name] = clock + RETRY_SECONDS
        else:
            for place, kind in self._kept[name].items():
                if place in places:
                    places[place].restore(name, kind)
        self._may_be_told.add(name)

    async def _write(
        self, book: StoreBackend, name: str, changes: Mapping[str, NotificationKind | None], now: datetime, clock: float
    ) -> None:
        try:
            await book.save_notifications(changes, now)
        except (MirrorError, RuntimeError) as error:
            self._log.debug("notifications.save_failed", source=name, reason=str(error))
            self._not_before[name] = clock + RETRY_SECONDS
            return
        kept = self._kept.setdefault(name, {})
        for place, kind in changes.items():
            if kind is None:
                kept.pop(place, None)
            else:
                kept[place] = kind
