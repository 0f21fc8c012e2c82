"""A record whose old versions upstream has dropped is older than its history, so no plan takes it for a new one."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.integration.restore.conftest import RestoreEnv
from versionsync.restore.selection import Wanted
from versionsync.simulator import World

DAYS = 30


@pytest.fixture
def old(restoring: RestoreEnv) -> tuple[str, datetime]:
    """An old record that Ben has edited since, and a time before that. No version of that time is left."""
    env = restoring.env
    env.act(lambda world: world.create(world.account, "post", {"title": "never edited"}))  # the history begins here
    made = env.act(lambda world: world.create(world.account, "post", {"title": "old"}))
    env.wait(60)
    at = restoring.now()
    env.wait(60)
    env.act(lambda world: world.update(world.user, made.id, {"title": "newer"}))
    env.wait(timedelta(days=DAYS).total_seconds() - 90)

    def drop(world: World) -> int:
        world.options.history_retention_days = DAYS
        return world.expire_versions()

    assert env.act(drop) == 1
    restoring.mirror()
    return made.id, at


@pytest.mark.parametrize("editor", [None, "Ben Writer"])
def test_it_is_not_deleted(restoring: RestoreEnv, old: tuple[str, datetime], editor: str | None) -> None:
    id, at = old
    if editor is None:
        wanted = Wanted(model="post", at=at, deletes=True)
    else:
        wanted = Wanted(changed_by=editor, since=at, deletes=True)

    plan = restoring.plan(wanted)

    assert plan.steps == ()
    why = {one.record_id: one.why for one in plan.left_alone}
    assert why[id] == "It is older than its history: how it was then is not known."
