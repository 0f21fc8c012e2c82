"""What editors do to records, and what becomes of versions."""

from datetime import timedelta

import msgspec
import pytest

from tests.unit.simulator.conftest import Stage
from versionsync.simulator import ApiError, World
from versionsync.simulator.world import content as contents


def test_creating_makes_a_current_version_that_is_a_draft(stage: Stage) -> None:
    record = stage.world.create(stage.world.user, stage.post, {"title": {"en": "a"}})
    assert record.status == "draft"
    assert [version.is_current for version in record.versions] == [True]
    assert stage.events_of(record.id) == ["record.created", "version.created", "version.became_current"]


def test_without_draft_mode_every_save_is_live_at_once(stage: Stage) -> None:
    record = stage.world.create(stage.world.user, stage.quote, {"text": "a"})
    first = record.head
    stage.wait(minutes=1)
    stage.world.update(stage.world.user, record.id, {"text": "b"})
    assert record.status == "published"
    assert record.published is record.head is not first
    assert first.live == ((first.created_at, record.head.created_at),)
    assert stage.events_of(record.id)[-5:] == [
        "version.created",
        "version.superseded",
        "version.became_current",
        "version.unpublished",
        "version.published",
    ]


def test_an_update_changes_only_what_is_sent(stage: Stage) -> None:
    record = stage.world.create(stage.world.user, stage.post, {"title": {"en": "a"}, "price": 1})
    stage.world.update(stage.world.user, record.id, {"price": 2})
    assert [contents.load(version.read()) for version in record.versions] == [
        {"title": {"en": "a"}, "price": 1},
        {"title": {"en": "a"}, "price": 2},
    ]


def test_an_old_version_keeps_its_flag_of_being_live(stage: Stage) -> None:
    world = stage.world
    record = world.create(world.user, stage.post, {"title": {"en": "a"}})
    first = record.head
    world.publish(world.user, record.id)
    world.update(world.user, record.id, {"title": {"en": "b"}})
    assert record.status == "updated"
    assert (first.is_published, first.is_current) == (True, False)
    assert (record.head.is_published, record.head.is_current) == (False, True)


def test_the_optimistic_lock_refuses_a_save_over_another(stage: Stage) -> None:
    record = stage.world.create(stage.world.user, stage.post, {})
    seen = record.head.id
    stage.world.update(stage.world.sso_user, record.id, {"price": 1}, if_current=seen)
    with pytest.raises(ApiError, match="STALE_ITEM_VERSION"):
        stage.world.update(stage.world.user, record.id, {"price": 2}, if_current=seen)
    assert len(record.versions) == 2


def test_deleted_records_are_gone_and_keep_their_flags_in_truth(stage: Stage) -> None:
    record = stage.world.create(stage.world.user, stage.quote, {"text": "a"})
    stage.wait(minutes=1)
    stage.world.delete(stage.world.user, record.id)
    with pytest.raises(ApiError, match="NOT_FOUND"):
        stage.world.environment().record(record.id)
    seen = stage.history()
    assert not seen.records[record.id].alive
    assert seen.versions[record.head.id].is_published
    assert stage.events_of(record.id)[-1] == "record.deleted"


def test_a_record_returns_under_its_old_id_without_its_old_versions(stage: Stage) -> None:
    first = stage.world.create(stage.world.user, stage.quote, {"text": "a"})
    stage.world.delete(stage.world.user, first.id)
    stage.wait(minutes=1)
    again = stage.world.create(stage.world.user, stage.quote, {"text": "b"}, id=first.id)
    seen = stage.history()
    assert again.id == first.id
    assert seen.records[again.id].alive
    assert [version.id for version in seen.listed_versions(again.id)] == [again.head.id]
    assert stage.events_of(again.id)[5:] == [
        "record.returned",
        "version.unpublished",
        "version.superseded",
        "version.missing",
        "version.created",
        "version.became_current",
        "version.published",
    ]


@pytest.mark.parametrize("id", ["not-an-id", "123"])
def test_a_new_record_takes_only_ids_that_upstream_would(stage: Stage, id: str) -> None:
    with pytest.raises(ApiError, match="INVALID_ENTITY_ID"):
        stage.world.create(stage.world.user, stage.post, {}, id=id)


