"""Carry out a plan: send its steps, as many at a time as the rate limit allows, in an order that respects their needs.

A step is recorded before its request and after its answer. So a plan that was stopped can be continued: steps that are
done stay done, and of a request whose answer was lost the record shows whether it happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Final

from versionsync import cma
from versionsync.backoff import Backoff
from versionsync.mirror.tables.restores import StepState
from versionsync.restore.journal import StepJournal
from versionsync.restore.model import Plan, Step
from versionsync.restore.writing import GONE, REFUSED, STOPPING, StepFailed, StepWriter, Written, why_refused

__all__ = ["Patience", "carry_out"]

_LOCKED: Final = "ITEM_LOCKED"
_DONE: Final = "done"
_FAILED: Final = "failed"
_SKIPPED: Final = "skipped"
_SENT: Final = "sent"

NEEDED: Final = "NEEDS_FAILED_STEP"
LEFT_OUT: Final = "LEFT_OUT"
"""The code of a step that is done, except for what upstream did not take: see its `error`."""

_DELAYS: Final = Backoff(1.0, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a step is tried again.

    Attributes:
        attempts: The most attempts while upstream is unavailable.
        lock_attempts: The most attempts while an editor has the record open.
        delays: The pauses between them.
    """

    attempts: int = 8
    lock_attempts: int = 4
    delays: Backoff = _DELAYS


async def carry_out(
    plan: Plan,
    client: cma.Client,
    journal: StepJournal,
    *,
    now: Callable[[], datetime],
    stops_on_error: bool = False,
    patience: Patience | None = None,
    on_result: Callable[[StepState], None] = lambda _: None,
) -> list[StepState]:
    """Carry out the steps of a plan that are not done yet, and return how each step ended.

    Args:
        plan: The plan.
        client: A client of the environment, with the token that may write.
        journal: The journal of the plan, claimed.
        now: The clock.
        stops_on_error: Begin no further step after one that failed. Otherwise only those that need it are skipped.
        patience: How long a step is tried again.
        on_result: Called after each step, for progress.

    Raises:
        CmaError: Upstream does not accept the token, or is unavailable for too long. The plan can be continued.
        PlanRuns: Another process has taken over the plan.
        MirrorError: The journal cannot be written. The plan can be continued.
    """
    run = _Run(plan, client, journal, now, stops_on_error, patience or Patience(), on_result)
    return await run.all()


