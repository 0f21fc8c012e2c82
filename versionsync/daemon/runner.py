"""One run of a source in the daemon: the engine is given a client and a deadline, and what came of it is counted."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

from structlog.typing import FilteringBoundLogger

from versionsync.daemon.request_meter import RequestMeter
from versionsync.daemon.run_result import error_kind_of, is_lease_held
from versionsync.daemon.state import SourceConfig, WorkerState
from versionsync.mirror.database import Mirror
from versionsync.sync import sync_source
from versionsync.sync.report import Outcome, Progress, RunKind, RunReport, SyncOptions

__all__ = ["Runner"]


class Runner:
    """The runs of one source. `records`: how many records the last one saw upstream, None where it did not look."""

    def __init__(
        self,
        mirror: Mirror,
        state: WorkerState,
        spending: RequestMeter,
        *,
        log: FilteringBoundLogger,
        stall_seconds: float,
    ) -> None:
        self.stall_seconds = stall_seconds
        self.records: int | None = None
        self._mirror = mirror
        self._state = state
        self._spending = spending
        self._log = log

    async def run(self, source: SourceConfig, options: SyncOptions) -> RunReport:
        """Sync the source, within the deadline and as far as the budget goes. What goes wrong is in the report."""
        state, spec = self._state, source.spec
        most = None
        if state.budget is not None:
            most = state.budget.per_run
            spec = replace(spec, unexplained=spec.unexplained.at_most(state.budget.change_requests_per_hour))
        options = replace(options, stall_seconds=self.stall_seconds, max_requests=most)
        state.progress, state.started_at = Progress(source=spec.name), datetime.now(UTC)
        began = time.monotonic()
        try:
            async with source.open_client() as client:
                state.usage = client.usage
                self._spending.begin(client)
                report = await sync_source(self._mirror, client, spec, options, progress=state.progress, log=self._log)
        except Exception as error:  # whatever it is, it is this source's trouble and no other's
            report = RunReport(
                source=spec.name,
                kind=RunKind.INCREMENTAL,
                outcome=Outcome.FAILED,
                counts=state.progress.counts,
                error=error,
            )
        finally:
            self.records = state.progress.records_total
            state.last_run_seconds = time.monotonic() - began
        state.last_run_at = state.started_at
        state.ended(report)
        await self._spending.end()
        if not is_lease_held(report.error):
            state.runs[report.outcome] += 1
            if (trouble := error_kind_of(report)) is not None:
                state.failures_by_kind[trouble] += 1
            state.run_seconds.observe(state.last_run_seconds)
        return report