def test_an_id_in_use_is_refused(stage: Stage) -> None:
    record = stage.world.create(stage.world.user, stage.post, {})
    with pytest.raises(ApiError, match="INVALID_ENTITY_ID"):
        stage.world.create(stage.world.user, stage.post, {}, id=record.id)


def test_restoring_writes_a_new_version_with_the_old_content(stage: Stage) -> None:
    world = stage.world
    world.options.history_resolution = timedelta(hours=1)
    record = world.create(world.user, stage.post, {"price": 1})
    first = record.head
    stage.wait(hours=2)
    world.update(world.user, record.id, {"price": 2})
    restored, version = world.restore(world.user, first.id)
    assert restored is record
    assert version is record.head
    assert version.read() == first.read()
    assert len(record.versions) == 3, "a restoring is no part of a burst"


def test_duplicating_gives_blocks_ids_of_their_own(stage: Stage) -> None:
    world = stage.world
    block = world.create_model(world.account, "paragraph", is_block=True)
    world.create_field(world.account, block, "text", "text")
    world.create_field(world.account, stage.post, "body", "rich_text")
    sent = {"type": "item", "attributes": {"text": "a"}, "relationships": {"item_type": {"data": {"id": block.id}}}}
    record = world.create(world.user, stage.post, {"body": [sent, sent]})
    copy = world.duplicate(world.user, record.id)
    ids = [inner["id"] for one in (record, copy) for inner in contents.load(one.head.read())["body"]]
    assert len(set(ids)) == 4
    assert [inner["attributes"] for inner in contents.load(copy.head.read())["body"]] == [{"text": "a"}] * 2


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ({"en": "a", "it": "b"}, {"en": "a (duplicate)", "it": "b (duplicate)"}),
        ({"en": ""}, {"en": ""}),
        ({"en": None}, {"en": None}),
    ],
)
def test_the_title_of_a_duplicate_says_so(
    stage: Stage, title: dict[str, str | None], expected: dict[str, str | None]
) -> None:
    """In each locale that has a title; nothing else of the content changes."""
    record = stage.world.create(stage.world.user, stage.post, {"title": title, "price": 3})
    copy = stage.world.duplicate(stage.world.user, record.id)
    assert contents.load(copy.head.read()) == contents.load(record.head.read()) | {"title": expected}


def test_a_model_without_a_line_of_text_has_duplicates_without_a_mark(stage: Stage) -> None:
    """There is no title to put it in."""
    record = stage.world.create(stage.world.user, stage.quote, {"text": "a"})
    copy = stage.world.duplicate(stage.world.user, record.id)
    assert copy.head.read() == record.head.read()


def test_blocks_may_be_sent_by_id_and_changed_in_part(stage: Stage) -> None:
    world = stage.world
    block = world.create_model(world.account, "paragraph", is_block=True)
    world.create_field(world.account, block, "text", "text")
    world.create_field(world.account, block, "note", "text")
    world.create_field(world.account, stage.post, "body", "rich_text")
    sent = {
        "type": "item",
        "attributes": {"text": "a", "note": "n"},
        "relationships": {"item_type": {"data": {"id": block.id}}},
    }
    record = world.create(world.user, stage.post, {"body": [sent, sent]})
    first, second = contents.load(record.head.read())["body"]
    changed = {"id": second["id"], "type": "item", "attributes": {"text": "b"}}
    world.update(world.user, record.id, {"body": [changed, first["id"]]})
    assert contents.load(record.head.read())["body"] == [
        second | {"attributes": {"text": "b", "note": "n"}},
        first,
    ]
    with pytest.raises(ApiError, match="INVALID_BLOCK"):
        world.update(world.user, record.id, {"body": [world.ids.new()]})


def test_content_is_kept_to_the_last_digit(stage: Stage) -> None:
    record = stage.world.create(stage.world.user, stage.post, {"price": msgspec.Raw(b"1.000000000000000000001")})
    assert b'"price":1.000000000000000000001' in record.head.read()


def test_fields_that_are_not_sent_get_their_defaults_in_the_records_locales(stage: Stage) -> None:
    stage.world.create_field(stage.world.account, stage.post, "kicker", localized=True, default_value="new")
    record = stage.world.create(stage.world.user, stage.post, {"title": {"it": "a"}})
    assert contents.load(record.head.read()) == {"title": {"it": "a"}, "price": None, "kicker": {"it": "new"}}


