"""Carry out a plan: send its steps, as many at a time as the rate limit allows, in an order that respects their needs.

A step is recorded before its request and after its answer. If the answer was lost, the record is read: it shows
whether the write happened. Nothing is overwritten that someone else changed since the plan was made: an update names
the version that must still be current, and a record is read before it is published, unpublished or deleted, since
upstream offers no such check there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Final, TypeVar

from versionsync import cma
from versionsync.backoff import Backoff
from versionsync.ledger.content import canonical_value, parse_value
from versionsync.mirror.tables.restores import StepState
from versionsync.restore.comparing import holds
from versionsync.restore.journal import StepJournal
from versionsync.restore.model import Act, Plan, Step

__all__ = ["Patience", "carry_out"]

T = TypeVar("T")

IDS_IN_A_LIST: Final = 100
"""The number of ids in one address. It stays below the lengths that gateways refuse."""
_STALE: Final = frozenset({"STALE_ITEM_VERSION", "UNMANAGED_EDIT_CONFLICT"})
_TAKEN: Final = frozenset({"INVALID_ENTITY_ID", "VALIDATION_UNIQUE"})
_LOCKED: Final = "ITEM_LOCKED"
_DONE: Final = "done"
_FAILED: Final = "failed"
_SKIPPED: Final = "skipped"
_SENT: Final = "sent"

# Our own codes, beside upstream's.
EDITED: Final = "EDITED_MEANWHILE"
EXISTS: Final = "EXISTS_ALREADY"
GONE: Final = "DELETED_MEANWHILE"
NOT_PUBLISHED: Final = "NOT_PUBLISHED"
NEEDED: Final = "NEEDS_FAILED_STEP"
PASSED: Final = "TIME_PASSED"


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


class _StepFailed(Exception):
    """A step that did not end as planned. `records`: those that it failed for; empty: all of them."""

    def __init__(self, code: str, why: str, *, records: Iterable[str] = ()) -> None:
        super().__init__(why)
        self.code = code
        self.why = why
        self.records = frozenset(records)


@dataclass(slots=True)
class _Run:
    plan: Plan
    client: cma.Client
    journal: StepJournal
    now: Callable[[], datetime]
    stops_on_error: bool
    patience: Patience
    on_result: Callable[[StepState], None]
    states: dict[int, StepState] = field(default_factory=dict)
    current: dict[str, str] = field(default_factory=dict)
    """The current version that this plan made, by record."""
    before: dict[str, str | None] = field(init=False)
    """The version of each record that was current when the plan was made."""
    failed_records: dict[int, frozenset[str]] = field(default_factory=dict)
    """The records that a step failed for, by its number."""
    random: Random = field(default_factory=Random)
    _is_stopping: bool = False

    def __post_init__(self) -> None:
        self.before = {one.record_id: one.version_id for one in self.plan.records}

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
                if state.version_id is not None:
                    self.current[step.record_ids[0]] = state.version_id

    def _expected(self, record_id: str) -> str | None:
        """Return the version of a record that must still be current, unless a step says otherwise."""
        return self.current.get(record_id) or self.before.get(record_id)

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
            version_id = await self._attempts(step, left_out)
        except _StepFailed as failure:
            self.failed_records[step.number] = failure.records or frozenset(step.record_ids)
            return StepState(number=step.number, state=_FAILED, error_code=failure.code, error=failure.why)
        if version_id is not None:
            self.current[step.record_ids[0]] = version_id
        return StepState(number=step.number, state=_DONE, version_id=version_id)

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

    async def _attempts(self, step: Step, left_out: frozenset[str]) -> str | None:
        """Carry out a step, again while upstream is unavailable or its outcome is unknown."""
        may_have_happened = self.journal.states[step.number].state == _SENT
        if not may_have_happened:
            await self.journal.sent(step.number)
        unavailable = locked = 0
        while True:
            try:
                return await self._send(step, left_out, may_have_happened=may_have_happened)
            except cma.Unavailable as error:
                may_have_happened |= isinstance(error, cma.OutcomeUnknown)
                wait, unavailable = error.retry_after or 0.0, unavailable + 1
                if unavailable >= self.patience.attempts:
                    raise
            except cma.InvalidRequest as error:
                if error.code != _LOCKED:
                    raise _StepFailed(error.code or "REFUSED", _why(error)) from None
                wait, locked = 0.0, locked + 1
                if locked >= self.patience.lock_attempts:
                    raise _StepFailed(_LOCKED, error.message) from None
            except cma.PermissionDenied as error:
                if error.is_of_project:
                    raise
                raise _StepFailed(error.code or "REFUSED", error.message) from None
            await asyncio.sleep(max(self.patience.delays.delay(unavailable + locked, self.random), wait))

    async def _send(self, step: Step, left_out: frozenset[str], *, may_have_happened: bool) -> str | None:
        content = self.client.content
        match step.act:
            case Act.CREATE:
                return await self._create(step, may_have_happened=may_have_happened)
            case Act.UPDATE:
                return await self._update(step, may_have_happened=may_have_happened)
            case Act.PUBLISH:
                await self._in_bulk(step, left_out, content.publish, _is_live)
            case Act.UNPUBLISH:
                await self._in_bulk(
                    step, left_out, content.unpublish, lambda item: item is None or item.status == "draft"
                )
            case Act.DELETE:
                await self._in_bulk(step, left_out, content.destroy, lambda item: item is None)
            case Act.SCHEDULE:
                await self._schedule(step)
        return None

    async def _create(self, step: Step, *, may_have_happened: bool) -> str | None:
        (id,) = step.record_ids
        if may_have_happened and (item := await self._read(id)) is not None:
            return _settled_creation(step, item)
        assert step.attributes is not None and step.model_id is not None and step.creation is not None
        past = step.creation
        creator = (
            cma.Ref(type=past.creator_type, id=past.creator_id)
            if past.creator_type is not None and past.creator_id is not None
            else None
        )
        try:
            item = await self.client.content.create(
                id,
                step.model_id,
                canonical_value(dict(step.attributes)),
                created_at=past.created_at,
                first_published_at=past.first_published_at,
                creator=creator,
                stage=step.stage,
            )
        except cma.InvalidRequest as error:
            if error.code in _TAKEN and (found := await self._read(id)) is not None:
                return _settled_creation(step, found)
            raise
        return item.current_version

    async def _update(self, step: Step, *, may_have_happened: bool) -> str | None:
        (id,) = step.record_ids
        expected = step.expected_version or self._expected(id)
        attributes = None if step.attributes is None else canonical_value(dict(step.attributes))
        if may_have_happened:
            item = await self._read(id)
            if item is None:
                raise _StepFailed(GONE, "the record was deleted since the plan was made")
            if item.current_version != expected:
                return _settled_update(step, item)
        try:
            item = await self.client.content.update(id, attributes, current_version=expected, stage=step.stage)
        except cma.NotFound:
            raise _StepFailed(GONE, "the record was deleted since the plan was made") from None
        except cma.InvalidRequest as error:
            if error.code not in _STALE:
                raise
            found = await self._read(id)
            if found is None:
                raise _StepFailed(GONE, "the record was deleted since the plan was made") from None
            if not may_have_happened or found.current_version == expected:
                raise _StepFailed(EDITED, "someone edited the record since the plan was made") from None
            return _settled_update(step, found)
        return item.current_version

    async def _in_bulk(
        self,
        step: Step,
        left_out: frozenset[str],
        send: Callable[[Sequence[str]], Awaitable[str]],
        is_done: Callable[[cma.Item | None], bool],
    ) -> None:
        """Do something to several records, to those alone that no one edited since, and read what came of it."""
        failed = dict.fromkeys(left_out, "a step that it needs did not succeed")
        named = [id for id in step.record_ids if id not in left_out]
        before = await self._read_many(named)
        wanted = []
        for id in named:
            if is_done(item := before.get(id)):
                continue
            if item is None:
                failed[id] = "it does not exist any more"
            elif (expected := self._expected(id)) and item.current_version != expected:
                failed[id] = "someone edited it since the plan was made"
            else:
                wanted.append(id)
        if wanted:
            await self._job(send, wanted)
            after = await self._read_many(wanted)
            for id in wanted:
                item = after.get(id)
                if not is_done(item):
                    failed[id] = await self._why_not_published(id) if step.act is Act.PUBLISH else "DatoCMS refused it"
                elif item is not None and (made := self.current.get(id)) and item.current_version != made:
                    failed[id] = "someone edited it just now, and this edit was published"
        if failed:
            shown = "; ".join(f"{id}: {why}" for id, why in sorted(failed.items()))
            raise _StepFailed(NOT_PUBLISHED if step.act is Act.PUBLISH else EDITED, shown, records=failed)

    async def _job(self, send: Callable[[Sequence[str]], Awaitable[str]], ids: Sequence[str]) -> None:
        """Send a bulk request and wait for its job. What became of each record is read afterwards."""
        try:
            await self.client.wait_for_job(await send(ids))
        except (cma.InvalidRequest, cma.NotFound):
            if len(ids) == 1:
                raise

    async def _why_not_published(self, id: str) -> str:
        try:
            await self.client.content.publish_one(id)
        except cma.CmaError as error:
            return error.message
        return "it was published only by itself"

    async def _schedule(self, step: Step) -> None:
        (id,) = step.record_ids
        plan = step.schedule
        assert plan is not None
        if plan.at <= self.now():
            raise _StepFailed(PASSED, f"the planned time, {plan.at:%Y-%m-%d %H:%M} UTC, has passed")
        content = self.client.content
        await (content.schedule_publication if plan.publishes else content.schedule_unpublishing)(id, plan.at)

    async def _read(self, id: str) -> cma.Item | None:
        """Return a record with its blocks, or None."""
        try:
            return await self.client.item(id, nested=True)
        except cma.NotFound:
            return None

    async def _read_many(self, ids: Sequence[str]) -> dict[str, cma.Item]:
        """Return the records that exist, without blocks.

        Upstream may answer a list from a cache. So a record that does not look as this plan left it is read again.
        """
        found: dict[str, cma.Item] = {}
        for begin in range(0, len(ids), IDS_IN_A_LIST):
            some = ids[begin : begin + IDS_IN_A_LIST]
            page = await self.client.items_page(ids=some, limit=len(some))
            found |= {item.id: item for item in page.items}
        for id in ids:
            item = found.get(id)
            if item is None or (id in self.current and item.current_version != self.current[id]):
                found.pop(id, None)
                try:
                    found[id] = await self.client.item(id)
                except cma.NotFound:
                    continue
        return found


def _is_live(item: cma.Item | None) -> bool:
    """Return whether the current version of a record is published."""
    return item is not None and item.status == "published"


def _settled_creation(step: Step, item: cma.Item) -> str | None:
    """Return the version that a creation made whose answer was lost. Raise if someone else made the record."""
    if item.item_type_id == step.model_id and _has(item, step):
        return item.current_version
    raise _StepFailed(EXISTS, "a record with this id exists, with another content")


def _settled_update(step: Step, item: cma.Item) -> str | None:
    if _has(item, step):
        return item.current_version
    raise _StepFailed(EDITED, "someone edited the record since the plan was made")


def _has(item: cma.Item, step: Step) -> bool:
    got = parse_value(item.attributes_raw)
    return step.attributes is not None and holds(dict(step.attributes), got)


def _why(error: cma.InvalidRequest) -> str:
    named = ", ".join(f"{one.field}: {one.code}" for one in error.problems)
    return f"{error.message} ({named})" if named and error.message not in named else error.message
