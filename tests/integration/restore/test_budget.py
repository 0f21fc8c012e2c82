"""The budget of a source has to allow what is left of a plan, not what was done before."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
import structlog

from tests.integration.restore.conftest import RestoreEnv
from versionsync.config import Secret, SourceSettings
from versionsync.mirror.tables.restores import StepState, save_results
from versionsync.restore.errors import TooFewRequests
from versionsync.restore.kept_plans import keep
from versionsync.restore.selection import Wanted
from versionsync.wiring.restore import RestoreJob

RECORDS = 60
BUDGET = 80
"""Less than two requests for each record, and more than a sync takes."""


def test_a_plan_that_is_almost_done_needs_few_requests(restoring: RestoreEnv) -> None:
    env = restoring.env

    ids = [env.act(lambda world: world.create(world.account, "post", {"title": "one"})).id for _ in range(RECORDS)]
    restoring.mirror()
    before = restoring.now()
    env.wait(60)
    for one in ids:
        env.act(lambda world, one=one: world.update(world.account, one, {"title": "two"}))
    restoring.mirror()
    plan = restoring.plan(Wanted(model="post", at=before))
    id = keep(env.mirror, 1, plan)
    token = Secret(env.token)
    job = RestoreJob(
        mirror=env.mirror,
        source=SourceSettings(name=env.spec.name, base_url=env.spec.base_url, budget=f"{BUDGET}/day"),
        reading=token,
        writing=token,
        log=structlog.get_logger(),
    )
    with pytest.raises(TooFewRequests):
        asyncio.run(job.apply(job.kept(id)))

    done = [StepState(number=step.number, state="done") for step in plan.steps[1:]]
    env.mirror.transact(lambda tx: save_results(tx, 1, id, done, at=datetime.now(UTC)))
    applied = asyncio.run(job.apply(job.kept(id)))

    assert applied.is_done
