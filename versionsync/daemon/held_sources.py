"""Which sources this daemon runs, as its heartbeats say: a worker has jobs only while the daemon holds its source."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from structlog.typing import FilteringBoundLogger

from versionsync.daemon.membership import Heartbeat, Report
from versionsync.daemon.source_worker import SourceWorker
from versionsync.mirror.tables.webhooks import WebhookUpdate

__all__ = ["HeldSources"]

LOGGED_BY_NAME: Final = 5
"""Up to this many sources that change hands at once are logged by name too."""


class HeldSources:
    """Begins and ends the work of sources.

    Args:
        workers: The worker of each source in the settings.
        released: Is called when the last run of a source has ended here, so that its claim can be released.
        changed: Is called with the `active` sources after they or the settings have changed.
        log: The log.
    """

    def __init__(
        self,
        workers: Mapping[str, SourceWorker],
        *,
        released: Callable[[], None],
        changed: Callable[[frozenset[str]], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._workers = workers
        self._released = released
        self._changed = changed
        self._log = log
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._webhooks: Mapping[str, WebhookUpdate] = {}
        self._reported: Mapping[str, WebhookUpdate] = {}
        self._known: frozenset[str] | None = None
        self._active: frozenset[str] | None = None
        self._ids: Mapping[int, str] = {}

    @property
    def names(self) -> frozenset[str]:
        """The sources that have jobs here. Any thread may ask."""
        return frozenset(name for name, worker in tuple(self._workers.items()) if worker.is_held)

    @property
    def active(self) -> frozenset[str]:
        """The held sources, and those whose last run here has not ended yet: they still send requests."""
        return self.names | frozenset(tuple(self._leaving))

    def runs(self, name: str) -> bool:
        """Return whether a source is active. Any thread may ask."""
        worker = self._workers.get(name)
        return name in self._leaving or (worker is not None and worker.is_held)

    def report(self) -> Report:
        """Return what to report with the next heartbeat."""
        held = self.names
        updates = self._reported = {name: self._workers[name].webhook_update() for name in held}
        return Report(
            sources=frozenset(self._workers),
            running=held | self._leaving.keys(),
            webhooks={name: update for name, update in updates.items() if update != self._webhooks.get(name)},
        )

    def apply(self, heartbeat: Heartbeat) -> None:
        """Begin the sources that the daemon has claimed, and end those that are another's. Nothing here waits."""
        before, instead_of = self.names, dict[str, str | None]()
        self._ids = {id: name for name, id in heartbeat.ids.items()}
        for name, worker in self._workers.items():
            complete_as_of = heartbeat.complete_as_of.get(name)
            is_held, is_leaving = name in heartbeat.held, name in self._leaving
            if is_held and name in heartbeat.assigned and not worker.is_held and not is_leaving:
                instead_of[name] = worker.state.other_holder
                worker.begin(heartbeat.daemon_id, complete_as_of=complete_as_of)
            elif worker.is_held and not (is_held and name in heartbeat.assigned):
                self._give_away(worker)
            elif not worker.is_held and not is_leaving and name in heartbeat.others:
                worker.stand_by(str(heartbeat.others[name]), complete_as_of=complete_as_of)
        if heartbeat.has_saved_webhooks:
            self._webhooks = self._reported
        self.heard(heartbeat.newest_queued)
        for name, at in heartbeat.invalid_cursors.items():
            if (held := self._workers.get(name)) is not None and held.is_held:
                held.webhook_changed(at)
        self._report_changes(before, instead_of, heartbeat)

    def heard(self, newest_queued: Mapping[str, int]) -> None:
        """Check sources at once whose webhook another daemon received. `newest_queued` is its newest queued call."""
        for name, newest in newest_queued.items():
            if (worker := self._workers.get(name)) is not None and worker.is_held:
                worker.heard(newest)

    def message(self, source_id: int) -> None:
        """Check a source at once if it is held: another daemon has queued a call of its webhook."""
        worker = self._workers.get(self._ids.get(source_id, ""))
        if worker is not None and worker.is_held:
            worker.heard(None)

    def forget(self, name: str) -> None:
        """Forget a source that has ended because the settings do not have it any more."""
        if (task := self._leaving.pop(name, None)) is not None:
            task.cancel()

    async def close(self) -> None:
        """Wait for no more runs to end: all jobs have been cancelled."""
        tasks = set(self._leaving.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _give_away(self, worker: SourceWorker) -> None:
        """End the work of a source between two of its runs."""
        worker.is_held = False
        task = asyncio.create_task(worker.hand_over())
        self._leaving[worker.name] = task

        def ended(task: asyncio.Task[None]) -> None:
            if self._leaving.get(worker.name) is task:
                del self._leaving[worker.name]
            if not task.cancelled():
                if (error := task.exception()) is not None:
                    self._log.error("helper.failed", helper="hand_over", error=repr(error), exc_info=error)
                self._released()

        task.add_done_callback(ended)

    def _report_changes(
        self, before: frozenset[str], instead_of: Mapping[str, str | None], heartbeat: Heartbeat
    ) -> None:
        held, everything, active = self.names, frozenset(self._workers), self.active
        if active != self._active or self._known != everything:
            self._active = active
            self._changed(active)
        is_first, self._known = self._known is None, everything
        taken, given = held - before, before - held
        if is_first and held == everything:
            return  # the usual start of the only daemon
        if not (taken or given or is_first):
            return
        self._log.info(
            "sources.assigned", held=len(held), taken=len(taken), given_away=len(given), daemons=heartbeat.daemons
        )
        others = everything - held if is_first else given
        if len(taken) + len(others) <= LOGGED_BY_NAME:
            for name in () if is_first else sorted(taken):
                self._log.info("source.active", source=name, instead_of=instead_of.get(name))
            for name in sorted(others):
                other = heartbeat.others.get(name)
                self._log.info("source.standby", source=name, other=None if other is None else str(other))
