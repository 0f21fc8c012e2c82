"""Publishing by hand, in part, in trees and by the clock."""

from datetime import timedelta

import pytest

from tests.unit.simulator.conftest import Stage
from versionsync.simulator import ApiError, Record, Selection
from versionsync.simulator.world import content as contents


def title(record: Record) -> object:
    """What is live of the title."""
    return contents.load(record.published.read())["title"] if record.published else None


def test_publishing_again_ends_the_old_interval_where_the_new_one_begins(stage: Stage) -> None:
    world = stage.world
    record = world.create(world.user, stage.post, {"price": 1})
    first = record.head
    stage.wait(minutes=1)
    began = world.publish(world.user, record.id).published_at
    world.update(world.user, record.id, {"price": 2})
    stage.wait(minutes=1)
    ended = world.publish(world.user, record.id).published_at
    assert first.live == ((began, ended),)
    assert record.head.live == ((ended, None),)
    assert record.first_published_at == began


def test_a_version_that_is_published_twice_has_two_intervals_in_truth(stage: Stage) -> None:
    world = stage.world
    record = world.create(world.user, stage.post, {})
    for _ in range(2):
        world.publish(world.user, record.id)
        stage.wait(minutes=1)
        world.unpublish(world.user, record.id)
        stage.wait(minutes=1)
    start = record.created_at
    assert stage.history().versions[record.head.id].live == [
        (start, start + timedelta(minutes=1)),
        (start + timedelta(minutes=2), start + timedelta(minutes=3)),
    ]
    assert record.published_at is None
    assert record.status == "draft"


def test_publishing_what_is_live_changes_nothing(stage: Stage) -> None:
    world = stage.world
    record = world.create(world.user, stage.post, {})
    world.publish(world.user, record.id)
    events = stage.events_of(record.id)
    stage.wait(minutes=1)
    world.publish(world.user, record.id)
    assert stage.events_of(record.id) == events


@pytest.mark.parametrize("moves", [True, False])
def test_whether_publishing_moves_updated_at_is_a_switch(stage: Stage, moves: bool) -> None:
    world = stage.world
    world.options.publishing_moves_updated_at = moves
    record = world.create(world.user, stage.post, {})
    stage.wait(minutes=1)
    world.publish(world.user, record.id)
    assert (record.updated_at > record.created_at) == moves


@pytest.mark.parametrize("makes_version", [True, False])
def test_a_selection_is_published_over_what_is_live(stage: Stage, makes_version: bool) -> None:
    world = stage.world
    world.options.selective_publish_makes_version = makes_version
    record = world.create(world.user, stage.post, {"title": {"en": "a", "it": "a"}, "price": 1})
    world.publish(world.user, record.id)
    live = record.published
    world.update(world.user, record.id, {"title": {"en": "b", "it": "b"}, "price": 2})
    current = record.head
    world.publish(world.user, record.id, Selection.of(["it"]))
    assert title(record) == {"en": "a", "it": "b"}
    assert record.head is current
    assert record.status == "updated"
    assert (record.published is live) == (not makes_version)
    assert stage.history().versions[record.published.id].content == record.published.read()  # type: ignore[union-attr]


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("selection", [None, Selection.of(["it"])])
def test_publishing_what_is_live_may_leave_published_at_where_it_was(
    stage: Stage, selection: Selection | None, moves: bool
) -> None:
    world = stage.world
    world.options.republishing_moves_published_at = moves
    record = world.create(world.user, stage.post, {"title": {"en": "a", "it": "a"}})
    world.publish(world.user, record.id)
    first = record.published_at
    stage.wait(hours=1)
    world.update(world.user, record.id, {"title": {"en": "b", "it": "b"}})
    world.publish(world.user, record.id, selection)
    assert record.published_at == (world.now() if moves else first)
    assert record.published is not None
    assert record.published.live == ((world.now(), None),)
    world.unpublish(world.user, record.id)
    stage.wait(hours=1)
    world.publish(world.user, record.id)
    assert record.published_at == world.now()
    assert record.first_published_at == first


@pytest.mark.parametrize("selection", [None, Selection.of(["en"])])
def test_publishing_what_is_published_already_changes_nothing(stage: Stage, selection: Selection | None) -> None:
    world = stage.world
    record = world.create(world.user, stage.post, {"title": {"en": "a", "it": "a"}})
    world.publish(world.user, record.id)
    if selection is not None:
        world.update(world.user, record.id, {"title": {"en": "a", "it": "b"}})
    before, sequence, facts = stage.history(), record.sequence, len(world.event_log)
    stage.wait(hours=1)
    world.publish(world.user, record.id, selection)
    assert (stage.history(), record.sequence, len(world.event_log)) == (before, sequence, facts)
    assert world.primary.last_data_change_at(world.now(), timedelta(0)) < world.now()


