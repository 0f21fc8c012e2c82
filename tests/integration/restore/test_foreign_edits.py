"""Others work in the project while a plan is carried out: nothing of theirs is overwritten, and all of it is reported.

They edit, publish, unpublish, delete and make records right before requests of the plan, at random. Two things cannot
be prevented, since upstream offers no lock for them. What others publish, unpublish or delete between the last read and
a bulk request counts as done before the read. And a deletion takes an edit of that moment with it. In every other round
the plan sends one request at a time, so that it is certain when such a moment is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import msgspec
import pytest

from tests.fixtures.sync_env import MakeSyncEnv, SyncEnv
from tests.integration.restore.conftest import RestoreEnv
from versionsync.restore.kept_plans import keep, kept_plan
from versionsync.restore.model import Plan
from versionsync.restore.proof import aims_of, prove
from versionsync.restore.selection import Wanted
from versionsync.simulator import Faults, World
from versionsync.simulator.errors import ApiError
from versionsync.simulator.world.records import Version

EDITS = int(os.environ.get("VERSIONSYNC_TEST_EDITS", "120"))
EDITS_A_ROUND = 12
FIRST = int(os.environ.get("VERSIONSYNC_TEST_SEED", "0"))


@dataclass
class Foreign:
    """What somebody else did to a record, and the title that was live then."""

    act: str
    record_id: str
    title: str | None
    is_unpreventable: bool


@dataclass
class Others:
    """They do something to each record of the plan at most once."""

    random: Random
    plan: Plan
    is_alone: bool
    done: dict[str, Foreign] = field(default_factory=dict)

    def act(self, *, before_bulk: bool) -> Callable[[World], None]:
        """Return an act for a moment. `before_bulk`: the moment is right before a bulk request."""

        def run(world: World) -> None:
            free = [one.record_id for one in self.plan.records if one.record_id not in self.done]
            if not free:
                return
            id, acts = self.random.choice(free), [self._edit, self._edit, self._publish, self._unpublish, self._delete]
            act = self.random.choice(acts if id in world.environment().records else [self._create])
            try:
                found = act(world, id)
            except ApiError:
                return
            if found:
                is_unpreventable = (before_bulk or not self.is_alone) and act not in (self._edit, self._create)
                record = world.environment().records.get(id)
                live = None if record is None or record.published is None else title_in(record.published)
                self.done[id] = Foreign(act.__name__[1:], id, live, is_unpreventable)

        return run

    def _edit(self, world: World, id: str) -> bool:
        return world.update(world.user, id, {"note": "theirs"}).head.is_current

    def _create(self, world: World, id: str) -> bool:
        return not world.create(world.user, "post", {"title": f"made {id}", "note": "theirs"}, id=id).is_deleted

    def _publish(self, world: World, id: str) -> bool:
        before = world.environment().record(id).published
        return world.publish(world.user, id).published is not before

    def _unpublish(self, world: World, id: str) -> bool:
        was_live = world.environment().record(id).published is not None
        world.unpublish(world.user, id)
        return was_live

    def _delete(self, world: World, id: str) -> bool:
        return world.delete(world.user, id).is_deleted


def title_in(version: Version) -> str:
    found: dict[str, str] = msgspec.json.decode(version.read())
    return found["title"]


@pytest.mark.parametrize("seed", range(FIRST, FIRST + -(-EDITS // EDITS_A_ROUND)))
def test_nothing_of_others_is_overwritten(seed: int, make_sync_env: MakeSyncEnv) -> None:
    random, faults = Random(f"others:{seed}"), Faults()
    env = make_sync_env(faults=faults)
    restoring = RestoreEnv(env)
    at = spoiled_project(env, restoring, random)
    plan = restoring.plan(Wanted(at=at(), publishes=True, deletes=True))
    id, others = keep(env.mirror, 1, plan), Others(random, plan, is_alone=seed % 2 == 0)
    for _ in range(EDITS_A_ROUND - 4):
        faults.run_before(
            others.act(before_bulk=False), path=r"^(?!/items/bulk/)", nth=random.randrange(1, plan.requests)
        )
    for _ in range(4):
        faults.run_before(others.act(before_bulk=True), path="^/items/bulk/", nth=random.randrange(1, 6))
    states = restoring.go_on(id, concurrency=1 if others.is_alone else None)
    faults.clear()
    restoring.mirror()

    kept = kept_plan(env.mirror, 1, id)
    proof = env.mirror.query(lambda connection: prove(connection, 1, aims_of(kept.plan, kept.steps, has_drafts={})))
    reported = {one.record_id for one in proof.findings}
    for step, state in zip(plan.steps, states, strict=True):
        if state.state != "done":
            reported.update(step.record_ids)
    deletes = {one for step in plan.steps if step.act == "delete" for one in step.record_ids}
    for one in others.done.values():
        is_kept = env.simulator.act(lambda world, one=one: stands(world, one))
        assert is_kept or one.is_unpreventable or one.record_id in deletes, one
        if one.record_id not in reported and one.record_id not in deletes:
            assert env.simulator.act(lambda world, one=one: came_too_late(world, plan, one)), one


def spoiled_project(env: SyncEnv, restoring: RestoreEnv, random: Random) -> Callable[[], object]:
    """Make posts in all states, and destroy half of what they are. Return when they were whole."""

    def begin(world: World) -> list[str]:
        model = world.create_model(world.account, "post")
        rule = {"item_item_type": {"item_types": [model.id]}}
        for name in ("title", "note"):
            world.create_field(world.account, model, name)
        world.create_field(world.account, model, "next", "link", validators=rule)
        made = [world.create(world.account, model, {"title": f"post {number}"}).id for number in range(24)]
        live = random.sample(made, 14)
        world.publish_many(world.account, live)
        for one, other in zip(made, [*made[1:], made[0]], strict=True):
            world.update(world.account, one, {"next": other})
        world.publish_many(world.account, live[:9])
        for one in random.sample(made, 6):
            world.update(world.account, one, {"title": f"newer {one}"})
        return made

    ids = env.act(begin)
    restoring.mirror()
    at = restoring.now()

    def spoil(world: World) -> None:
        for one in random.sample(ids, 10):
            world.delete(world.account, one)
        for one in ids:
            if one in world.environment().records and random.random() < 0.8:
                act = random.choice((world.publish, world.unpublish, None))
                if act is None:
                    world.update(world.account, one, {"title": "spoiled"})
                else:
                    with suppress(ApiError):
                        act(world.account, one)
        for number in range(3):
            world.create(world.account, "post", {"title": f"new {number}"})

    env.act(spoil)
    restoring.mirror()
    return lambda: at


def stands(world: World, one: Foreign) -> bool:
    """Return whether what somebody else did is still so."""
    record = world.environment().records.get(one.record_id)
    if one.act == "delete":
        return record is None
    if record is None:
        return False
    if one.act in ("edit", "create"):
        return msgspec.json.decode(record.head.read())["note"] == "theirs"
    live = record.published
    return live is None if one.act == "unpublish" else live is not None and title_in(live) == one.title


def came_too_late(world: World, plan: Plan, one: Foreign) -> bool:
    """Return whether an act that is not reported came after the plan's last step for its record.

    An edit that came before would be live, since each step of the record was done. What someone unpublished right
    before the plan published it is live, as planned: no read can show that.
    """
    record = world.environment().record(one.record_id)
    published = {id for step in plan.steps if step.act == "publish" for id in step.record_ids}
    if one.act == "edit":
        return record.published is not record.head
    is_live_again = one.is_unpreventable and record.published is not None
    return one.act == "publish" or (one.act == "unpublish" and (one.record_id not in published or is_live_again))
