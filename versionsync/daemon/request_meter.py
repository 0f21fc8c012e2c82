"""Counts what one source spends of its budget, and learns from it what checks cost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Final

from structlog.typing import FilteringBoundLogger

from versionsync import cma
from versionsync.budget import Budget, BudgetStatus
from versionsync.cma.client import ITEMS_PAGE
from versionsync.daemon.budget_schedule import Demand, EditingActivity, Schedule, explain, schedule_for
from versionsync.daemon.worker_database import WorkerDatabase
from versionsync.daemon.worker_state import SourceConfig, WorkerState
from versionsync.mirror.errors import MirrorError
from versionsync.sync.report import RunReport

__all__ = ["RequestMeter"]

WEIGHT: Final = 0.05
"""The weight of the last check in the average cost of a check."""
FIXED_REQUESTS: Final = 3


class RequestMeter:
    """The requests of one source. What could not be saved yet is saved with the next count."""

    def __init__(self, store: WorkerDatabase, state: WorkerState, *, log: FilteringBoundLogger) -> None:
        self._store = store
        self._state = state
        self._log = log
        self._has_warned = False
        self._client: cma.Client | None = None
        self._counted = 0
        self._unsaved = 0
        self._check_requests = 1.0
        self._change_requests = 8.0
        self._sweep_requests = 5
        self._editing = EditingActivity()

    @property
    def sent(self) -> cma.Usage | None:
        """What the run in progress has sent so far; None: there is no run."""
        return None if self._client is None else replace(self._client.usage)

    def begin(self, client: cma.Client) -> None:
        """Count the requests of `client` from now on."""
        self._client, self._counted = client, 0

    def end(self) -> None:
        """Count what the run has sent. `count` or `save_with` saves it."""
        self._tally()
        self._client = None

    def add(self, requests: int) -> None:
        """Add requests that were sent outside a run; the next count saves them."""
        self._unsaved += requests

    async def count(self) -> None:
        """Save what was sent since the last count. If the database is unavailable, the next count does so."""
        self._tally()
        if self._unsaved:
            await self.save_with(self._store.add_requests)

    async def save_with(self, save: Callable[[date, int], Awaitable[bool]]) -> None:
        """Save what was sent with `save`, which gets the UTC day and the number, and returns whether it was saved."""
        unsaved, self._unsaved = self._unsaved, 0  # another task may save meanwhile
        is_saved = False
        try:
            with suppress(MirrorError):
                is_saved = await save(datetime.now(UTC).date(), unsaved)
        finally:
            if not is_saved:
                self._unsaved += unsaved

    def _tally(self) -> None:
        if self._client is not None:
            sent = self._client.usage.requests
            self._unsaved, self._counted = self._unsaved + sent - self._counted, sent

    async def schedule(self, source: SourceConfig, *, warn: bool = True) -> Schedule:
        """Return what the budget pays for now; warn once if that is less than the settings ask for."""
        demand = Demand(
            check_seconds=source.max_staleness,
            scrubs_per_day=source.scrub,
            check_requests=self._check_requests,
            change_requests=self._change_requests,
            sweep_requests=self._sweep_requests,
            editing=self._editing,
        )
        state = self._state
        try:
            state.budget = await self._budget_status(source.budget)
        except MirrorError as error:
            self._log.debug("budget.unknown", error=str(error))  # the run reports it
        if warn and state.budget is not None and not self._has_warned:
            self._has_warned = True
            if reason := explain(demand, state.budget):
                self._log.warning("budget.too_small", reason=reason)
        return schedule_for(demand, state.budget)

    def reset_warning(self) -> None:
        """Warn once more: the settings have changed."""
        self._has_warned = False

    async def _budget_status(self, budget: Budget | None) -> BudgetStatus | None:
        if budget is None:
            return None
        now = datetime.now(UTC)
        usage = await self._store.project_usage(budget.period.bounds(now)[0].date())
        return BudgetStatus(budget=budget, spent=usage.requests + self._unsaved, shared_by=usage.sources, now=now)

    def update_averages(self, report: RunReport, *, found: bool, records: int | None) -> None:
        """Learn from a check: `found` is whether it found a change, `records` how many there are, if it saw that."""
        requests = float(max(report.counts.requests, 1))
        self._editing.record_check(datetime.now(UTC), requests, found=found)
        self._check_requests += WEIGHT * (requests - self._check_requests)
        if found:
            self._change_requests += WEIGHT * (requests - self._change_requests)
        if records is not None:
            self._sweep_requests = -(-records // ITEMS_PAGE) + FIXED_REQUESTS