def test_a_selection_of_everything_publishes_the_current_version(stage: Stage) -> None:
    world = stage.world
    record = world.create(world.user, stage.post, {"title": {"en": "a"}, "price": 1})
    world.publish(world.user, record.id, Selection.of(["en"], non_localized=True))
    assert record.status == "published"
    assert len(record.versions) == 1


def test_unpublishing_locales_leaves_the_rest_live(stage: Stage) -> None:
    world = stage.world
    record = world.create(world.user, stage.post, {"title": {"en": "a", "it": "b"}})
    world.publish(world.user, record.id)
    world.unpublish(world.user, record.id, frozenset({"en"}))
    assert title(record) == {"it": "b"}
    world.unpublish(world.user, record.id, frozenset({"it"}))
    assert record.published is None


def test_the_clock_publishes_and_unpublishes_when_it_is_due(stage: Stage) -> None:
    world = stage.world
    record = world.create(world.user, stage.post, {})
    start = world.now()
    world.schedule_unpublishing(world.user, record.id, start + timedelta(hours=2))
    world.schedule_publication(world.user, record.id, start + timedelta(hours=1))
    stage.wait(minutes=59)
    assert world.tick() == 0
    assert record.publication_scheduled_at == start + timedelta(hours=1)
    stage.wait(days=3)
    assert world.tick() == 2
    assert record.head.live == ((start + timedelta(hours=1), start + timedelta(hours=2)),)
    assert (record.publication_scheduled_at, record.unpublishing_scheduled_at) == (None, None)
    assert world.primary.last_data_change_at(world.now(), timedelta(0)) == start + timedelta(hours=2)


def test_a_plan_can_be_cancelled_once(stage: Stage) -> None:
    world = stage.world
    record = world.create(world.user, stage.post, {})
    world.schedule_publication(world.user, record.id, world.now() + timedelta(hours=1))
    world.cancel_publication(world.user, record.id)
    with pytest.raises(ApiError, match="NOT_FOUND"):
        world.cancel_publication(world.user, record.id)
    stage.wait(hours=2)
    assert world.tick() == 0
    assert record.published is None


def test_a_plan_for_the_past_is_refused(stage: Stage) -> None:
    record = stage.world.create(stage.world.user, stage.post, {})
    with pytest.raises(ApiError, match="INVALID_DATE"):
        stage.world.schedule_publication(stage.world.user, record.id, stage.world.now())


def test_plans_of_a_deleted_record_are_forgotten(stage: Stage) -> None:
    world = stage.world
    record = world.create(world.user, stage.post, {})
    world.schedule_publication(world.user, record.id, world.now() + timedelta(hours=1))
    world.delete(world.user, record.id)
    stage.wait(hours=2)
    assert world.tick() == 0


def test_a_schedule_may_leave_the_beacon_where_it_was(stage: Stage) -> None:
    world = stage.world
    world.options.schedules_move_beacon = False
    record = world.create(world.user, stage.post, {})
    world.schedule_publication(world.user, record.id, world.now() + timedelta(hours=1))
    before = world.primary.last_data_change_at(world.now(), timedelta(0))
    stage.wait(hours=2)
    world.tick()
    assert record.published is not None
    assert world.primary.last_data_change_at(world.now(), timedelta(0)) == before


def test_trees_are_published_from_the_root_and_unpublished_from_the_leaves(stage: Stage) -> None:
    world = stage.world
    page = world.create_model(world.account, "page", tree=True)
    parent = world.create(world.user, page, {})
    child = world.create(world.user, page, {"parent_id": parent.id})
    with pytest.raises(ApiError, match="UNPUBLISHED_PARENT"):
        world.publish(world.user, child.id)
    world.publish(world.user, child.id, recursive=True)
    assert parent.published
    assert child.published
    with pytest.raises(ApiError, match="PUBLISHED_CHILDREN"):
        world.unpublish(world.user, parent.id)
    world.unpublish(world.user, parent.id, recursive=True)
    assert child.published is None


def test_bulk_acts_reach_what_they_can(stage: Stage) -> None:
    world = stage.world
    records = [world.create(world.user, stage.post, {}) for _ in range(3)]
    ids = [record.id for record in records]
    assert world.publish_many(world.user, [*ids, world.ids.new()]) == (3, 1)
    assert world.unpublish_many(world.user, ids[:1]) == (1, 0)
    assert world.delete_many(world.user, ids) == (3, 0)
    with pytest.raises(ApiError, match="200"):
        world.publish_many(world.user, ids * 67)
