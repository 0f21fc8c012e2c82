"""The state of a source after each run: what is logged about it, and when it is checked next."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from random import Random

from structlog.typing import FilteringBoundLogger

from versionsync.budget import BudgetStatus
from versionsync.daemon.budget_schedule import Schedule
from versionsync.daemon.next_check import HELD_SECONDS, next_check, reason, retry_wait
from versionsync.daemon.runner import (
    error_kind_of,
    has_changes,
    has_remaining_work,
    is_lease_held,
    log_level,
    reason_of,
)
from versionsync.daemon.scheduler import NextRun
from versionsync.daemon.worker_state import WorkerState, WorkerStatus
from versionsync.errors import ErrorKind
from versionsync.mirror.holder import Holder
from versionsync.mirror.tables.runs import Counts
from versionsync.sync.report import RunKind, RunReport
from versionsync.text import count

__all__ = ["StateMachine"]


class StateMachine:
    """Moves one source from state to state. `changed_at` is the monotonic time of the last change that was found."""

    def __init__(self, state: WorkerState, next_run: NextRun, *, log: FilteringBoundLogger, random: Random) -> None:
        self.changed_at = time.monotonic()
        self._has_taken_over = False
        self._complete_at = float("-inf")
        self._is_overtaken = False
        self._partial_seconds = 0.0
        self._partial_checks = 0
        self._state = state
        self._next_run = next_run
        self._log = log
        self._random = random

    def is_fresh(self, schedule: Schedule) -> bool:
        """Return whether no complete check is due."""
        return self._next_full_check_in(schedule) > 0 and self._state.is_working

    def set_complete_as_of(self, complete_as_of: datetime | None) -> None:
        """Take over the time of the last complete check from the database, of this daemon or of another one."""
        if complete_as_of is not None:
            self._state.last_success_at = complete_as_of

    def invalidate(self) -> None:
        """Make a complete check due: something may have changed that no call names."""
        self._complete_at, self._is_overtaken = float("-inf"), True

    def begin_run(self) -> None:
        """Begin a run of the source. `invalidate` during the run asks for another one: this one may be too early."""
        self._is_overtaken = False

    def finish_run(self, report: RunReport, schedule: Schedule, *, is_notified: bool) -> None:
        """Judge a run that ended. `is_notified`: webhooks report changes, so that checks need not be more frequent."""
        kind = error_kind_of(report)
        if has_changes(report):
            self._next_run.charge(schedule.after_change_seconds)
        if report.error is not None and is_lease_held(report.error):
            self._held(report.error)
        elif report.error is None and report.kind is RunKind.RECORDS:
            self._checked_queued(report, schedule)
        elif kind is None:
            self._succeeded(report, schedule, is_notified=is_notified)
        else:
            self._failed(kind, report)

    def fail(self, error: Exception) -> None:
        """Record a bug outside the run itself."""
        self._state.progress = self._state.usage = None
        self._failed(ErrorKind.UNEXPECTED, RunReport.failed(self._state.name, error, Counts()))

    def enter_standby(self, other: str | None) -> None:
        """Leave the source to another daemon. None: it is not known yet to which one."""
        state = self._state
        self._set(WorkerStatus.STANDBY, other_holder=other)
        state.queued_records = state.undelivered_changes = 0  # they belong to the other daemon now
        state.next_check_at = state.next_check_reason = state.budget = None

    def take_over(self, complete_as_of: datetime | None) -> None:
        """Begin to run the source, which another daemon may have run before: `complete_as_of` is its last check.

        The first run is a complete check. Until it ends the source is as healthy as that last check was recent.
        """
        state = self._state
        if state.status is not WorkerStatus.STARTING:
            self._set(WorkerStatus.STARTING if complete_as_of is None else WorkerStatus.ACTIVE)
        self._has_taken_over = complete_as_of is not None
        state.last_run_at = None  # a change since then may have been reported to the other daemon
        self._complete_at, self._partial_seconds, self._partial_checks = float("-inf"), 0.0, 0
        self.set_complete_as_of(complete_as_of)
        self._next_run.began()

    def wait_for_budget(self, budget: BudgetStatus) -> None:
        """Wait for the next period: nothing is left of the budget."""
        reason = budget.spent_text
        if self._state.error_kind is not ErrorKind.BUDGET:
            self._log.warning("source.failing", error_kind=ErrorKind.BUDGET.value, reason=reason)
        self._set(WorkerStatus.FAILING, error_kind=ErrorKind.BUDGET, error=reason, failures=1)
        self._next_run.next_in(budget.seconds_left + self._random.uniform(0, 5), "the budget is spent")

    def _set(
        self,
        status: WorkerStatus,
        *,
        error_kind: ErrorKind | None = None,
        error: str | None = None,
        failures: int = 0,
        other_holder: str | None = None,
    ) -> None:
        state = self._state
        state.status, state.error_kind, state.error = status, error_kind, error
        state.failures, state.other_holder = failures, other_holder

    def _held(self, error: BaseException) -> None:
        """Wait: another process writes to the source, such as a manual sync, or our last lease has not expired."""
        holder = getattr(error, "holder", None)
        if holder == str(Holder.of_this_process()):
            self._next_run.next_in(HELD_SECONDS, "its last run could not release the lease")
            return
        if self._state.status is not WorkerStatus.STANDBY:
            self._log.info("source.locked", reason=str(error))
        self._state.status, self._state.other_holder = WorkerStatus.STANDBY, holder
        self._next_run.next_in(HELD_SECONDS * self._random.uniform(0.8, 1.2), "another process writes to it")

    def _checked_queued(self, report: RunReport, schedule: Schedule) -> None:
        """Plan the next check after one of single records, which is neither a success nor a failure of the source."""
        if has_changes(report):
            self._record_change()
        complete_in = max(self._next_full_check_in(schedule), schedule.after_change_seconds)
        if has_remaining_work(report) == set():
            self._partial_checks = 0
            self._next_run.next_in(complete_in, "webhooks report changes")
            return
        self._partial_checks += 1
        retry_in = retry_wait(ErrorKind.PARTIAL, self._partial_checks, random=self._random)
        retry_in = min(max(retry_in, schedule.after_change_seconds), complete_in)
        self._next_run.next_in(retry_in, f"not every record that webhooks named was mirrored: {reason_of(report)}")

    def _succeeded(self, report: RunReport, schedule: Schedule, *, is_notified: bool) -> None:
        state = self._state
        if state.failures:
            self._log.info("source.recovered", failures=state.failures)
        elif state.status is WorkerStatus.STANDBY:
            self._log.info("source.active", instead_of=state.other_holder)
        self._set(WorkerStatus.ACTIVE)
        state.last_success_at, self._partial_seconds = state.started_at, 0.0
        self._record_complete()
        if has_changes(report):
            self._record_change()
        quiet = self._quiet_seconds(report)
        if is_notified:
            seconds = max(schedule.check_seconds, schedule.after_change_seconds)
            self._next_run.next_in(seconds, "webhooks report changes")
            return
        seconds = next_check(quiet_seconds=quiet, max_staleness=schedule.check_seconds)
        if has_changes(report):
            seconds = max(seconds, schedule.after_change_seconds)
        slowed = " (slowed down by the budget)" if schedule.check_seconds > state.max_staleness else ""
        why = reason(quiet_seconds=quiet, has_changed=state.last_change_at is not None)
        self._next_run.next_in(seconds, f"{why}{slowed}")

    def _quiet_seconds(self, report: RunReport) -> float:
        """Return for how long nothing has changed.

        A daemon that starts, or takes over a source, goes by DatoCMS's last change until it finds one itself. Otherwise
        it would check each of a thousand quiet sources every ten seconds at first. After a first sync it does so: who
        sets up a source tries it.
        """
        quiet = time.monotonic() - self.changed_at
        if self._has_taken_over and report.upstream_changed_at is not None:
            quiet = max(quiet, (datetime.now(UTC) - report.upstream_changed_at).total_seconds())
        return quiet

    def _failed(self, kind: ErrorKind, report: RunReport) -> None:
        state, previous = self._state, self._state.error_kind
        self._set(WorkerStatus.FAILING, error_kind=kind, error=reason_of(report), failures=state.failures + 1)
        seconds = retry_wait(kind, state.failures, random=self._random)
        if has_remaining_work(report) is not None:
            self._partial_seconds = seconds
            self._record_complete()
            if has_changes(report):
                self._record_change()
        log = self._log if report.run_id is None else self._log.bind(run=report.run_id)
        facts = {"error_kind": kind.value, "reason": state.error}
        if hint := getattr(report.error, "hint", None):
            facts["hint"] = hint
        log.log(log_level(kind, previous=previous, failures=state.failures), "source.failing", **facts)
        if kind is ErrorKind.UNEXPECTED:
            log.debug("source.failing", exc_info=report.error)
        in_a_row = " in a row" if state.failures > 1 else ""
        self._next_run.next_in(seconds, f"{count(state.failures, 'failure')}{in_a_row} ({kind.value})")

    def _next_full_check_in(self, schedule: Schedule) -> float:
        """Return the seconds until a complete check is due, by the schedule or to retry what was not mirrored."""
        return self._complete_at + (self._partial_seconds or schedule.check_seconds) - time.monotonic()

    def _record_complete(self) -> None:
        if not self._is_overtaken:
            self._complete_at = time.monotonic()

    def _record_change(self) -> None:
        self.changed_at, self._state.last_change_at = time.monotonic(), datetime.now(UTC)
        self._has_taken_over = False
