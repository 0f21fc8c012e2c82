"""How DatoCMS behaves is partly unknown. Either way content comes back, and losses are reported."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.fixtures.sync_env import MakeSyncEnv
from tests.integration.restore.conftest import RestoreEnv
from tests.integration.restore.random_project import Picture, State, picture
from tests.integration.restore.spoiled import back, spoil
from versionsync.restore.kept_plans import kept_plan
from versionsync.restore.proof import FindingKind, Proof, aims_of, prove
from versionsync.restore.selection import Wanted
from versionsync.simulator import SimulatorOptions, World

HARMLESS: list[dict[str, Any]] = [
    {"create_accepts_stage": "refused"},
    {"create_accepts_stage": "ignored"},
    {"links_must_exist": False},
    {"missing_link_code": "INVALID_ITEM"},
    {"uploads_must_exist": False},
    {"deleted_links": "kept"},
    {"validate_answers": "404"},
    {"validate_answers": "401"},
    {"bulk_publishes_together": False},
    {"improved_validation_at_publishing": False},
    {"locks_forbid": "everything"},
    {"read_only_meta": "refused"},
    {"block_problems_name": "field"},
    {"history_resolution": timedelta(minutes=15)},
    {"history_resolution": timedelta(minutes=15), "merged_versions_keep_id": False},
    {"versions_order": "oldest_first"},
    {"publishing_moves_updated_at": True},
    {"republishing_moves_published_at": False},
    {"milliseconds": True},
    {"times_with_offset": True},
    {"lists_blocks": False},
    {"status_without_drafts": "null"},
]
LOSSY: list[tuple[dict[str, Any], FindingKind]] = [
    ({"new_block_ids": "replaced"}, FindingKind.BLOCK_IDS),
    ({"new_block_ids": "refused"}, FindingKind.BLOCK_IDS),
    ({"create_accepts_meta": "ignored"}, FindingKind.CREATION),
    ({"create_accepts_meta": "refused"}, FindingKind.CREATION),
    ({"create_accepts_meta": "refused", "create_accepts_stage": "refused"}, FindingKind.CREATION),
    ({"create_accepts_meta": "refused", "new_block_ids": "refused"}, FindingKind.CREATION),
]


def named(value: object) -> str:
    return " ".join(f"{key}={one}" for key, one in value.items()) if isinstance(value, dict) else ""


@pytest.mark.parametrize("switches", HARMLESS, ids=named)
def test_all_comes_back_and_is_proven(switches: dict[str, Any], make_sync_env: MakeSyncEnv) -> None:
    restoring = RestoreEnv(make_sync_env(switches=SimulatorOptions(**switches)))
    spoiled = spoil(restoring)
    id, states = restoring.apply(restoring.plan(spoiled.wanted))
    assert {(state.state, state.error) for state in states} == {("done", None)}
    assert back(restoring.env, spoiled.whole) == []
    assert proof_of(restoring, id).findings == ()
    states = restoring.apply(restoring.undo(id))[1]
    assert {state.state for state in states} == {"done"}
    if switches.get("deleted_links") != "kept":  # links to what does not exist cannot be written again
        assert back(restoring.env, spoiled.now) == []


@pytest.mark.parametrize(("switches", "loss"), LOSSY, ids=named)
@pytest.mark.parametrize("checks", [True, False])
def test_the_content_comes_back_and_the_loss_is_reported(
    *, switches: dict[str, Any], loss: FindingKind, checks: bool, make_sync_env: MakeSyncEnv
) -> None:
    """Also if it was not checked before whether DatoCMS would take it."""
    restoring = RestoreEnv(make_sync_env(switches=SimulatorOptions(**switches)))
    spoiled = spoil(restoring)
    plan = restoring.plan(spoiled.wanted, checks=checks)
    assert not [one for one in plan.left_alone if "should be" not in one.why]
    id, states = restoring.apply(plan)
    assert {state.state for state in states} == {"done"}
    assert anonymous(restoring.env.simulator.act(picture)) == anonymous(spoiled.whole)
    assert loss in {one.kind for one in proof_of(restoring, id).findings}
    if "refused" in switches.values():
        assert any("did not take" in (state.error or "") for state in states)


def proof_of(restoring: RestoreEnv, id: str) -> Proof:
    """Sync, and compare the mirror with the plan."""
    restoring.mirror()
    kept = kept_plan(restoring.env.mirror, 1, id)
    aims = aims_of(kept.plan, kept.steps, has_drafts={})
    return restoring.env.mirror.query(lambda connection: prove(connection, 1, aims))


def anonymous(one: Picture) -> Picture:
    """Return a picture in which blocks have no ids."""

    def without(value: Any) -> Any:
        if isinstance(value, list):
            return [without(inner) for inner in value]
        if isinstance(value, dict):
            kept = {key: without(inner) for key, inner in value.items()}
            return {**kept, "id": None} if value.get("type") == "item" else kept
        return value

    records = {
        id: State(without(state.draft), None if state.live is None else without(state.live))
        for id, state in one.records.items()
    }
    return replace(one, records=records)


@pytest.mark.parametrize("stage", ["ready", None])
def test_a_record_comes_back_in_its_stage(stage: str | None, restoring: RestoreEnv) -> None:
    """If its model has no workflow any more, that is a loss."""
    env = restoring.env

    def begin(world: World) -> str:
        flow = world.create_workflow(world.account, "flow", ("writing", "ready"))
        world.create_model(world.account, "story", workflow_id=flow.id)
        made = world.create(world.user, "story", {})
        world.move_to_stage(world.account, made.id, "ready")
        return made.id

    id = env.act(begin)
    restoring.mirror()
    env.act(lambda world: world.delete(world.account, id))
    if stage is None:
        env.act(lambda world: world.update_model(world.account, "story", workflow_id=None))
    restoring.mirror()
    plan = restoring.plan(Wanted(deleted=True))
    assert bool(plan.losses) is (stage is None)
    assert {state.state for state in restoring.apply(plan)[1]} == {"done"}
    assert env.act(lambda world: world.environment().record(id).stage) == stage


def test_a_creator_who_is_gone_is_left_out_and_others_are_kept(restoring: RestoreEnv) -> None:
    env = restoring.env
    made = [
        env.act(lambda world, who=who: world.create(getattr(world, who), "post", {})).id
        for who in ("sso_user", "user", "sso_user", "user")
    ]
    restoring.mirror()
    for one in made:
        env.act(lambda world, one=one: world.delete(world.account, one))
    restoring.mirror()
    plan = restoring.plan(Wanted(deleted=True))
    env.act(lambda world: world.people.editors.pop(("user", world.user.id)))
    states = restoring.apply(plan)[1]
    assert {state.state for state in states} == {"done"}
    assert sum("did not take its creator" in (state.error or "") for state in states) == 2
    creators = env.act(lambda world: [world.environment().record(one).creator is world.sso_user for one in made])
    assert creators == [True, False, True, False]


def test_a_record_that_an_editor_has_open_is_reported(restoring: RestoreEnv) -> None:
    env = restoring.env
    made = env.act(lambda world: world.create(world.account, "post", {"title": "one"}))
    first = made.head.id
    env.act(lambda world: world.update(world.account, made.id, {"title": "two"}))
    restoring.mirror()
    env.act(lambda world: world.lock(world.user, made.id))
    states = restoring.apply(restoring.plan(Wanted(version=first), checks=False))[1]
    assert [(state.state, state.error_code) for state in states] == [("failed", "ITEM_LOCKED")]
    assert env.act(lambda world: world.environment().record(made.id).head.read()) == b'{"title":"two"}'


def test_a_singleton_that_exists_under_another_id_is_known_before(restoring: RestoreEnv) -> None:
    """Also without asking DatoCMS."""
    env = restoring.env
    env.act(lambda world: world.create_model(world.account, "home", is_singleton=True))
    old = env.act(lambda world: world.create(world.account, "home", {}))
    restoring.mirror()
    env.act(lambda world: world.delete(world.account, old.id))
    env.act(lambda world: world.create(world.account, "home", {}))
    restoring.mirror()
    plan = restoring.plan(Wanted(record=old.id), checks=False)
    assert not plan.steps
    assert "allows one record" in plan.left_alone[0].why


def test_a_draft_is_live_if_its_model_has_no_drafts_now_and_the_plan_says_so(restoring: RestoreEnv) -> None:
    env = restoring.env
    made = env.act(lambda world: world.create(world.account, "post", {"title": "one"}))
    restoring.mirror()
    env.act(lambda world: world.delete(world.account, made.id))
    env.act(lambda world: world.update_model(world.account, "post", draft_mode=False))
    restoring.mirror()
    plan = restoring.plan(Wanted(record=made.id, publishes=True))
    assert ["no drafts now" in loss.what for loss in plan.losses] == [True]
    assert {state.state for state in restoring.apply(plan)[1]} == {"done"}


def test_a_value_that_another_record_has_is_known_before(restoring: RestoreEnv) -> None:
    env = restoring.env
    env.act(lambda world: world.create_field(world.account, "post", "code", validators={"unique": {}}))
    made = env.act(lambda world: world.create(world.account, "post", {"code": "a"}))
    restoring.mirror()
    env.act(lambda world: world.delete(world.account, made.id))
    env.act(lambda world: world.create(world.account, "post", {"code": "a"}))
    restoring.mirror()
    plan = restoring.plan(Wanted(record=made.id))
    assert not plan.steps
    assert [one.code for one in plan.left_alone[0].problems] == ["VALIDATION_UNIQUE"]


def test_a_schedule_of_the_future_comes_back(restoring: RestoreEnv) -> None:
    env = restoring.env
    made = env.act(lambda world: world.create(world.account, "post", {"title": "one"}))
    when = restoring.now() + timedelta(days=1)
    env.act(lambda world: world.schedule_publication(world.account, made.id, when))
    restoring.mirror()
    env.act(lambda world: world.delete(world.account, made.id))
    restoring.mirror()
    plan = restoring.plan(Wanted(record=made.id, publishes=True))
    assert [step.act.value for step in plan.steps] == ["create", "schedule"]
    assert {state.state for state in restoring.apply(plan)[1]} == {"done"}
    assert env.act(lambda world: world.environment().record(made.id).publication_scheduled_at) == when
