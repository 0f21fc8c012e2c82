"""The daemon as a whole: a follower a source, one timetable, and what comes from outside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Final

from structlog.typing import FilteringBoundLogger

from versionsync.config import ConfigError
from versionsync.daemon.scheduler import SourceScheduler
from versionsync.daemon.signals import handled
from versionsync.daemon.state import SourceConfig, WorkerState
from versionsync.daemon.systemd_notify import SystemdNotifier, is_ready, summary
from versionsync.daemon.watchdog import Watchdog
from versionsync.daemon.worker import STALL_SECONDS, SourceWorker
from versionsync.mirror.database import Mirror

__all__ = ["Daemon"]

CLOCK_SECONDS: Final = 5.0
CLOCK_JUMP_SECONDS: Final = 2.0
NOTIFY_SECONDS: Final = 5.0
START_NOTIFY_SECONDS: Final = 0.5
RESTART_SECONDS: Final = 5.0


class Daemon:
    """Follows `sources` until it is told to stop. `load` reads the settings again and returns the sources they have."""

    def __init__(
        self,
        mirror: Mirror,
        sources: Sequence[SourceConfig],
        *,
        load: Callable[[], Sequence[SourceConfig]],
        log: FilteringBoundLogger,
        random: Random | None = None,
        stall_seconds: float = STALL_SECONDS,
        supervisor: SystemdNotifier | None = None,
    ) -> None:
        self._mirror = mirror
        self._sources = sources
        self._load = load
        self._log = log
        self._random = random or Random()  # noqa: S311 - waits, not secrets
        self._stall_seconds = stall_seconds
        self._supervisor = supervisor or SystemdNotifier()
        self._liveness = Watchdog()
        self._timetable = SourceScheduler(log)
        self._followers: dict[str, SourceWorker] = {}
        self._said_to_hang: list[str] = []
        self._stopping = asyncio.Event()
        self._reload = asyncio.Event()

    @property
    def states(self) -> Mapping[str, WorkerState]:
        """How it stands with each source."""
        return {name: follower.state for name, follower in self._followers.items()}

    @property
    def workers(self) -> Mapping[str, SourceWorker]:
        """Who follows each source."""
        return self._followers

    @property
    def scheduler(self) -> SourceScheduler:
        """Which job comes when, and what came of them."""
        return self._timetable

    def stuck(self) -> list[str]:
        """What should have got on and has not, since it was last asked several times; the log is told of it once."""
        activities = (each for follower in self._followers.values() for each in follower.activities())
        hanging = self._liveness.stuck(activities, time.monotonic())
        if hanging and hanging != self._said_to_hang:
            self._log.error("daemon.stuck", what=hanging)
        self._said_to_hang = hanging
        return hanging

    def stop(self) -> None:
        """End cleanly: what is committed stays, runs under way are recorded as interrupted."""
        self._stopping.set()

    def reload(self) -> None:
        """Read the settings again. Bad ones are refused, and the old ones stay."""
        self._reload.set()

    async def run(self) -> None:
        """Until `stop`, SIGTERM or SIGINT."""
        with handled(stop=self.stop, reload=self.reload):
            self._timetable.start()
            for source in self._sources:
                self._add(source)
            self._log.info("daemon.started", sources=len(self._followers))
            helpers = [
                asyncio.create_task(self._go_on(work))
                for work in (self._watch_clock, self._apply_settings, self._notify_systemd)
            ]
            try:
                await self._stopping.wait()
            finally:
                for helper in helpers:
                    helper.cancel()
                await self._end()
            self._log.info("daemon.stopped")

    async def _end(self) -> None:
        self._log.info("daemon.stopping")
        self._supervisor.stopping()
        await self._timetable.stop()
        async with asyncio.TaskGroup() as group:
            for follower in self._followers.values():
                group.create_task(follower.leave())

    def _add(self, source: SourceConfig) -> None:
        follower = SourceWorker(
            self._mirror,
            source,
            self._timetable,
            log=self._log,
            random=self._random,
            stall_seconds=self._stall_seconds,
        )
        self._followers[follower.name] = follower
        follower.begin()

    async def _go_on(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`, and begin again after a fault of ours in it: a daemon must not quietly lose one of its parts."""
        while True:
            try:
                return await work()
            except Exception as error:
                self._log.error("helper.failed", helper=work.__name__.strip("_"), error=repr(error), exc_info=error)
                await asyncio.sleep(RESTART_SECONDS)

    async def _apply_settings(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            self._supervisor.reloading()
            try:
                sources = await asyncio.to_thread(self._load)
            except (ConfigError, OSError) as error:
                hint = getattr(error, "hint", "The old ones stay in force.")
                self._log.error("settings.refused", reason=str(error), hint=hint)
            else:
                await self._take(sources)
            self._supervisor.ready(summary(self.states.values()))

    async def _take(self, sources: Sequence[SourceConfig]) -> None:
        """Follow these from now on. Every one is looked at soon: who reloads has mended something, or added it."""
        wanted = {source.spec.name: source for source in sources}
        for name in self._followers.keys() - wanted.keys():
            await self._followers.pop(name).end()
        for name, source in wanted.items():
            follower = self._followers.get(name)
            if follower is None:
                self._add(source)
            else:
                follower.change(source)
        self._log.info("settings.reloaded", sources=len(self._followers))

    async def _notify_systemd(self) -> None:
        """Whether it is ready, and from then on that it gets on; whoever hears nothing any more restarts it."""
        if not self._supervisor.is_present:
            return
        while not is_ready(self.states.values()):
            if not self.stuck():
                self._supervisor.starting(summary(self.states.values()))
            await asyncio.sleep(START_NOTIFY_SECONDS)
        self._supervisor.ready(summary(self.states.values()))
        while True:
            if not self.stuck():
                self._supervisor.alive(summary(self.states.values()))
            await asyncio.sleep(min(NOTIFY_SECONDS, (self._supervisor.watchdog_seconds or NOTIFY_SECONDS * 3) / 3))

    async def _watch_clock(self) -> None:
        """The scheduler waits for times of day. Set back by an hour, it would sleep for one."""
        before = _offset()
        while True:
            await asyncio.sleep(CLOCK_SECONDS)
            if abs((now := _offset()) - before) > CLOCK_JUMP_SECONDS:
                self._log.info("clock.jumped", seconds=round(now - before))
                self._timetable.restart()
            before = now


def _offset() -> float:
    """Between the time of day and a clock that never jumps."""
    return datetime.now(UTC).timestamp() - time.monotonic()