@dataclass(slots=True)
class _Run:
    plan: Plan
    client: cma.Client
    journal: StepJournal
    now: Callable[[], datetime]
    stops_on_error: bool
    patience: Patience
    on_result: Callable[[StepState], None]
    writer: StepWriter = field(init=False)
    states: dict[int, StepState] = field(default_factory=dict)
    failed_records: dict[int, frozenset[str]] = field(default_factory=dict)
    """The records that a step failed for, by its number."""
    random: Random = field(default_factory=Random)
    _is_stopping: bool = False

    def __post_init__(self) -> None:
        self.writer = StepWriter(self.plan.records, self.client, now=self.now)

    async def all(self) -> list[StepState]:
        steps = {step.number: step for step in self.plan.steps}
        self._remember_done()
        waiting = {
            step.number: {need for need in step.needs if not self._is_final(need)}
            for step in self.plan.steps
            if not self._is_final(step.number)
        }
        dependents: dict[int, list[int]] = {}
        for number, needs in waiting.items():
            for need in needs:
                dependents.setdefault(need, []).append(number)
        ready = [number for number, needs in waiting.items() if not needs][::-1]
        running: set[asyncio.Task[int]] = set()
        try:
            while ready or running:
                while ready and not self._is_stopping and len(running) < self.client.rate_limiter.concurrency:
                    running.add(asyncio.create_task(self._run(steps[ready.pop()])))
                if not running:
                    break
                finished, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for number in sorted(task.result() for task in finished):
                    for dependent in dependents.get(number, ()):
                        waiting[dependent].discard(number)
                        if not waiting[dependent]:
                            ready.insert(0, dependent)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return [self.states[step.number] for step in self.plan.steps if step.number in self.states]

    def _remember_done(self) -> None:
        """Take over the steps that are done. What failed or was skipped before is tried again."""
        for step in self.plan.steps:
            state = self.journal.states[step.number]
            if state.state == _DONE:
                self.states[step.number] = state
                self.writer.remember(step, state.version_id)

    def _is_final(self, number: int) -> bool:
        return number in self.states

    async def _run(self, step: Step) -> int:
        """Carry out one step, record how it ended, and return its number."""
        state = await self._outcome(step)
        await self.journal.result(state)
        self.states[step.number] = state
        self.on_result(state)
        if state.state == _FAILED and self.stops_on_error:
            self._is_stopping = True
        return step.number

    async def _outcome(self, step: Step) -> StepState:
        left_out = self._left_out(step)
        if len(left_out) == len(step.record_ids):
            self.failed_records[step.number] = left_out
            return StepState(
                number=step.number, state=_SKIPPED, error_code=NEEDED, error="a step that it needs did not succeed"
            )
        try:
            written = await self._attempts(step, [id for id in step.record_ids if id not in left_out])
            if left_out:
                raise StepFailed(NEEDED, _not_done(left_out), records=left_out)
        except StepFailed as failure:
            self.failed_records[step.number] = (failure.records or frozenset(step.record_ids)) | left_out
            why = "; ".join((failure.why, _not_done(left_out))) if left_out > failure.records else failure.why
            return StepState(number=step.number, state=_FAILED, error_code=failure.code, error=why)
        return StepState(
            number=step.number,
            state=_DONE,
            version_id=written.version_id,
            error_code=LEFT_OUT if written.lost else None,
            error=written.lost,
        )

    def _left_out(self, step: Step) -> frozenset[str]:
        """Return the records of a step for which a step that it needs failed.

        A step for one record is left out for any step that it needs for one record, since it may link to that one.
        """
        left_out: set[str] = set()
        for need in step.needs:
            failed = self.failed_records.get(need, frozenset())
            is_single = len(step.record_ids) == 1 and len(self.plan.steps[need - 1].record_ids) == 1
            left_out |= set(step.record_ids) if failed and is_single else failed.intersection(step.record_ids)
        return frozenset(left_out)

    async def _attempts(self, step: Step, ids: Sequence[str]) -> Written:
        """Carry out a step, again while upstream is unavailable or its outcome is unknown."""
        may_have_happened = self.journal.states[step.number].state == _SENT
        if not may_have_happened:
            await self.journal.sent(step.number)
        unavailable = locked = 0
        while True:
            try:
                return await self.writer.write(step, ids, may_have_happened=may_have_happened)
            except cma.Unavailable as error:
                may_have_happened |= isinstance(error, cma.OutcomeUnknown)
                wait, unavailable = error.retry_after or 0.0, unavailable + 1
                if unavailable >= self.patience.attempts:
                    raise
            except cma.InvalidRequest as error:
                if error.code in STOPPING:
                    raise
                if error.code != _LOCKED:
                    raise StepFailed(error.code or REFUSED, why_refused(error)) from None
                wait, locked = 0.0, locked + 1
                if locked >= self.patience.lock_attempts:
                    raise StepFailed(_LOCKED, error.message) from None
            except cma.PermissionDenied as error:
                if error.is_of_project:
                    raise
                raise StepFailed(error.code or REFUSED, error.message) from None
            except cma.NotFound:
                raise StepFailed(GONE, "it does not exist any more") from None
            await asyncio.sleep(max(self.patience.delays.delay(unavailable + locked, self.random), wait))


def _not_done(records: Iterable[str]) -> str:
    return "; ".join(f"{id}: a step that it needs did not succeed" for id in sorted(records))
