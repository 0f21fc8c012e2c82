"""The journal of a plan that is carried out: what is written to the mirror before and after each request.

Many steps are under way at a time, so their entries are written together: whatever waits is one transaction. The same
transaction renews the claim of the plan. A process that lost it sends nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import MirrorError
from versionsync.mirror.holder import Holder
from versionsync.mirror.tables import restores
from versionsync.mirror.tables.restores import StepState
from versionsync.restore.errors import PlanRuns, emptied
from versionsync.restore.model import Plan

__all__ = ["Journal", "NoJournal", "StepJournal"]


class StepJournal(Protocol):
    """Records each request of a plan, before it is sent and after its answer."""

    @property
    def states(self) -> Mapping[int, StepState]:
        """How far each step was at first, by number."""

    async def sent(self, number: int) -> None:
        """A step's request is about to be sent."""

    async def result(self, state: StepState) -> None:
        """A step ended."""


class NoJournal:
    """Keeps nothing: for a rehearsal, which is never continued."""

    def __init__(self, plan: Plan) -> None:
        self.states = {step.number: StepState(number=step.number, state="planned") for step in plan.steps}

    async def sent(self, number: int) -> None:
        """Keep nothing."""

    async def result(self, state: StepState) -> None:
        """Keep nothing."""


@dataclass(slots=True)
class _Entries:
    """What waits to be written, and who waits for it."""

    sent: list[int] = field(default_factory=list)
    results: list[StepState] = field(default_factory=list)
    written: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Journal:
    """Writes the journal of one plan. Use it inside `async with`, which claims the plan and gives it up.

    Attributes:
        states: How far each step was when the plan was claimed, by number.
    """

    def __init__(
        self, mirror: Mirror, source_id: int, plan_id: str, *, holder: Holder, now: Callable[[], datetime]
    ) -> None:
        self._mirror = mirror
        self._source_id = source_id
        self._plan_id = plan_id
        self._holder = holder
        self._now = now
        self._waiting: _Entries | None = None
        self._writer: asyncio.Task[None] | None = None
        self._is_finished = False
        self._renewal: asyncio.Task[None] | None = None
        self.states: dict[int, StepState] = {}

    async def __aenter__(self) -> Journal:
        """Claim the plan.

        Raises PlanRuns if another process carries it out, and CannotApply if it was emptied since it was read.
        """

        def claim(tx: Connection) -> str | None:
            restores.holder_of_plan(tx, self._source_id, self._plan_id)  # this locks it: no erasure comes in between
            if restores.is_erased(tx, self._source_id, self._plan_id):
                raise emptied(self._plan_id)
            return restores.claim_plan(tx, self._source_id, self._plan_id, self._holder, at=self._now())

        if other := await asyncio.to_thread(self._mirror.transact, claim):
            raise PlanRuns(
                f"plan {self._plan_id} is being carried out by {other}",
                hint="Wait until it ends. If that process was killed, the plan is free after 30 seconds.",
            )

        def load(connection: Connection) -> list[StepState]:
            return restores.load_step_states(connection, self._source_id, self._plan_id)

        states = await asyncio.to_thread(self._mirror.query, load)
        self.states = {one.number: one for one in states}
        self._renewal = asyncio.create_task(self._renew())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])
        if self._writer is not None:
            await asyncio.wait([self._writer])
        if not self._is_finished:
            await asyncio.to_thread(
                self._mirror.transact,
                lambda tx: restores.release_plan(tx, self._source_id, self._plan_id, self._holder),
            )

    async def sent(self, number: int) -> None:
        """Record that a step's request is about to be sent. It may be sent when this returns."""
        entries = self._entries()
        entries.sent.append(number)
        await asyncio.shield(entries.written)

    async def result(self, state: StepState) -> None:
        """Record how a step ended."""
        entries = self._entries()
        entries.results.append(state)
        await asyncio.shield(entries.written)

    async def finish(self, state: str, report: str) -> None:
        """Record how the plan ended, and give up the claim. Raises PlanRuns if another process has it."""

        def save(tx: Connection) -> None:
            self._check_claim(tx)
            restores.finish_plan(tx, self._source_id, self._plan_id, state=state, at=self._now(), report=report)

        await asyncio.to_thread(self._mirror.transact, save)
        self._is_finished = True

    def _entries(self) -> _Entries:
        if self._waiting is None:
            self._waiting = _Entries()
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        return self._waiting

    async def _write_all(self) -> None:
        """Write entries until none waits. Those that come meanwhile are written together."""
        while (entries := self._waiting) is not None:
            self._waiting = None
            try:
                await asyncio.to_thread(self._mirror.transact, lambda tx, one=entries: self._write(tx, one))
            except BaseException as error:
                entries.written.set_exception(error)
                entries.written.exception()  # each waiter raises it; without one it is no warning
                if not isinstance(error, Exception):
                    raise
            else:
                entries.written.set_result(None)

    async def _renew(self) -> None:
        """Renew the claim while steps wait longer than it lasts. If it is lost, the next entry says so."""
        while True:
            await asyncio.sleep(restores.CLAIM_SECONDS / 3)
            try:
                await asyncio.to_thread(self._mirror.transact, self._check_claim)
            except (MirrorError, PlanRuns):
                continue

    def _check_claim(self, tx: Connection) -> None:
        if not restores.renew_claim(tx, self._source_id, self._plan_id, self._holder):
            raise PlanRuns(f"another process has taken over plan {self._plan_id}: nothing more is sent here")

    def _write(self, tx: Connection, entries: _Entries) -> None:
        self._check_claim(tx)
        restores.save_results(tx, self._source_id, self._plan_id, entries.results, at=self._now())
        restores.save_sent(tx, self._source_id, self._plan_id, entries.sent, at=self._now())
