"""Changing models, fields and locales, and what that does to versions of the past."""

import pytest

from tests.unit.simulator.conftest import Stage
from versionsync.simulator import ApiError
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.event_log import Cause


def causes(stage: Stage, record_id: str) -> list[Cause | None]:
    """Why versions of a record were rewritten."""
    return [
        one.cause
        for one in stage.history().transitions
        if one.record_id == record_id and one.type == "version.rewritten"
    ]


def test_removing_a_field_takes_its_content_out_of_every_version(stage: Stage) -> None:
    world = stage.world
    record = world.create(world.user, stage.post, {"price": 1})
    world.update(world.user, record.id, {"price": 2})
    price = stage.post.field_by_key("price")
    assert price is not None
    saved_at = record.updated_at
    stage.wait(minutes=1)
    world.destroy_field(world.account, price.id)
    assert all(b"price" not in version.read() for version in record.versions)
    assert record.updated_at == saved_at
    assert causes(stage, record.id) == [Cause.FIELD_REMOVED] * 2
    assert b'"price":1' in stage.history().versions[record.versions[0].id].all_contents[0]


def test_removing_a_locale_takes_its_content_out_of_every_version(stage: Stage) -> None:
    world = stage.world
    record = world.create(world.user, stage.post, {"title": {"en": "a", "it": "b"}})
    world.remove_locale(world.account, "it")
    assert contents.load(record.head.read())["title"] == {"en": "a"}
    assert causes(stage, record.id) == [Cause.LOCALE_REMOVED]
    with pytest.raises(ApiError, match="locales"):
        world.remove_locale(world.account, "en")


def test_renaming_a_field_shows_old_versions_under_the_new_key(stage: Stage) -> None:
    world = stage.world
    record = world.create(world.user, stage.post, {"price": 1})
    price = stage.post.field_by_key("price")
    assert price is not None
    world.update_field(world.account, price.id, api_key="cost")
    assert contents.load(record.head.read()) == {"title": {"en": None}, "cost": 1}
    assert causes(stage, record.id) == [Cause.FIELD_RENAMED]


def test_renaming_a_field_may_leave_old_versions_under_the_old_key(stage: Stage) -> None:
    world = stage.world
    world.options.renamed_fields = "old_key"
    record = world.create(world.user, stage.post, {"price": 1})
    price = stage.post.field_by_key("price")
    assert price is not None
    world.update_field(world.account, price.id, api_key="cost")
    world.update_field(world.account, price.id, api_key="value")
    world.update(world.user, record.id, {"title": {"en": "a"}})
    old, new = (contents.load(version.read()) for version in record.versions)
    assert (old["price"], new["value"]) == (1, 1)
    assert causes(stage, record.id) == []
    world.destroy_field(world.account, price.id)
    assert [contents.load(version.read()).keys() for version in record.versions] == [{"title"}, {"title"}]


def test_fields_of_block_models_reach_into_records(stage: Stage) -> None:
    world = stage.world
    block = world.create_model(world.account, "paragraph", is_block=True)
    text = world.create_field(world.account, block, "text", "text")
    world.create_field(world.account, block, "inner", "rich_text")
    world.create_field(world.account, stage.post, "body", "structured_text", localized=True)

    def paragraph(words: str, *inner: object) -> dict[str, object]:
        link = {"item_type": {"data": {"id": block.id, "type": "item_type"}}}
        return {"type": "item", "attributes": {"text": words, "inner": list(inner)}, "relationships": link}

    node = {"type": "block", "item": paragraph("a", paragraph("b"))}
    body = {"en": {"schema": "dast", "document": {"type": "root", "children": [node]}}}
    record = world.create(world.user, stage.post, {"body": body})
    untouched = world.create(world.user, stage.post, {})
    world.update_field(world.account, text.id, api_key="words")
    assert record.head.read().count(b'"words"') == 2
    world.destroy_field(world.account, text.id)
    assert b'"words"' not in record.head.read()
    assert causes(stage, record.id) == [Cause.FIELD_RENAMED, Cause.FIELD_REMOVED]
    assert causes(stage, untouched.id) == []


def test_removing_a_model_deletes_its_records(stage: Stage) -> None:
    record = stage.world.create(stage.world.user, stage.post, {})
    other = stage.world.create(stage.world.user, stage.quote, {})
    stage.world.destroy_model(stage.world.account, "post")
    assert list(stage.world.primary.records) == [other.id]
    assert stage.events_of(record.id)[-1] == "record.deleted"
    with pytest.raises(ApiError, match="NOT_FOUND"):
        stage.world.primary.model("post")


def test_switching_drafts_off_publishes_what_is_current(stage: Stage) -> None:
    record = stage.world.create(stage.world.user, stage.post, {})
    stage.world.update_model(stage.world.account, "post", draft_mode=False)
    assert record.published is record.head
    assert record.status == "published"


def test_names_are_unique_and_settings_are_known(stage: Stage) -> None:
    with pytest.raises(ApiError, match="VALIDATION_UNIQUE"):
        stage.world.create_model(stage.world.account, "post")
    with pytest.raises(ApiError, match="VALIDATION_UNIQUE"):
        stage.world.create_field(stage.world.account, stage.post, "price")
    with pytest.raises(ApiError, match="field_type"):
        stage.world.create_field(stage.world.account, stage.post, "other", "number")
    with pytest.raises(TypeError, match="colour"):
        stage.world.create_model(stage.world.account, "other", colour="red")