def test_required_and_unique_values_are_demanded(stage: Stage) -> None:
    world = stage.world
    world.create_field(world.account, stage.post, "code", validators={"required": {}, "unique": {}})
    with pytest.raises(ApiError, match="VALIDATION_REQUIRED"):
        world.create(world.user, stage.post, {})
    world.create(world.user, stage.post, {"code": "a"})
    with pytest.raises(ApiError, match="VALIDATION_UNIQUE"):
        world.create(world.user, stage.post, {"code": "a"})
    world.update_model(world.account, "post", draft_saving=True)
    assert not world.create(world.user, stage.post, {}).head.is_valid


def test_unknown_attributes_are_refused(stage: Stage) -> None:
    with pytest.raises(ApiError, match="extraneous"):
        stage.world.create(stage.world.user, stage.post, {"titel": "a"})


def test_a_singleton_has_one_record(stage: Stage) -> None:
    home = stage.world.create_model(stage.world.account, "home", is_singleton=True)
    record = stage.world.create(stage.world.user, home, {})
    with pytest.raises(ApiError, match="DUPLICATE_SINGLETON"):
        stage.world.create(stage.world.user, home, {})
    with pytest.raises(ApiError, match="ITEM_TYPE_IS_SINGLETON"):
        stage.world.duplicate(stage.world.user, record.id)


def test_a_link_can_forbid_deletion(stage: Stage) -> None:
    world = stage.world
    rule = {"item_item_type": {"on_reference_delete_strategy": "fail"}}
    world.create_field(world.account, stage.post, "next", "link", validators=rule)
    target = world.create(world.user, stage.post, {})
    source = world.create(world.user, stage.post, {"next": target.id})
    assert world.references(target.id) == [source]
    with pytest.raises(ApiError, match="DELETE_RESTRICTION"):
        world.delete(world.user, target.id)
    world.delete(world.user, source.id)
    world.delete(world.user, target.id)


def test_moving_through_a_workflow_makes_no_version_and_leaves_updated_at(stage: Stage) -> None:
    world = stage.world
    workflow = world.create_workflow(world.account, "review", ["draft", "done"])
    world.update_model(world.account, "post", workflow_id=workflow.id)
    record = world.create(world.user, stage.post, {})
    saved_at = record.updated_at
    stage.wait(minutes=1)
    revision = world.primary.revision
    world.move_to_stage(world.user, record.id, "done")
    assert (record.stage, record.updated_at, len(record.versions)) == ("done", saved_at, 1)
    assert world.primary.revision > revision
    with pytest.raises(ApiError, match="stage"):
        world.move_to_stage(world.user, record.id, "elsewhere")


def test_only_so_many_versions_are_kept(stage: Stage) -> None:
    world = stage.world
    record = world.create(world.user, stage.post, {"price": 0})
    world.publish(world.user, record.id)
    live = record.head
    for price in range(1, 6):
        world.update(world.user, record.id, {"price": price})
    world.options.versions_kept = 2
    world.update(world.user, record.id, {"price": 6})
    assert [contents.load(version.read())["price"] for version in record.versions] == [0, 5, 6]
    assert record.versions[0] is live
    assert stage.events_of(record.id).count("version.missing") == 4
    assert [version.id for version in stage.history().listed_versions(record.id)] == [one.id for one in record.versions]


def test_times_are_kept_in_milliseconds_and_so_is_the_truth(stage: Stage) -> None:
    stage.wait(seconds=1.234567)
    record = stage.world.create(stage.world.user, stage.post, {})
    assert record.created_at.microsecond == 234_000
    assert stage.history().records[record.id].created_at == record.created_at


def test_the_same_seed_makes_the_same_world() -> None:
    worlds = [World(seed=3), World(seed=3)]
    ids = []
    for world in worlds:
        model = world.create_model(world.account, "post")
        ids.append(world.create(world.user, model, {}).head.id)
    assert ids[0] == ids[1]


def test_the_title_of_a_duplicate_is_in_the_field_that_is_the_title(stage: Stage) -> None:
    """Which need not be the first one with a line of text."""
    field = stage.world.create_field(stage.world.account, stage.post, "headline")
    stage.post.chosen_fields["title_field"] = field.id
    record = stage.world.create(stage.world.user, stage.post, {"title": {"en": "a"}, "headline": "b"})
    content = contents.load(stage.world.duplicate(stage.world.user, record.id).head.read())
    assert (content["title"], content["headline"]) == ({"en": "a"}, "b (duplicate)")
