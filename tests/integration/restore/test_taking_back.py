"""What one editor did is taken back, and nothing that others did."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import update

from tests.integration.restore.conftest import RestoreEnv, ended
from versionsync.mirror.schema import events
from versionsync.restore.selection import Wanted
from versionsync.simulator import World


@pytest.fixture
def wanted(restoring: RestoreEnv) -> Wanted:
    """What Ben did from now on."""
    restoring.env.act(lambda world: world.create_field(world.account, "post", "note"))
    restoring.env.act(lambda world: world.create(world.user, "post", {"title": "before"}))
    restoring.env.wait(60)
    return Wanted(changed_by="Ben Writer", since=restoring.now(), publishes=True, deletes=True)


def _content(restoring: RestoreEnv, id: str) -> dict[str, object]:
    read = restoring.env.simulator.act(lambda world: world.environment().record(id).head.read())
    found: dict[str, object] = msgspec.json.decode(read)
    return found


def test_a_record_that_only_the_editor_changed_goes_back_and_is_live_as_before(
    restoring: RestoreEnv, wanted: Wanted
) -> None:
    env = restoring.env
    made = env.act(lambda world: world.create(world.account, "post", {"title": "one"}))
    env.act(lambda world: world.publish(world.account, made.id))
    restoring.mirror()
    env.act(lambda world: world.update(world.user, made.id, {"title": "two"}))
    env.act(lambda world: world.publish(world.user, made.id))
    restoring.mirror()

    _, states = restoring.apply(restoring.plan(wanted))

    assert {state.state for state in states} == {"done"}
    assert _content(restoring, made.id)["title"] == "one"
    assert env.act(lambda world: world.environment().record(made.id).status) == "published"


def test_what_others_published_since_stays_live(restoring: RestoreEnv, wanted: Wanted) -> None:
    """It was not live when the editor's work began, but when the editor touched the record."""
    env = restoring.env
    made = env.act(lambda world: world.create(world.account, "post", {"title": "one"}))
    env.act(lambda world: world.publish(world.account, made.id))
    env.act(lambda world: world.update(world.user, made.id, {"title": "two"}))
    restoring.mirror()

    restoring.apply(restoring.plan(wanted))

    assert _content(restoring, made.id)["title"] == "one"
    assert env.act(lambda world: world.environment().record(made.id).status) == "published"


def test_a_field_that_others_changed_since_stays(restoring: RestoreEnv, wanted: Wanted) -> None:
    env = restoring.env
    made = env.act(lambda world: world.create(world.account, "post", {"title": "one", "note": "one"}))
    env.act(lambda world: world.update(world.user, made.id, {"title": "two", "note": "two"}))
    env.act(lambda world: world.update(world.account, made.id, {"note": "three"}))
    restoring.mirror()

    plan = restoring.plan(wanted)
    restoring.apply(plan)

    assert _content(restoring, made.id) == {"title": "one", "note": "three"}
    assert any("Others changed note since" in note for note in plan.notes)


def test_a_record_that_the_editor_made_and_others_edited_is_left_alone(restoring: RestoreEnv, wanted: Wanted) -> None:
    env = restoring.env
    made = env.act(lambda world: world.create(world.user, "post", {"title": "one"}))
    env.act(lambda world: world.update(world.account, made.id, {"note": "theirs"}))
    alone = env.act(lambda world: world.create(world.user, "post", {"title": "two"}))
    restoring.mirror()

    plan = restoring.plan(wanted)

    assert [step.record_ids for step in plan.steps] == [(alone.id,)]
    assert [one.record_id for one in plan.left_alone] == [made.id]


def test_a_record_that_the_editor_deleted_comes_back_as_it_was_last(restoring: RestoreEnv, wanted: Wanted) -> None:
    """An event says who deleted it. Others published it after the editor's work had begun."""
    env = restoring.env
    made = env.act(lambda world: world.create(world.account, "post", {"title": "one"}))
    env.act(lambda world: world.update(world.user, made.id, {"title": "two"}))
    env.act(lambda world: world.update(world.account, made.id, {"note": "theirs"}))
    env.act(lambda world: world.publish(world.account, made.id))
    restoring.mirror()
    env.act(lambda world: world.delete(world.user, made.id))
    restoring.mirror()
    who = {"actor_type": "user", "actor_id": env.simulator.act(lambda world: world.user.id)}
    env.mirror.transact(lambda tx: tx.execute(update(events).where(events.c.type == "record.deleted").values(**who)))

    restoring.apply(restoring.plan(wanted))

    assert _content(restoring, made.id) == {"title": "two", "note": "theirs"}
    assert env.act(lambda world: world.environment().record(made.id).status) == "published"


def test_a_plan_does_not_delete_what_was_edited_since_the_last_sync(restoring: RestoreEnv, wanted: Wanted) -> None:
    env = restoring.env
    made = env.act(lambda world: world.create(world.user, "post", {"title": "one"}))
    restoring.mirror()
    env.act(lambda world: world.update(world.account, made.id, {"note": "theirs"}))

    plan = restoring.plan(wanted)

    assert not plan.steps
    assert "It was edited since the last sync" in plan.left_alone[0].why


def test_undo_deletes_neither_what_others_edited_nor_what_they_made(restoring: RestoreEnv) -> None:
    env = restoring.env
    first, second = (
        env.act(lambda world, title=title: world.create(world.account, "post", {"title": title})) for title in "ab"
    )
    restoring.mirror()
    for one in (first, second):
        env.act(lambda world, one=one: world.delete(world.account, one.id))
    restoring.mirror()
    plan = restoring.plan(Wanted(deleted=True))

    def make_again(world: World) -> None:
        world.create(world.user, "post", {"title": "theirs"}, id=second.id)

    env.act(make_again)
    id, states = restoring.apply(plan)
    assert sorted(ended(states), key=str) == [("done", None), ("failed", "EXISTS_ALREADY")]
    env.act(lambda world: world.update(world.user, first.id, {"title": "theirs"}))
    restoring.mirror()

    undo = restoring.undo(id)

    assert not undo.steps
    assert {one.record_id for one in undo.left_alone} == {first.id, second.id}
