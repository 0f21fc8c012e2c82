"""A restore, for real: a simulated project, its mirror, a plan and the requests that carry it out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from tests.fixtures.projections import fill
from tests.fixtures.sync_env import SyncEnv
from versionsync import cma
from versionsync.backoff import Backoff
from versionsync.mirror.holder import Holder
from versionsync.mirror.tables.restores import StepState
from versionsync.restore.execute import Patience, carry_out
from versionsync.restore.journal import Journal
from versionsync.restore.kept_plans import KeptPlan, keep, kept_plan, undo_of
from versionsync.restore.model import Plan
from versionsync.restore.planning import PlanningOptions, make_plan
from versionsync.restore.selection import Wanted


@dataclass
class RestoreEnv:
    """A project, its mirror, and what a person does with `versionsync restore`."""

    env: SyncEnv
    requests: list[cma.Exchange] = field(default_factory=list)

    def mirror(self) -> None:
        """Bring the mirror and its projections up to date."""
        self.env.sync(allow_mass_delete=True)
        fill(self.env.mirror)

    def plan(self, wanted: Wanted, **options: object) -> Plan:
        """Make a plan."""
        return asyncio.run(self._plan(wanted, PlanningOptions(**options)))  # type: ignore[arg-type]

    async def _plan(self, wanted: Wanted, options: PlanningOptions, **more: object) -> Plan:
        async with self.client() as client:
            return await make_plan(
                self.env.mirror,
                self.env.spec.name,
                wanted,
                client,
                now=self.now,
                options=options,
                **more,  # type: ignore[arg-type]
            )

    def apply(self, plan: Plan) -> tuple[str, list[StepState]]:
        """Keep a plan, carry it out, and return its id and how its steps ended."""
        id = keep(self.env.mirror, 1, plan)
        return id, self.go_on(id)

    def go_on(self, id: str, *, concurrency: int | None = None, kept: KeptPlan | None = None) -> list[StepState]:
        """Carry out the rest of a kept plan. `kept`: the plan, if it was read before."""
        kept = kept or kept_plan(self.env.mirror, 1, id)

        async def run() -> list[StepState]:
            journal = Journal(self.env.mirror, 1, id, holder=Holder.of_this_process(), now=self.now)
            async with self.client(concurrency) as one, journal:
                states = await carry_out(
                    kept.plan,
                    one,
                    journal,
                    now=self.now,
                    patience=Patience(attempts=40, delays=Backoff(0.01, 0.05)),
                )
                is_done = all(state.state == "done" for state in states) and len(states) == len(kept.plan.steps)
                await journal.finish("done" if is_done else "partial", "{}")
                return states

        return asyncio.run(run())

    def undo(self, id: str) -> Plan:
        """Make the plan that takes another one back."""
        undo = undo_of(kept_plan(self.env.mirror, 1, id))
        options = PlanningOptions(undoes=id, expected=undo.expected)
        wanted = Wanted(publishes=True, deletes=True, words=f"undo {id}")
        return asyncio.run(self._plan(wanted, options, targets=undo.targets))

    def client(self, concurrency: int | None = None) -> cma.Client:
        """Return a client with the token that may write."""
        limiter = cma.RateLimiter(cma.UNLIMITED, **({"concurrency": concurrency} if concurrency else {}))
        return cma.Client(
            self.env.spec.base_url,
            self.env.token,
            rate_limiter=limiter,
            on_request=self.requests.append,
            poll_seconds=0.01,
        )

    def now(self) -> datetime:
        """Return upstream's time."""
        return self.env.simulator.act(lambda world: world.now())


def ended(states: Sequence[StepState]) -> list[tuple[str, str | None]]:
    """Return how steps ended, with their codes."""
    return [(state.state, state.error_code) for state in states]


@pytest.fixture
def restoring(sync_env: SyncEnv) -> RestoreEnv:
    """A project with its mirror, to be restored."""
    return RestoreEnv(sync_env)


START = datetime(2026, 9, 1, 9, 0, tzinfo=UTC)
