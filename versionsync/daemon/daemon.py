"""The daemon: one worker per source, one scheduler, its place among other daemons, signals and reloads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Final

from structlog.typing import FilteringBoundLogger

from versionsync.config import ConfigError
from versionsync.daemon.held_sources import HeldSources
from versionsync.daemon.membership import Membership, Pace
from versionsync.daemon.messages import MessageReader
from versionsync.daemon.run_queue import RunQueue
from versionsync.daemon.scheduler import SourceScheduler
from versionsync.daemon.source_worker import DATABASE_TIMEOUT_SECONDS, STALL_SECONDS, SourceWorker
from versionsync.daemon.stop_signals import handled
from versionsync.daemon.systemd_notify import Activity, SystemdNotifier, Watchdog, is_ready, summary
from versionsync.daemon.worker_state import SourceConfig, WorkerState
from versionsync.history.projections.background import BackgroundFiller
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import MirrorError
from versionsync.sync.run_limits import Limits
from versionsync.sync.run_memory import SharedMemory

__all__ = ["Daemon"]

CLOCK_SECONDS: Final = 5.0
CLOCK_JUMP_SECONDS: Final = 2.0
NOTIFY_SECONDS: Final = 5.0
START_NOTIFY_SECONDS: Final = 0.5
RESTART_SECONDS: Final = 5.0
COUNT_SECONDS: Final = 10.0
"""How often the requests of runs in progress are saved."""
MAX_RUNS: Final = 16


class Daemon:
    """Keeps its share of `sources` up to date until it is stopped. Other daemons on the database do the rest.

    Args:
        mirror: The database.
        sources: The sources at the start.
        load: Reads the settings again and returns their sources. May raise ConfigError or OSError.
        log: The log.
        random: The source of jitter.
        stall_seconds: A run is ended when nothing moves for this long.
        max_runs: How many runs there may be at once.
        notifier: Sends messages to systemd.
        open_filler: Makes what fills the projections of a source, by its name. It gets a function that returns whether
            runs are in progress. None: nothing fills them.
        on_active: Is called with the names of the sources that it `runs`, whenever they have changed.
        pace: How fast daemons react to one another. None: as usual.

    Attributes:
        scheduler: The scheduler of all jobs.
        workers: The worker of each source in the settings.
        membership: Its heartbeat.
    """

    def __init__(
        self,
        mirror: Mirror,
        sources: Sequence[SourceConfig],
        *,
        load: Callable[[], Sequence[SourceConfig]],
        log: FilteringBoundLogger,
        random: Random | None = None,
        stall_seconds: float = STALL_SECONDS,
        max_runs: int = MAX_RUNS,
        notifier: SystemdNotifier | None = None,
        open_filler: Callable[[str, Callable[[], bool]], BackgroundFiller] | None = None,
        on_active: Callable[[frozenset[str]], None] = lambda _: None,
        pace: Pace | None = None,
    ) -> None:
        self._mirror = mirror
        self._sources = sources
        self._load = load
        self._log = log
        self._random = random or Random()  # noqa: S311 - waits, not secrets
        self._stall_seconds = stall_seconds
        self._notifier = notifier or SystemdNotifier()
        self._open_filler = open_filler
        self._queue = RunQueue(max_runs)
        self._limits = Limits(shared=SharedMemory())
        self._watchdog = Watchdog()
        self.scheduler = SourceScheduler(log)
        self.workers: dict[str, SourceWorker] = {}
        self._held = HeldSources(self.workers, released=self._seek_soon, changed=on_active, log=log)
        pace = pace or Pace()
        self.membership = Membership(mirror, report=self._held.report, apply=self._held.apply, log=log, pace=pace)
        self._messages = MessageReader(
            mirror, self.membership, self._held, log=log, random=self._random, look_seconds=pace.look
        )
        self._logged_stuck: list[str] = []
        self._stopping = asyncio.Event()
        self._reload = asyncio.Event()

    @property
    def held(self) -> frozenset[str]:
        """The names of the sources that this daemon runs now. Any thread may ask."""
        return self._held.names

    def runs(self, name: str) -> bool:
        """Return whether this daemon runs a source, or its last run before it is given away. Any thread may ask."""
        return self._held.runs(name)

    @property
    def runs_waiting(self) -> int:
        """How many runs wait for a place."""
        return len(self._queue.places.waiting)

    @property
    def daemons_alive(self) -> int | None:
        """How many daemons live, by the last heartbeat; None: there was none yet."""
        last = self.membership.last
        return None if last is None else last.daemons

    @property
    def states(self) -> Mapping[str, WorkerState]:
        """The state of each source. Any thread may ask: a reload may change the workers meanwhile."""
        return {name: worker.state for name, worker in tuple(self.workers.items())}

    def stuck(self) -> list[str]:
        """Return the activities that should have made progress and have not; log them once."""
        activities = [Activity("heartbeat", self.membership.attempts, DATABASE_TIMEOUT_SECONDS)]
        activities += (each for worker in self.workers.values() for each in worker.activities())
        stuck = self._watchdog.stuck(activities, time.monotonic())
        if stuck and stuck != self._logged_stuck:
            self._log.error("daemon.stuck", what=stuck)
        self._logged_stuck = stuck
        return stuck

    def stop(self) -> None:
        """End cleanly: what is committed stays, and runs in progress are recorded as interrupted."""
        self._stopping.set()

    def reload(self) -> None:
        """Read the settings again. If they are invalid, the old ones stay in force."""
        self._reload.set()

    async def run(self) -> None:
        """Run until `stop`, SIGTERM or SIGINT."""
        with handled(stop=self.stop, reload=self.reload):
            self.scheduler.start()
            for source in self._sources:
                self._add(source)
            self._log.info("daemon.started", sources=len(self.workers))
            helpers = [
                asyncio.create_task(self._supervise(work))
                for work in (
                    self.membership.run,
                    self._messages.listen,
                    self._messages.look,
                    self._count_requests,
                    self._watch_clock,
                    self._apply_settings,
                    self._notify_systemd,
                )
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
        self._notifier.stopping()
        await self.scheduler.stop()
        await self._held.close()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._leave())
            for worker in self.workers.values():
                group.create_task(worker.leave())

    async def _leave(self) -> None:
        """Release all sources to other daemons at once. If the database is unavailable, the claims expire."""
        try:
            await self.membership.leave()
        except MirrorError as error:
            self._log.debug("database.unavailable", error=str(error))

    def _seek_soon(self) -> None:
        self.membership.soon()

    async def _count_requests(self) -> None:
        while True:
            await asyncio.sleep(COUNT_SECONDS)
            for worker in tuple(self.workers.values()):
                await worker.count_requests()

    def _is_busy(self) -> bool:
        return any(worker.state.progress is not None for worker in self.workers.values())

    def _add(self, source: SourceConfig) -> None:
        worker = SourceWorker(
            self._mirror,
            source,
            self.scheduler,
            queue=self._queue,
            log=self._log,
            random=self._random,
            stall_seconds=self._stall_seconds,
            limits=self._limits,
            filler=None if self._open_filler is None else self._open_filler(source.spec.name, self._is_busy),
            confirm=self.membership.confirm,
        )
        self.workers[worker.name] = worker

    async def _supervise(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work`, and restart it after a bug in it: a daemon must not silently lose one of its parts."""
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
            self._notifier.reloading()
            try:
                sources = await asyncio.to_thread(self._load)
            except (ConfigError, OSError) as error:
                hint = getattr(error, "hint", "The old settings stay in force.")
                self._log.error("settings.refused", reason=str(error), hint=hint)
            else:
                await self._apply(sources)
            finally:
                self._notifier.ready(summary(self.states.values()))

    async def _apply(self, sources: Sequence[SourceConfig]) -> None:
        """Run these from now on. Each is checked soon: a reload usually follows a fix or a new source."""
        wanted = {source.spec.name: source for source in sources}
        for name in self.workers.keys() - wanted.keys():
            worker = self.workers.pop(name)
            self._held.forget(name)
            await worker.end()
        for name, source in wanted.items():
            known = self.workers.get(name)
            if known is None:
                self._add(source)
            else:
                known.change(source)
        self.membership.soon()
        self._log.info("settings.reloaded", sources=len(self.workers))

    async def _notify_systemd(self) -> None:
        """Report when the daemon is ready, and from then on that it makes progress; otherwise systemd restarts it."""
        if not self._notifier.is_present:
            return
        while not is_ready(self.states.values()):
            if not self.stuck():
                self._notifier.starting(summary(self.states.values()))
            await asyncio.sleep(START_NOTIFY_SECONDS)
        self._notifier.ready(summary(self.states.values()))
        while True:
            if not self.stuck():
                self._notifier.alive(summary(self.states.values()))
            await asyncio.sleep(min(NOTIFY_SECONDS, (self._notifier.watchdog_seconds or NOTIFY_SECONDS * 3) / 3))

    async def _watch_clock(self) -> None:
        """Restart all waits when the clock jumps. Set back by an hour, the scheduler would sleep for one."""
        before = _offset()
        while True:
            await asyncio.sleep(CLOCK_SECONDS)
            if abs((now := _offset()) - before) > CLOCK_JUMP_SECONDS:
                self._log.info("clock.jumped", seconds=round(now - before))
                self.scheduler.restart()
            before = now


def _offset() -> float:
    """Return the difference between the time of day and the monotonic clock, which never jumps."""
    return datetime.now(UTC).timestamp() - time.monotonic()
