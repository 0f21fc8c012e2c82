"""How it stands with a source after each look: what is told of that, and when it is looked at next."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from random import Random

from structlog.typing import FilteringBoundLogger

from versionsync.daemon.budget import BudgetStatus, Schedule
from versionsync.daemon.intervals import HELD_SECONDS, STANDBY_SECONDS, next_check, reason, retry_wait
from versionsync.daemon.next_run import NextRun
from versionsync.daemon.run_result import (
    error_kind_of,
    has_changes,
    has_remaining_work,
    is_lease_held,
    log_level,
    reason_of,
)
from versionsync.daemon.state import WorkerState, WorkerStatus
from versionsync.errors import ErrorKind
from versionsync.mirror.holder import Holder
from versionsync.sync.report import Counts, Outcome, RunKind, RunReport

__all__ = ["StateMachine"]


class StateMachine:
    """Of one source, written into its state. `changed_at`: when a look last found something, by the monotonic clock."""

    def __init__(self, state: WorkerState, agenda: NextRun, *, log: FilteringBoundLogger, random: Random) -> None:
        self.changed_at = time.monotonic()  # who has just started looks often: nobody knows yet how quiet it is
        self._whole_at = float("-inf")
        self._partial_seconds = 0.0
        self._hints_left = 0
        self._state = state
        self._agenda = agenda
        self._log = log
        self._random = random

    def is_fresh(self, pace: Schedule) -> bool:
        """Whether the whole source was looked at as lately as it should be."""
        return self._next_full_check_in(pace) > 0 and self._state.is_read

    def set_complete_as_of(self, complete_as_of: datetime | None) -> None:
        """What the database says of the last look that succeeded, of this daemon or of another one."""
        if complete_as_of is not None:
            self._state.last_success_at = complete_as_of

    def invalidate(self) -> None:
        """Something may have changed that nothing names: the whole source has to be looked at."""
        self._whole_at = float("-inf")

    def finish_run(self, report: RunReport, pace: Schedule, *, is_told: bool) -> None:
        """A look has ended. `is_told`: webhooks tell what changes, so that looks need not be more frequent."""
        trouble = error_kind_of(report)
        if has_changes(report):
            self._agenda.charge(pace.after_change_seconds)
        if report.error is not None and is_lease_held(report.error):
            self._held(report.error)
        elif report.error is None and report.kind is RunKind.RECORDS:
            self._checked_queued(report, pace)
        elif trouble is None:
            self._succeeded(report, pace, is_told=is_told)
        else:
            self._failed(trouble, report)

    def fail(self, error: Exception) -> None:
        """A look ended with a fault of ours, whether or not its run did what it should."""
        kind, outcome = RunKind.INCREMENTAL, Outcome.FAILED
        self._state.progress = self._state.usage = None
        report = RunReport(source=self._state.name, kind=kind, outcome=outcome, counts=Counts(), error=error)
        self._failed(ErrorKind.UNEXPECTED, report)

    def enter_standby(self, other: str) -> None:
        """Another daemon follows the source."""
        if self._state.status is not WorkerStatus.STANDBY:
            self._log.info("source.standby", other=other)
        self._state.status, self._state.other_holder = WorkerStatus.STANDBY, other
        self._state.error_kind, self._state.error, self._state.failures = None, None, 0
        self._state.queued_records = self._state.undelivered_changes = 0  # they are the other one's
        self._agenda.next_in(STANDBY_SECONDS * self._random.uniform(0.8, 1.2), "another one follows it")

    def wait_for_budget(self, purse: BudgetStatus) -> None:
        """Nothing is left of it: the next period is waited for."""
        state = self._state
        reason = f"{purse.budget} are spent ({purse.spent:,}): it goes on at {purse.ends_at:%Y-%m-%d %H:%M} UTC"
        if state.error_kind is not ErrorKind.BUDGET:
            self._log.warning("source.failing", trouble=ErrorKind.BUDGET.value, reason=reason)
        state.status, state.error_kind, state.error, state.failures = WorkerStatus.FAILING, ErrorKind.BUDGET, reason, 1
        self._agenda.next_in(purse.seconds_left + self._random.uniform(0, 5), "the budget is spent")

    def _held(self, error: BaseException) -> None:
        """Another process writes to the source, such as a sync by hand; or a lease of ours is not over yet."""
        if getattr(error, "holder", None) == str(Holder.of_this_process()):
            self._agenda.next_in(HELD_SECONDS, "its last run could not give back the lease")
            return
        if self._state.status is not WorkerStatus.STANDBY:
            self._log.info("source.locked", reason=str(error))
        self._state.status, self._state.other_holder = WorkerStatus.STANDBY, getattr(error, "holder", None)
        self._agenda.next_in(HELD_SECONDS * self._random.uniform(0.8, 1.2), "another process writes to it")

    def _checked_queued(self, report: RunReport, pace: Schedule) -> None:
        """A whole look comes soon, and tells what these could not give: this is neither success nor failure."""
        if has_changes(report):
            self._note_change()
        whole_in = max(self._next_full_check_in(pace), pace.after_change_seconds)
        if has_remaining_work(report) == set():
            self._hints_left = 0
            self._agenda.next_in(whole_in, "webhooks tell of changes")
            return
        self._hints_left += 1
        again_in = max(retry_wait(ErrorKind.PARTIAL, self._hints_left, random=self._random), pace.after_change_seconds)
        self._agenda.next_in(min(again_in, whole_in), f"not all that webhooks named was mirrored: {reason_of(report)}")

    def _succeeded(self, report: RunReport, pace: Schedule, *, is_told: bool) -> None:
        state = self._state
        if state.failures:
            self._log.info("source.recovered", failures=state.failures)
        elif state.status is WorkerStatus.STANDBY:
            self._log.info("source.active", instead_of=state.other_holder)
        state.status, state.error_kind, state.error, state.failures, state.other_holder = (
            WorkerStatus.ACTIVE,
            None,
            None,
            0,
            None,
        )
        state.last_success_at, self._whole_at, self._partial_seconds = state.started_at, time.monotonic(), 0.0
        if has_changes(report):
            self._note_change()
        quiet = time.monotonic() - self.changed_at
        if is_told:
            self._agenda.next_in(max(pace.check_seconds, pace.after_change_seconds), "webhooks tell of changes")
            return
        seconds = next_check(quiet_seconds=quiet, max_staleness=pace.check_seconds)
        if has_changes(report):
            seconds = max(seconds, pace.after_change_seconds)
        slowed = " (slowed down by the budget)" if pace.check_seconds > state.max_staleness else ""
        why = reason(quiet_seconds=quiet, has_changed=state.last_change_at is not None)
        self._agenda.next_in(seconds, f"{why}{slowed}")

    def _failed(self, trouble: ErrorKind, report: RunReport) -> None:
        state = self._state
        said = state.error_kind
        state.failures += 1
        state.status, state.error_kind, state.other_holder = WorkerStatus.FAILING, trouble, None
        state.error = reason_of(report)
        seconds = retry_wait(trouble, state.failures, random=self._random)
        if has_remaining_work(report) is not None:
            self._whole_at, self._partial_seconds = time.monotonic(), seconds
            if has_changes(report):
                self._note_change()
        log = self._log if report.run_id is None else self._log.bind(run=report.run_id)
        facts = {"trouble": trouble.value, "reason": state.error}
        if hint := getattr(report.error, "hint", None):
            facts["hint"] = hint
        log.log(log_level(trouble, said=said, failures=state.failures), "source.failing", **facts)
        if trouble is ErrorKind.UNEXPECTED:
            log.debug("source.failing", exc_info=report.error)
        row = "1 failure" if state.failures == 1 else f"{state.failures} failures in a row"
        self._agenda.next_in(seconds, f"{row} ({trouble.value})")

    def _next_full_check_in(self, pace: Schedule) -> float:
        """In how many seconds the whole source is due again: as its pace says, or to try what was not mirrored."""
        return self._whole_at + (self._partial_seconds or pace.check_seconds) - time.monotonic()

    def _note_change(self) -> None:
        self.changed_at, self._state.last_change_at = time.monotonic(), datetime.now(UTC)
