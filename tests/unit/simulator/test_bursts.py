"""Edits of one editor that come within the history's resolution are one version."""

from datetime import timedelta

import pytest

from tests.unit.simulator.conftest import Stage
from versionsync.simulator import Record


@pytest.fixture
def draft(stage: Stage) -> Record:
    """A record whose next edits may be merged."""
    stage.world.options.history_resolution = timedelta(minutes=10)
    return stage.world.create(stage.world.user, stage.post, {"price": 1})


def test_a_burst_rewrites_the_version_in_place(stage: Stage, draft: Record) -> None:
    first = draft.head
    stage.wait(minutes=5)
    stage.world.update(stage.world.user, draft.id, {"price": 2})
    assert draft.versions == [first]
    assert b'"price":2' in first.read()
    assert first.created_at == draft.updated_at > draft.created_at
    seen = stage.history().versions[first.id]
    assert [b'"price":1' in content for content in seen.all_contents] == [True, False]
    assert seen.created_at == first.created_at
    assert stage.events_of(draft.id)[-1] == "version.rewritten"


def test_a_merged_version_may_keep_its_time(stage: Stage, draft: Record) -> None:
    stage.world.options.merged_versions_keep_created_at = True
    stage.wait(minutes=5)
    stage.world.update(stage.world.user, draft.id, {"price": 2})
    assert draft.head.created_at == draft.created_at


def test_a_merge_may_put_another_id_in_the_old_ones_place(stage: Stage, draft: Record) -> None:
    stage.world.options.merged_versions_keep_id = False
    first = draft.head
    stage.wait(minutes=5)
    stage.world.update(stage.world.user, draft.id, {"price": 2})
    assert draft.head is not first
    assert draft.versions == [draft.head]
    assert stage.events_of(draft.id)[3:] == [
        "version.created",
        "version.superseded",
        "version.became_current",
        "version.missing",
    ]
    assert not stage.history().versions[first.id].is_listed


@pytest.mark.parametrize("why", ["another editor", "too late", "it was live", "merging is off"])
def test_no_burst_goes_on(stage: Stage, draft: Record, why: str) -> None:
    world = stage.world
    stage.wait(minutes=11 if why == "too late" else 5)
    if why == "it was live":
        world.publish(world.user, draft.id)
        world.unpublish(world.user, draft.id)
    if why == "merging is off":
        world.options.history_resolution = timedelta(0)
    world.update(world.sso_user if why == "another editor" else world.user, draft.id, {"price": 2})
    assert len(draft.versions) == 2


@pytest.mark.parametrize("keeps_id", [True, False])
def test_without_drafts_a_burst_stays_live(stage: Stage, keeps_id: bool) -> None:
    world = stage.world
    world.options.history_resolution = timedelta(minutes=10)
    world.options.merged_versions_keep_id = keeps_id
    record = world.create(world.user, stage.quote, {"text": "a"})
    stage.wait(minutes=1)
    world.update(world.user, record.id, {"text": "b"})
    assert record.published is record.head
    assert b'"b"' in record.head.read()
    assert len(record.versions) == 1
    assert stage.history().records[record.id].published_id == record.head.id
    events = stage.events_of(record.id)
    assert events.count("version.published") - events.count("version.unpublished") == 1
