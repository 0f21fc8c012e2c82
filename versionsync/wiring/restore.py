"""Restores as the settings describe them: make and keep plans, apply them, and sync what they changed.

The command line and programs share it. Plans are made with the token that may write, if there is one, since its role
decides what upstream would refuse. Otherwise the source's own token reads. Writing takes the restore token, never
another.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select
from structlog.typing import FilteringBoundLogger

from versionsync import cma
from versionsync.budget import Budget, BudgetStatus
from versionsync.config import Secret, SourceSettings
from versionsync.history.names import find_version
from versionsync.history.scope import Scope
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import LeaseHeld, MirrorError
from versionsync.mirror.holder import Holder
from versionsync.mirror.schema import models
from versionsync.mirror.tables.restores import StepState, load_plan
from versionsync.mirror.tables.sources import SourceRow
from versionsync.mirror.tables.usage import add_requests, project_usage
from versionsync.restore.errors import CannotApply, NoRestoreToken, ReadOnlyToken, TooFewRequests
from versionsync.restore.execute import carry_out
from versionsync.restore.journal import Journal
from versionsync.restore.kept_plans import KeptPlan, keep, kept_plan, last_erasure, undo_of
from versionsync.restore.model import Plan
from versionsync.restore.order import least_requests
from versionsync.restore.plan_text import PlanFile, read_plan_file
from versionsync.restore.planning import PlanningOptions, make_plan
from versionsync.restore.proof import Proof, aims_of, prove
from versionsync.restore.selection import Wanted
from versionsync.sync.options import SyncOptions
from versionsync.wiring.clients import open_client
from versionsync.wiring.sync_all import SourceJob, sync_all

__all__ = ["Applied", "RestoreJob", "Synced"]


RECORDS_BY_ID: Final = 50
"""The most records that are synced by their ids. A sync that lists all records takes fewer requests for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """Whether the mirror has what was written.

    Attributes:
        is_done: The records that were touched were synced.
        why_not: Why they were not, as a sentence for people.
    """

    is_done: bool = False
    why_not: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What came of a plan that was carried out.

    Attributes:
        id: The plan's id.
        plan: The plan.
        states: How each step ended, as far as it was begun.
        synced: Whether the mirror has it.
        proof: What the mirror read afterwards, compared with the plan. None: it could not be synced.
    """

    id: str
    plan: Plan
    states: Sequence[StepState]
    synced: Synced
    proof: Proof | None = None

    @property
    def is_done(self) -> bool:
        """Whether every step is done."""
        return len(self.states) == len(self.plan.steps) and all(one.state == "done" for one in self.states)


@dataclass(slots=True, kw_only=True)
class RestoreJob:
    """Restores of one source.

    Attributes:
        mirror: Its mirror.
        source: Its settings.
        reading: Its API token.
        writing: The token that may write. None: only plans can be made.
        log: Where to log.
        now: The clock.
        client: The client that is in use. None: none is.
    """

    mirror: Mirror
    source: SourceSettings
    reading: Secret
    writing: Secret | None
    log: FilteringBoundLogger
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    client: cma.Client | None = field(default=None, init=False)

    @property
    def requests(self) -> int:
        """How many requests the client in use has sent."""
        return 0 if self.client is None else self.client.usage.requests

    def row(self) -> SourceRow:
        """Return the source as the mirror has it. Raises UnknownName if it was never synced."""
        return self.mirror.query(lambda connection: Scope.load(connection, [self.source.name])).sources[0]

    async def plan(
        self,
        wanted: Wanted,
        *,
        stale_ok: bool = False,
        checks: bool = True,
        environment: str | None = None,
        zone_shown: Callable[[datetime], str] = str,
    ) -> tuple[str, Plan]:
        """Make a plan, keep it, and return it with its id. Without steps it is not kept, and its id is empty.

        Args:
            wanted: What is asked.
            stale_ok: Plan with a mirror that is older than upstream.
            checks: Whether to ask upstream whether it would accept each content.
            environment: Another environment of the project, to write to. None: the mirrored one.
            zone_shown: Returns a time as people read it.

        Raises:
            RestoreError: The question is not complete, the mirror is stale, or the budget is spent.
            HistoryError: A name is not known, or the time is before the history.
            CmaError: Upstream cannot be read.
        """
        options = PlanningOptions(
            stale_ok=stale_ok,
            checks=checks,
            is_elsewhere=environment not in (None, self.row().project.environment),
        )
        return await self._planned(wanted, options, environment=environment, zone_shown=zone_shown)

    async def undo(
        self,
        id: str,
        *,
        stale_ok: bool = False,
        checks: bool = True,
        zone_shown: Callable[[datetime], str] = str,
    ) -> tuple[str, Plan]:
        """Make the plan that takes another one back, keep it, and return it with its id. Raises as `plan` does."""
        row = self.row()
        kept = kept_plan(self.mirror, row.id, id)
        if kept.plan.environment != row.project.environment:
            raise CannotApply(
                f"plan {id} wrote to the environment {kept.plan.environment}, which is not mirrored",
                hint="So the mirror does not know what was there before. Restore it from a fork, or delete it in "
                "DatoCMS.",
            )
        undo = undo_of(kept)
        if not undo.targets:
            raise CannotApply(f"plan {id} has changed nothing, so there is nothing to take back")
        options = PlanningOptions(stale_ok=stale_ok, checks=checks, undoes=id, expected=undo.expected)
        wanted = Wanted(publishes=True, deletes=True, words=f"undo of plan {id}")
        return await self._planned(wanted, options, targets=undo.targets, zone_shown=zone_shown)

    async def _planned(self, wanted: Wanted, options: PlanningOptions, **more: object) -> tuple[str, Plan]:
        row = self.row()
        self._check_budget(row, 0)
        environment = more.pop("environment", None)
        erasure = await asyncio.to_thread(last_erasure, self.mirror, row.id)
        async with self._client(row, self.writing or self.reading, environment=environment) as client:  # type: ignore[arg-type]
            plan = await make_plan(
                self.mirror,
                self.source.name,
                wanted,
                client,
                now=self.now,
                options=replace(options, is_writer=self.writing is not None),
                **more,  # type: ignore[arg-type]
            )
        if not plan.steps:
            return "", plan
        return await asyncio.to_thread(keep, self.mirror, row.id, plan, erasure=erasure), plan

    def kept(self, id: str, *, file: PlanFile | None = None) -> KeptPlan:
        """Return a plan that the mirror keeps. See `versionsync.restore.kept_plans.kept_plan`."""
        return kept_plan(self.mirror, self.row().id, id, file=file)

    def named(self, name: str) -> KeptPlan | None:
        """Return the kept plan that a file or an id names; None: the name is neither.

        Raises:
            CannotApply: The file is no plan, one of another source, or differs from the one that is kept.
        """
        path = Path(name)
        if "\0" not in name and _is_file(path):
            file = read_plan_file(path.read_bytes(), name)
            if file.source != self.source.name:
                raise CannotApply(
                    f"{name} is a plan of the source {file.source}",
                    hint=f"Add --source {file.source}, or make a new plan.",
                )
            return self.kept(file.id, file=file)
        source_id = self.row().id
        is_known = self.mirror.query(lambda connection: load_plan(connection, source_id, name)) is not None
        return self.kept(name) if is_known else None

    async def apply(
        self,
        kept: KeptPlan,
        *,
        stops_on_error: bool = False,
        on_result: Callable[[StepState], None] = lambda _: None,
        on_sync: Callable[[SourceJob], None] = lambda _: None,
    ) -> Applied:
        """Carry out the steps of a plan that are not done yet, then sync the records that it touched.

        Args:
            kept: The plan.
            stops_on_error: Begin no further step after one that failed.
            on_result: Called after each step.
            on_sync: Called before the sync.

        Raises:
            NoRestoreToken: No token is set that may write.
            CannotApply: It is done already, or of another project or environment.
            TooFewRequests: The budget does not allow as many requests.
            PlanRuns: Another process carries it out.
            CmaError: Upstream refuses the token, or is unavailable for too long. The plan can be continued.
        """
        token = self.writer()
        if kept.is_done:
            raise CannotApply(f"plan {kept.id} is done already", hint=f"To take it back: --undo {kept.id}")
        row, plan = self.row(), kept.plan
        left = [step for step, state in zip(plan.steps, kept.steps, strict=True) if state.state != "done"]
        self._check_budget(row, least_requests(left))
        journal = Journal(self.mirror, row.id, kept.id, holder=Holder.of_this_process(), now=self.now)
        async with self._client(row, token, environment=plan.environment) as client:
            await self._check_place(client, row, plan)
            async with journal:
                states = await carry_out(
                    plan, client, journal, now=self.now, stops_on_error=stops_on_error, on_result=on_result
                )
                applied = Applied(id=kept.id, plan=plan, states=states, synced=Synced())
                await journal.finish("done" if applied.is_done else "partial", _report(states))
        if plan.environment != row.project.environment:
            return replace(applied, synced=Synced(why_not=f"The environment {plan.environment} is not mirrored."))
        synced = await self._sync(row, _touched(plan, states), on_sync)
        proof = await asyncio.to_thread(self._proof, row, applied) if synced.is_done else None
        return replace(applied, synced=synced, proof=proof)

    def _proof(self, row: SourceRow, applied: Applied) -> Proof:
        """Compare what the mirror has now with what the plan made."""

        def compare(connection: Connection) -> Proof:
            query = select(models.c.id, models.c.draft_mode).where(models.c.source_id == row.id)
            has_drafts = {id: has_them is not False for id, has_them in connection.execute(query)}
            return prove(connection, row.id, aims_of(applied.plan, applied.states, has_drafts=has_drafts))

        return self.mirror.query(compare)

    async def restore_version(self, name: str) -> tuple[str, Synced]:
        """Let DatoCMS itself make a version the current one, and return the id of its record.

        It has no lock: an edit of the same moment is lost. What is published stays.
        """
        row, token = self.row(), self.writer()
        found = self.mirror.query(
            lambda connection: find_version(connection, Scope.load(connection, [self.source.name]), name)
        )
        self._check_budget(row, 3)
        async with self._client(row, token, environment=row.project.environment) as client:
            await self._check_project(client, row)
            await client.wait_for_job(await client.restore_version(found.version_id))
        return found.record_id, await self._sync(row, [found.record_id], lambda _: None)

    def writer(self) -> Secret:
        """Return the token that may write. Raises NoRestoreToken."""
        if self.writing is None:
            raise NoRestoreToken(
                f"source {self.source.name} has no token that may write, so nothing is written to DatoCMS",
                hint="Make a second API token in DatoCMS (Project settings > API tokens) whose role can create, "
                "update, publish and delete records.\nPut it into the variable DATOCMS_RESTORE_TOKEN, or into a file "
                "that restore_token_file names. A plan needs none: leave out --apply.",
            )
        return self.writing

    async def check_writer(self, environment: str | None = None) -> None:
        """Check before anything is planned or asked that a token is set, and that its role may write.

        Args:
            environment: The environment that is written to. None: the mirrored one.

        Raises:
            NoRestoreToken: No token is set that may write.
            ReadOnlyToken: Its role can only read.
        """
        row, token = self.row(), self.writer()
        place = environment or row.project.environment
        async with self._client(row, token, environment=place) as client:
            role = await client.own_role()
        if role is not None and not any(one.action != "read" and one.environment == place for one in role.positive):
            raise ReadOnlyToken(
                f"the role “{role.name}” of the restore token cannot change records in {place}",
                hint="Give it the right to create, update, publish and delete records there, or use another token.",
            )

    @asynccontextmanager
    async def _client(
        self, row: SourceRow, token: Secret, *, environment: str | None = None
    ) -> AsyncIterator[cma.Client]:
        """Open a client. Its requests are counted when it is closed: the budget is the project's."""
        async with open_client(self.source, token, log=self.log, environment=environment) as client:
            self.client = client
            try:
                yield client
            finally:
                self.client = None
                await asyncio.shield(asyncio.to_thread(self._count, row.id, client.usage.requests))

    def _count(self, source_id: int, sent: int) -> None:
        if sent:
            with suppress(MirrorError):
                self.mirror.transact(lambda tx: add_requests(tx, source_id, datetime.now(UTC).date(), sent))

    def _check_budget(self, row: SourceRow, needed: int) -> None:
        """Refuse to begin what the budget of the source does not allow."""
        if self.source.budget is None:
            return
        budget, now = Budget.parse(self.source.budget), datetime.now(UTC)

        def spent(connection: Connection) -> int:
            return project_usage(connection, row.id, since=budget.period.bounds(now)[0].date()).requests

        status = BudgetStatus(budget=budget, spent=self.mirror.query(spent), shared_by=1, now=now)
        if status.is_spent or status.left < needed:
            raise TooFewRequests(
                f"{f'the plan needs about {needed:,} requests' if needed else 'a plan needs requests'}, and of "
                f"{budget} {status.left:,} are left",
                hint=f"Raise `budget` of source {self.source.name}, or wait until {status.ends_at:%Y-%m-%d %H:%M} UTC.",
            )

    async def _check_place(self, client: cma.Client, row: SourceRow, plan: Plan) -> None:
        """Refuse to write to another project or environment than the plan was made for."""
        await self._check_project(client, row)
        if plan.project_id != row.project.id:
            raise CannotApply(f"the plan is of another project (id {plan.project_id})")
        named = self.source.environment
        if plan.environment != row.project.environment:
            return  # it was asked for by name, and the environment is in each request
        if named is None:
            primary = next((one.id for one in await client.environments() if one.primary), None)
            if primary is not None and primary != plan.environment:
                raise CannotApply(
                    f"the plan is for the environment {plan.environment}, and {primary} is the primary one now",
                    hint=f"Make a new plan; or write to that one: --to-environment {plan.environment}.",
                )
        elif named != plan.environment:
            raise CannotApply(f"the plan is for the environment {plan.environment}, and the settings name {named}")

    async def _check_project(self, client: cma.Client, row: SourceRow) -> None:
        site = await client.site()
        if site.id != row.project.id:
            raise CannotApply(
                f"the restore token leads to the project {site.name} (id {site.id}), but the source {row.name} mirrors "
                f"{row.project.name} (id {row.project.id})",
                hint="Use a token of that project.",
            )

    async def _sync(self, row: SourceRow, ids: Sequence[str], on_sync: Callable[[SourceJob], None]) -> Synced:
        """Sync the records that were touched. That it fails is no failure of the restore."""
        if not ids:
            return Synced(is_done=True)
        job = SourceJob(self.source, self.reading)
        on_sync(job)
        try:
            options = SyncOptions(record_ids=tuple(ids) if len(ids) <= RECORDS_BY_ID else ())
            (report,) = await sync_all(self.mirror, [job], options, log=self.log)
        finally:
            await asyncio.shield(asyncio.to_thread(self._count, row.id, job.progress.counts.requests))
        if isinstance(report.error, LeaseHeld):
            why = f"{report.error.holder} writes to the mirror, and will sync what was changed."
            return Synced(why_not=why)
        if report.error is not None:
            return Synced(why_not=f"The mirror could not be synced: {report.error}. Run `versionsync sync`.")
        return Synced(is_done=True)


def _touched(plan: Plan, states: Sequence[StepState]) -> list[str]:
    """Return the records that the steps may have changed."""
    begun = {one.number for one in states if one.state in ("done", "failed", "sent")}
    return list(dict.fromkeys(id for step in plan.steps if step.number in begun for id in step.record_ids))


def _report(states: Sequence[StepState]) -> str:
    """Return how many steps ended how, as JSON."""
    ends = [one.state for one in states]
    return json.dumps({end: ends.count(end) for end in ("done", "failed", "skipped")})


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a title can be longer than a name of a file
        return False
