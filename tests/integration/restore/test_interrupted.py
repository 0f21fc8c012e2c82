"""A plan that is interrupted, or whose requests fail, is finished by the next call. Nothing is doubled."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random

import pytest

from tests.fixtures.sync_env import MakeSyncEnv
from tests.integration.restore.conftest import RestoreEnv
from tests.integration.restore.spoiled import back, spoil
from versionsync import cma
from versionsync.mirror.holder import Holder
from versionsync.restore.execute import carry_out
from versionsync.restore.journal import Journal
from versionsync.restore.kept_plans import keep, kept_plan
from versionsync.simulator import FaultKind, Faults, SimulatorOptions

STEPS = range(1, 40, 2)
BEFORE_AND_AFTER = (False, True)


@pytest.mark.parametrize("seed", range(6))
def test_a_plan_that_was_cancelled_at_any_request_is_finished(seed: int, make_sync_env: MakeSyncEnv) -> None:
    """As often as it was cancelled."""
    restoring, random = RestoreEnv(make_sync_env()), Random(seed)
    spoiled = spoil(restoring)
    id = keep(restoring.env.mirror, 1, restoring.plan(spoiled.wanted))
    for _ in range(6):
        with suppress(asyncio.CancelledError):
            asyncio.run(cancelled(restoring, id, random.randrange(1, 14), is_answered=random.random() < 0.5))
    writes = count_writes(restoring)
    states = restoring.go_on(id)
    assert {state.state for state in states} == {"done"}
    assert back(restoring.env, spoiled.whole) == []
    assert restoring.go_on(id) == states
    assert count_writes(restoring) - writes <= len(states) * 2, "what is done is not done again"

    restoring.mirror()
    states = restoring.apply(restoring.undo(id))[1]
    assert {state.state for state in states} == {"done"}
    assert back(restoring.env, spoiled.now) == []


async def cancelled(restoring: RestoreEnv, id: str, request: int, *, is_answered: bool) -> None:
    """Carry out a plan until a request, which is cancelled before or after upstream has done it."""
    seen = 0
    task = asyncio.current_task()
    assert task is not None

    def on_request(_: cma.Exchange) -> None:
        nonlocal seen
        seen += 1
        if seen == request:
            task.cancel()

    kept = kept_plan(restoring.env.mirror, 1, id)
    journal = Journal(restoring.env.mirror, 1, id, holder=Holder.of_this_process(), now=restoring.now)
    if not is_answered:
        asyncio.get_running_loop().call_later(0.02 * request, task.cancel)
    client = cma.Client(
        restoring.env.spec.base_url,
        restoring.env.token,
        rate_limiter=cma.RateLimiter(cma.UNLIMITED),
        on_request=on_request if is_answered else None,
        poll_seconds=0.01,
    )
    async with client, journal:
        await carry_out(kept.plan, client, journal, now=restoring.now)


def count_writes(restoring: RestoreEnv) -> int:
    """Return how many versions there are."""
    return restoring.env.simulator.act(lambda world: len(world.environment().versions))


@pytest.mark.parametrize("kind", [FaultKind.LOST, FaultKind.INTERNAL_ERROR, FaultKind.BAD_GATEWAY, FaultKind.RESET])
@pytest.mark.parametrize("after", BEFORE_AND_AFTER)
def test_a_lost_answer_doubles_nothing(*, kind: FaultKind, after: bool, make_sync_env: MakeSyncEnv) -> None:
    """Whether upstream carried the request out or not."""
    faults = Faults()
    restoring = RestoreEnv(make_sync_env(faults=faults))
    spoiled = spoil(restoring)
    plan = restoring.plan(spoiled.wanted)
    for nth in range(1, len(plan.steps) * 2, 2):
        for method in ("POST", "PUT"):
            faults.plant(kind, path="^/items", method=method, nth=nth, after=after)
    versions = count_writes(restoring)
    _, states = restoring.apply(plan)
    faults.clear()
    assert {state.state for state in states} == {"done"}
    assert back(restoring.env, spoiled.whole) == []
    made = [step for step in plan.steps if step.attributes is not None]
    assert count_writes(restoring) - versions <= len(made), "each content was written once"


def test_throttling_changes_nothing(make_sync_env: MakeSyncEnv) -> None:
    faults = Faults(seed=1, rates={FaultKind.THROTTLED_BARE: 0.02, FaultKind.UNAVAILABLE: 0.1})
    restoring = RestoreEnv(make_sync_env())
    spoiled = spoil(restoring)
    plan = restoring.plan(spoiled.wanted)
    restoring.env.simulator.simulator.faults = faults
    _, states = restoring.apply(plan)
    assert {state.state for state in states} == {"done"}
    assert back(restoring.env, spoiled.whole) == []


@pytest.mark.parametrize("code", ["TOO_MANY_OPERATIONS", "PLAN_UPGRADE_REQUIRED"])
def test_a_quota_that_is_used_up_stops_the_plan_and_it_goes_on_later(code: str, make_sync_env: MakeSyncEnv) -> None:
    switches = SimulatorOptions(max_writes_code=code)  # type: ignore[arg-type]
    restoring = RestoreEnv(make_sync_env(switches=switches))
    spoiled = spoil(restoring)
    plan = restoring.plan(spoiled.wanted)
    id = keep(restoring.env.mirror, 1, plan)
    for writes in (0, 3, 8):
        restoring.env.simulator.act(lambda world, writes=writes: setattr(world.options, "max_writes", writes))
        with pytest.raises(cma.CmaError) as raised:
            restoring.go_on(id)
        assert raised.value.code == code
    restoring.env.simulator.act(lambda world: setattr(world.options, "max_writes", None))
    assert {state.state for state in restoring.go_on(id)} == {"done"}
    assert back(restoring.env, spoiled.whole) == []


def test_a_read_only_environment_stops_the_plan_and_it_goes_on_later(make_sync_env: MakeSyncEnv) -> None:
    restoring = RestoreEnv(make_sync_env())
    spoiled = spoil(restoring)
    id = keep(restoring.env.mirror, 1, restoring.plan(spoiled.wanted))
    restoring.env.simulator.act(lambda world: setattr(world.primary, "is_read_only", True))
    with pytest.raises(cma.Unavailable):
        restoring.go_on(id)
    restoring.env.simulator.act(lambda world: setattr(world.primary, "is_read_only", False))
    assert {state.state for state in restoring.go_on(id)} == {"done"}
    assert back(restoring.env, spoiled.whole) == []
