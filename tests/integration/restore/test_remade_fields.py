"""A field that was removed and made again is empty upstream, whatever the mirror has: its values come back."""

from __future__ import annotations

import msgspec
import pytest

from tests.integration.restore.conftest import RestoreEnv, ended
from versionsync.restore.model import Act
from versionsync.restore.selection import Wanted
from versionsync.simulator import World


@pytest.mark.parametrize("publishes", [False, True], ids=["draft", "live"])
def test_values_of_a_field_that_was_made_again_come_back(restoring: RestoreEnv, publishes: bool) -> None:
    env = restoring.env
    field = env.act(lambda world: world.create_field(world.account, "post", "color"))
    made = env.act(lambda world: world.create(world.account, "post", {"title": "one", "color": "red"}))
    if publishes:
        env.act(lambda world: world.publish(world.account, made.id))
    restoring.mirror()
    then = restoring.now()
    env.act(lambda world: world.destroy_field(world.account, field.id))
    env.act(lambda world: world.create_field(world.account, "post", "color"))
    restoring.mirror()

    plan = restoring.plan(Wanted(record=made.id, at=then, fields=("color",), publishes=publishes))
    assert [step.act for step in plan.steps] == [Act.UPDATE, Act.PUBLISH][: 1 + publishes]
    _, states = restoring.apply(plan)

    assert {state for state, _ in ended(states)} == {"done"}

    def check(world: World) -> None:
        back = world.environment().record(made.id)
        assert msgspec.json.decode(back.head.read()) == {"title": "one", "color": "red"}
        assert (back.published is back.head) is publishes

    env.simulator.act(check)
