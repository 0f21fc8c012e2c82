"""What one source spends of its budget: counted in the database as it goes, and learned from for the next looks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from structlog.typing import FilteringBoundLogger

from versionsync import cma
from versionsync.cma.client import ITEMS_PAGE
from versionsync.daemon.budget import Budget, BudgetStatus, Demand, EditingActivity, Schedule, explain, schedule_for
from versionsync.daemon.state import SourceConfig, WorkerState
from versionsync.daemon.store import SourceStore
from versionsync.mirror.errors import MirrorError
from versionsync.sync.report import RunReport

__all__ = ["RequestMeter"]

WEIGHT: Final = 0.05
"""How much the last look counts in the average of what a look costs."""
FIXED_REQUESTS: Final = 3


class RequestMeter:
    """The requests of one source. What the database could not be told yet is told with the next."""

    def __init__(self, books: SourceStore, state: WorkerState, *, log: FilteringBoundLogger) -> None:
        self._books = books
        self._state = state
        self._log = log
        self._has_told = False
        self._client: cma.Client | None = None
        self._counted = 0
        self._owed = 0
        self._look_requests = 1.0
        self._change_requests = 8.0
        self._sweep_requests = 5
        self._editing = EditingActivity()

    @property
    def sent(self) -> cma.Usage | None:
        """What the run under way has sent until now; None: none is."""
        return None if self._client is None else replace(self._client.usage)

    def begin(self, client: cma.Client) -> None:
        """A run sends its requests with `client`."""
        self._client, self._counted = client, 0

    async def end(self) -> None:
        """The run is over."""
        await self.count()
        self._client = None

    def add(self, requests: int) -> None:
        """So many requests were sent beside the runs; they are noted with the next count."""
        self._owed += requests

    async def count(self) -> None:
        """Note what was sent since the last time. A database that is away is told later."""
        if self._client is not None:
            sent = self._client.usage.requests
            self._owed, self._counted = self._owed + sent - self._counted, sent
        if self._owed:
            owed = self._owed
            try:
                if await self._books.add_requests(datetime.now(UTC).date(), owed):
                    self._owed -= owed
            except MirrorError:
                return

    async def schedule(self, source: SourceConfig, *, tell: bool = True) -> Schedule:
        """What the budget pays for now. Where it does not pay for what is wanted, that is told once, if at all."""
        wants = Demand(
            check_seconds=source.max_staleness,
            scrubs_per_day=source.scrub,
            check_requests=self._look_requests,
            change_requests=self._change_requests,
            sweep_requests=self._sweep_requests,
            editing=self._editing,
        )
        state = self._state
        try:
            state.budget = await self._budget_status(source.budget)
        except MirrorError as error:
            self._log.debug("budget.unknown", error=str(error))  # the run tells it
        if tell and state.budget is not None and not self._has_told:
            self._has_told = True
            if told := explain(wants, state.budget):
                self._log.warning("budget.too_small", arithmetic=told)
        return schedule_for(wants, state.budget)

    def reset_warning(self) -> None:
        """The settings have changed: what the budget does not pay for is told once more."""
        self._has_told = False

    async def _budget_status(self, budget: Budget | None) -> BudgetStatus | None:
        if budget is None:
            return None
        now = datetime.now(UTC)
        use = await self._books.project_usage(budget.period.bounds(now)[0].date())
        return BudgetStatus(budget=budget, spent=use.requests + self._owed, shared_by=use.sources, now=now)

    def update_averages(self, report: RunReport, *, found: bool, records: int | None) -> None:
        """What a look cost; `records` is how many there are, where it saw that."""
        requests = float(max(report.counts.requests, 1))
        self._editing.record_check(datetime.now(UTC), requests, found=found)
        self._look_requests += WEIGHT * (requests - self._look_requests)
        if found:
            self._change_requests += WEIGHT * (requests - self._change_requests)
        if records is not None:
            self._sweep_requests = -(-records // ITEMS_PAGE) + FIXED_REQUESTS
