"""Forking, promoting, renaming and destroying environments."""

from datetime import timedelta

import pytest

from tests.unit.simulator.conftest import Stage
from versionsync.simulator import ApiError


@pytest.mark.parametrize("keeps_ids", [True, False])
def test_a_fork_goes_its_own_way_from_a_common_past(stage: Stage, keeps_ids: bool) -> None:
    world = stage.world
    world.options.forks_keep_version_ids = keeps_ids
    record = world.create(world.user, stage.post, {"price": 1})
    world.publish(world.user, record.id)
    world.update(world.user, record.id, {"price": 2})
    before = stage.history()
    world.fork(world.account, "main", "next")
    copy = world.environment("next").record(record.id)
    assert copy is not record
    assert ([one.id for one in copy.versions] == [one.id for one in record.versions]) == keeps_ids
    assert copy.published is copy.versions[0]
    assert copy.head is copy.versions[1]
    world.update(world.user, record.id, {"price": 3}, environment="next")
    world.destroy_field(world.account, next(iter(copy.model.fields)), environment="next")
    assert len(record.versions) == 2
    assert len(copy.versions) == 3
    assert stage.history() == before
    forked = stage.history("next")
    assert [version.id for version in forked.listed_versions(record.id)] == [one.id for one in copy.versions]
    assert [one.at for one in forked.transitions[: len(before.transitions)]] == [one.at for one in before.transitions]


def test_what_was_deleted_before_a_fork_is_no_part_of_it(stage: Stage) -> None:
    world = stage.world
    record = world.create(world.user, stage.post, {})
    world.delete(world.user, record.id)
    world.fork(world.account, "main", "next")
    assert record.id not in stage.history("next").records
    assert stage.history("next").transitions == []


def test_promoting_changes_which_environment_answers_by_default(stage: Stage) -> None:
    world = stage.world
    world.fork(world.account, "main", "next")
    world.promote(world.account, "next")
    assert world.environment().id == "next"
    assert [one.is_primary for one in world.environments.values()] == [False, True]
    world.destroy_environment(world.account, "main")
    with pytest.raises(ApiError, match="INVALID_ENVIRONMENT"):
        world.environment("main")
    with pytest.raises(KeyError):
        stage.history("main")


def test_the_primary_environment_cannot_be_destroyed(stage: Stage) -> None:
    with pytest.raises(ApiError, match="primary"):
        stage.world.destroy_environment(stage.world.account, "main")


def test_renaming_keeps_everything(stage: Stage) -> None:
    record = stage.world.create(stage.world.user, stage.post, {})
    stage.world.rename(stage.world.account, "main", "live")
    stage.world.update(stage.world.user, record.id, {"price": 1}, environment="live")
    assert len(stage.history("live").records[record.id].version_ids) == 2


def test_a_fork_takes_its_time(stage: Stage) -> None:
    world = stage.world
    world.options.fork_duration = timedelta(minutes=2)
    forked = world.fork(world.account, "main", "next")
    assert forked.status(world.now()) == "creating"
    with pytest.raises(ApiError, match="ENVIRONMENT_NOT_READY"):
        world.promote(world.account, "next")
    stage.wait(minutes=2)
    assert forked.status(world.now()) == "ready"


def test_the_beacon_may_notice_late(stage: Stage) -> None:
    world, delay = stage.world, timedelta(seconds=3)
    made_at = world.now()
    stage.wait(minutes=1)
    changed_at = world.now()
    world.create(world.user, stage.post, {})
    beacon = world.primary.last_data_change_at
    assert beacon(world.now(), timedelta(0)) == changed_at
    stage.wait(minutes=1)
    world.create(world.user, stage.post, {})
    assert beacon(world.now(), delay) == changed_at + delay
    stage.wait(seconds=3)
    assert beacon(world.now(), delay) == world.now()
    assert made_at < changed_at
