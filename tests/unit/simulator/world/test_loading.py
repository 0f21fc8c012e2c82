"""A past that is loaded is a past as if it had been acted."""

from datetime import timedelta

import pytest

from tests.unit.simulator.conftest import Stage
from versionsync.simulator import ApiError, LoadedMeta, LoadedVersion


def test_loading_and_acting_tell_the_same_story(stage: Stage) -> None:
    world = stage.world
    start = world.now()
    minute = timedelta(minutes=1)
    acted = world.create(world.user, stage.post, {"price": 1})
    stage.wait(minutes=1)
    world.publish(world.user, acted.id)
    stage.wait(minutes=1)
    world.update(world.sso_user, acted.id, {"price": 2})
    stage.wait(minutes=1)
    world.publish(world.user, acted.id)
    loaded = world.load(
        stage.post,
        [
            LoadedVersion(acted.versions[0].content, world.user, start, live=((start + minute, start + 3 * minute),)),
            LoadedVersion(acted.head.content, world.sso_user, start + 2 * minute, live=((start + 3 * minute, None),)),
        ],
    )
    transitions = stage.history().transitions
    names = {version.id: number for one in (acted, loaded) for number, version in enumerate(one.versions)}

    def story(record_id: str) -> list[tuple[object, ...]]:
        return [
            (one.type, names.get(one.version_id or ""), one.at) for one in transitions if one.record_id == record_id
        ]

    assert story(loaded.id) == story(acted.id)
    for name in ("created_at", "updated_at", "published_at", "first_published_at", "status"):
        assert getattr(loaded, name) == getattr(acted, name)


def test_content_can_be_made_when_it_is_read(stage: Stage) -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return b'{"price":1}'

    record = stage.world.load(stage.post, [LoadedVersion(make, stage.world.user, stage.world.now())])
    assert made == []
    assert record.head.read() == stage.history().versions[record.head.id].content == b'{"price":1}'


def test_two_versions_cannot_be_live_at_once(stage: Stage) -> None:
    now = stage.world.now()
    live = ((now, None),)
    versions = [LoadedVersion(b"{}", stage.world.user, now, live=live) for _ in range(2)]
    with pytest.raises(ApiError, match="live at once"):
        stage.world.load(stage.post, versions)


def test_a_record_without_versions_is_refused(stage: Stage) -> None:
    with pytest.raises(ApiError, match="at least one"):
        stage.world.load(stage.post, [])


def test_the_past_is_told_in_the_order_of_time_whatever_was_loaded_first(stage: Stage) -> None:
    world = stage.world
    for days in (1, 3, 2):
        world.load(stage.post, [LoadedVersion(b"{}", world.user, world.now() - timedelta(days=days))])
    times = [one.at for one in stage.history().transitions]
    assert times == sorted(times)


def test_a_version_after_the_current_one_was_only_published(stage: Stage) -> None:
    world, start = stage.world, stage.world.now() - timedelta(hours=1)
    versions = [
        LoadedVersion(b'{"price":1}', world.user, start, id="first"),
        LoadedVersion(b'{"price":2}', world.user, start + timedelta(minutes=1), id="second"),
        LoadedVersion(b'{"price":3}', world.user, world.now(), ((world.now(), None),), "selected"),
    ]
    record = world.load(stage.post, versions, meta=LoadedMeta(current="second"))
    assert (record.head.id, record.published and record.published.id) == ("second", "selected")
    assert stage.history().records[record.id].current_id == "second"


def test_a_publication_of_the_same_time_ends_before_the_one_that_lasts(stage: Stage) -> None:
    now = stage.world.now()
    versions = [
        LoadedVersion(b"{}", stage.world.user, now, ((now, None),)),
        LoadedVersion(b"{}", stage.world.user, now, ((now, now),)),
    ]
    record = stage.world.load(stage.post, versions)
    assert record.published is record.versions[0]


def test_a_loaded_record_keeps_its_schedule_if_that_is_still_to_come(stage: Stage) -> None:
    world, now = stage.world, stage.world.now()
    past = [LoadedVersion(b'{"price":1}', world.user, now)]
    coming = LoadedMeta(publication_scheduled_at=now + timedelta(hours=1), stage="reviewing")
    overdue = LoadedMeta(publication_scheduled_at=now - timedelta(hours=1))
    waiting, left = (world.load(stage.post, past, meta=meta) for meta in (coming, overdue))
    assert (waiting.stage, left.publication_scheduled_at) == ("reviewing", None)
    stage.wait(hours=2)
    assert world.tick() == 1
    assert (waiting.status, left.status) == ("published", "draft")
