"""One run of a source in the daemon: the engine is given a client and a deadline, and what came of it is counted."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

from structlog.typing import FilteringBoundLogger

from versionsync.daemon.request_meter import Spending
from versionsync.daemon.run_result import is_held_elsewhere, trouble_of
from versionsync.daemon.state import Followed, SourceState
from versionsync.mirror.database import Mirror
from versionsync.sync import sync_source
from versionsync.sync.report import Outcome, Progress, RunKind, RunReport, SyncOptions

__all__ = ["Runner"]


class Runner:
    """The runs of one source. `records`: how many records the last one saw upstream, None where it did not look."""

    def __init__(
        self,
        mirror: Mirror,
        state: SourceState,
        spending: Spending,
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

    async def run(self, source: Followed, options: SyncOptions) -> RunReport:
        """Sync the source, within the deadline and as far as the budget goes. What goes wrong is in the report."""
        state, spec = self._state, source.spec
        most = None
        if state.purse is not None:
            most = state.purse.for_a_run
            spec = replace(spec, unexplained=spec.unexplained.at_most(state.purse.for_changes_an_hour))
        options = replace(options, stall_seconds=self.stall_seconds, max_requests=most)
        state.progress, state.began_at = Progress(source=spec.name), datetime.now(UTC)
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
        state.last_run_at = state.began_at
        state.ended(report)
        await self._spending.end()
        if not is_held_elsewhere(report.error):
            state.runs[report.outcome] += 1
            if (trouble := trouble_of(report)) is not None:
                state.troubles[trouble] += 1
            state.run_seconds.observe(state.last_run_seconds)
        return report
