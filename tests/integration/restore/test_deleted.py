"""Records that were deleted come back: their ids, contents, links and what was live."""

from __future__ import annotations

import msgspec

from tests.integration.restore.conftest import RestoreEnv, ended
from versionsync.restore.model import Act
from versionsync.restore.selection import Wanted
from versionsync.simulator import World


def test_a_deleted_record_comes_back_under_its_id_and_live_again(restoring: RestoreEnv) -> None:
    env = restoring.env
    made = env.act(lambda world: world.create(world.account, "post", {"title": "The old fish market"}))
    env.act(lambda world: world.publish(world.account, made.id))
    restoring.mirror()
    env.act(lambda world: world.delete(world.account, made.id))
    restoring.mirror()

    plan = restoring.plan(Wanted(record=made.id, publishes=True))
    assert [(step.act, step.record_ids) for step in plan.steps] == [
        (Act.CREATE, (made.id,)),
        (Act.PUBLISH, (made.id,)),
    ]
    assert env.act(lambda world: made.id not in world.environment().records), "a plan writes nothing"
    _, states = restoring.apply(plan)
    assert ended(states) == [("done", None), ("done", None)]

    def check(world: World) -> None:
        back = world.environment().record(made.id)
        assert msgspec.json.decode(back.head.read()) == {"title": "The old fish market"}
        assert back.published is back.head
        assert back.created_at == made.created_at
        assert back.creator is made.creator

    env.simulator.act(check)


def test_a_restored_record_is_taken_back_by_undo(restoring: RestoreEnv) -> None:
    env = restoring.env
    made = env.act(lambda world: world.create(world.account, "post", {"title": "The old fish market"}))
    restoring.mirror()
    env.act(lambda world: world.delete(world.account, made.id))
    restoring.mirror()
    id, _ = restoring.apply(restoring.plan(Wanted(deleted=True)))
    restoring.mirror()

    undo = restoring.undo(id)
    assert [step.act for step in undo.steps] == [Act.DELETE]
    restoring.apply(undo)
    assert env.act(lambda world: made.id not in world.environment().records)


def test_an_older_version_becomes_a_new_draft(restoring: RestoreEnv) -> None:
    env = restoring.env
    made = env.act(lambda world: world.create(world.account, "post", {"title": "one"}))
    first = made.head.id
    env.act(lambda world: world.publish(world.account, made.id))
    env.act(lambda world: world.update(world.account, made.id, {"title": "two"}))
    restoring.mirror()

    plan = restoring.plan(Wanted(version=first))
    id, states = restoring.apply(plan)
    assert ended(states) == [("done", None)]
    assert env.act(lambda world: world.environment().record(made.id).head.read()) == b'{"title":"one"}'
    restoring.mirror()
    restoring.apply(restoring.undo(id))
    assert env.act(lambda world: world.environment().record(made.id).head.read()) == b'{"title":"two"}'


def test_an_edit_made_after_the_plan_is_not_overwritten(restoring: RestoreEnv) -> None:
    env = restoring.env
    made = env.act(lambda world: world.create(world.account, "post", {"title": "one"}))
    first = made.head.id
    env.act(lambda world: world.update(world.account, made.id, {"title": "two"}))
    restoring.mirror()
    plan = restoring.plan(Wanted(version=first))
    env.act(lambda world: world.update(world.account, made.id, {"title": "theirs"}))

    _, states = restoring.apply(plan)

    assert ended(states) == [("failed", "EDITED_MEANWHILE")]
    assert env.act(lambda world: world.environment().record(made.id).head.read()) == b'{"title":"theirs"}'


def test_a_record_that_newer_rules_keep_from_being_published_is_left_alone(restoring: RestoreEnv) -> None:
    env = restoring.env
    made = env.act(lambda world: world.create(world.account, "post", {"title": "The old fish market"}))
    env.act(lambda world: world.publish(world.account, made.id))
    restoring.mirror()
    at = restoring.now()
    env.act(lambda world: world.unpublish(world.account, made.id))
    env.act(lambda world: world.create_field(world.account, made.model, "place", validators={"required": {}}))
    restoring.mirror()
    plan = restoring.plan(Wanted(at=at, publishes=True))
    assert plan.steps == ()
    assert [one.why for one in plan.left_alone] == ["DatoCMS would refuse it: Field place: VALIDATION_REQUIRED."]
