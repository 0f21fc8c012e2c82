"""What becomes of the fields and locales of an old content."""

from __future__ import annotations

import msgspec

from tests.unit.restore.contents import (
    ARTICLE,
    EXISTING,
    block,
    field,
    fit,
    lost,
    model,
    project,
    refused,
    state_of,
    version,
)
from versionsync.ledger.content import parse_value
from versionsync.restore.fitting import fitted


def test_a_renamed_field_gets_its_new_name() -> None:
    result = fit({"title": "Hi"}, project(field("f1", key="headline")), project(field("f1", key="title")))
    assert result.attributes == {"headline": "Hi"}
    assert result.losses == ()


def test_an_old_version_may_show_a_renamed_field_with_its_new_name_already() -> None:
    result = fit({"headline": "Hi"}, project(field("f1", key="headline")), project(field("f1", key="title")))
    assert result.attributes == {"headline": "Hi"}


def test_two_fields_that_exchanged_their_names_keep_their_values() -> None:
    then = project(field("f1", key="one"), field("f2", key="two"))
    result = fit({"one": "1", "two": "2"}, project(field("f1", key="two"), field("f2", key="one")), then)
    assert result.attributes == {"two": "1", "one": "2"}


def test_a_version_shown_with_new_names_is_read_with_new_names() -> None:
    then = project(field("f1", key="title"))
    now = project(field("f1", key="headline"), field("f2", key="title"))
    assert fit({"title": "Hi"}, now, then).attributes == {"headline": "Hi"}
    assert fit({"headline": "Hi", "title": None}, now, then).attributes == {"headline": "Hi", "title": None}


def test_a_name_that_a_field_had_even_before_the_version_is_understood() -> None:
    then = state_of(project(field("f1", key="title")), {ARTICLE: {"name": "title"}})
    assert fit({"name": "Hi"}, project(field("f1", key="headline")), then).attributes == {"headline": "Hi"}
    both = fit({"name": "old", "title": "Hi"}, project(field("f1", key="headline")), then)
    assert both.attributes == {"headline": "Hi"}


def test_a_removed_field_is_left_out_and_named() -> None:
    result = fit({"title": "Hi", "mood": "good"}, project(field("title")), project(field("title"), field("mood")))
    assert result.attributes == {"title": "Hi"}
    assert lost(result) == ['The field "Mood" was removed.']
    assert result.losses[0].path == ("mood",)


def test_an_empty_value_of_a_removed_field_is_no_loss() -> None:
    assert not fit({"mood": None}, project(), project(field("mood"))).losses


def test_a_field_made_again_with_the_same_type_gets_the_value() -> None:
    result = fit({"title": "Hi"}, project(field("f2", key="title")), project(field("f1", key="title")))
    assert result.attributes == {"title": "Hi"}
    assert not result.losses


def test_a_field_made_again_with_another_type_does_not() -> None:
    result = fit({"title": "Hi"}, project(field("f2", "text", key="title")), project(field("f1", key="title")))
    assert result.attributes == {}
    assert lost(result) == ['The field "F1" was removed and made again with another type.']


def test_a_field_that_took_the_name_of_a_removed_one_keeps_its_own_value() -> None:
    then = project(field("f1", key="a"), field("f2", key="b"))
    result = fit({"a": "1", "b": "2"}, project(field("f2", key="a")), then)
    assert result.attributes == {"a": "2"}


def test_members_that_are_no_fields_are_left_out_silently() -> None:
    result = fit({"title": "Hi", "created_at": "2026", "position": 3, "parent_id": None}, project(field("title")))
    assert result.attributes == {"title": "Hi"}
    assert not result.losses


def test_the_place_stays_where_the_model_has_places() -> None:
    content = {"position": 3, "parent_id": "home"}
    assert fit(content, project(is_sortable=True)).attributes == {"position": 3}
    tree = fit(content, project(is_tree=True))
    assert tree.attributes == content
    assert [(link.target, link.path, link.is_parent) for link in tree.links] == [("home", ("parent_id",), True)]


def test_a_record_whose_parent_was_deleted_goes_to_the_top() -> None:
    result = fit({"parent_id": "gone"}, project(is_tree=True))
    assert result.attributes == {"parent_id": None}
    assert lost(result) == ["The parent gone was deleted: the record goes to the top of the tree."]
    assert result.links == ()


def test_a_field_made_after_the_version_is_not_sent_and_an_empty_one_is() -> None:
    result = fit({"title": None}, project(field("title"), field("mood")), project(field("title")))
    assert result.attributes == {"title": None}


def test_a_value_stays_if_it_has_the_shape_of_the_new_type() -> None:
    assert fit({"a": "Hi"}, project(field("a", "text")), project(field("a"))).attributes == {"a": "Hi"}
    assert fit({"a": 3}, project(field("a", "float")), project(field("a", "integer"))).attributes == {"a": 3}


def test_a_value_of_another_shape_is_left_out() -> None:
    for value, old, new in (
        ("Hi", "string", "integer"),
        ("x", "text", "json"),
        (True, "boolean", "integer"),
        ("ada", "string", "link"),
        ("ada", "link", "text"),
    ):
        result = fit({"a": value}, project(field("a", new)), project(field("a", old)))
        assert result.attributes == {"a": None}
        assert lost(result) == ['The field "A" is of another type now: its value is left out.']


def test_numbers_stay_as_they_were_written() -> None:
    content = parse_value(b'{"a": 0.10000000000000000000000001, "b": 1e400, "c": 123456789012345678901234567890}')
    assert isinstance(content, dict)
    result = fit(content, project(field("a", "float"), field("b", "float"), field("c", "integer")))
    assert msgspec.json.encode(result.attributes) == msgspec.json.encode(content)


def test_a_removed_locale_is_left_out() -> None:
    rules = project(field("title", localized=True))
    result = fit({"title": {"en": "Hi", "de": "Hallo"}}, rules)
    assert result.attributes == {"title": {"en": "Hi"}}
    assert [(loss.path, loss.what) for loss in result.losses] == [
        (("title", "de"), 'The project has no locale "de" any more.')
    ]


def test_a_field_that_became_localized_has_its_value_in_the_main_locale() -> None:
    now = project(field("title", localized=True), field("mood", localized=True))
    then = project(field("title", localized=True), field("mood"))
    result = fit({"title": {"en": "Hi", "it": "Ciao"}, "mood": "good"}, now, then)
    assert result.attributes == {"title": {"en": "Hi", "it": "Ciao"}, "mood": {"en": "good", "it": None}}
    assert fit({"mood": "good"}, now, then).attributes == {"mood": {"en": "good"}}
    italian = fit({"mood": "good"}, now, then, main_locale="it")
    assert italian.attributes == {"mood": {"it": "good"}}


def test_a_record_without_the_main_locale_does_not_get_it() -> None:
    now = project(field("title", localized=True), field("mood", localized=True))
    then = project(field("title", localized=True), field("mood"))
    result = fit({"title": {"it": "Ciao"}, "mood": "good"}, now, then)
    assert result.attributes == {"title": {"it": "Ciao"}, "mood": {"it": "good"}}


def test_a_field_that_is_not_localized_any_more_keeps_the_main_value() -> None:
    result = fit(
        {"title": {"en": "Hi", "it": "Ciao"}}, project(field("title")), project(field("title", localized=True))
    )
    assert result.attributes == {"title": "Hi"}
    assert lost(result) == ['The field "Title" is not localized any more: "it" is left out.']


def test_an_old_version_may_be_shown_as_the_field_is_localized_now() -> None:
    now, then = project(field("title", localized=True)), project(field("title"))
    assert fit({"title": {"en": "Hi"}}, now, then).attributes == {"title": {"en": "Hi"}}
    assert fit({"title": "Hi"}, then, now).attributes == {"title": "Hi"}


def test_an_object_that_is_a_value_is_not_taken_for_locales() -> None:
    place = {"latitude": 1, "longitude": 2}
    now, then = project(field("place", "lat_lon", localized=True)), project(field("place", "lat_lon"))
    assert fit({"place": place}, now, then).attributes == {"place": {"en": place}}


def test_a_record_without_locales_gets_none() -> None:
    assert fit({"title": {}}, project(field("title", localized=True))).attributes == {"title": {}}


def test_all_locales_are_there_if_the_model_requires_them() -> None:
    rules = project(field("title", localized=True), all_locales_required=True)
    assert fit({"title": {"en": "Hi"}}, rules).attributes == {"title": {"en": "Hi", "it": None}}


def test_all_localized_fields_have_the_same_locales() -> None:
    rules = project(field("title", localized=True), field("mood", localized=True))
    result = fit({"title": {"en": "Hi", "it": "Ciao"}, "mood": {"en": "good"}}, rules)
    assert result.attributes["mood"] == {"en": "good", "it": None}


def test_a_record_of_a_removed_model_cannot_be_sent() -> None:
    rules = project(field("title"))
    result = fitted(version({"title": "Hi"}, state_of(rules), "event"), rules, EXISTING)
    assert refused(result) == [("ITEM_TYPE_NOT_FOUND", ())]
    assert result.attributes == {}


def test_blocks_are_fitted_as_records_are() -> None:
    then = project(
        field("body", "rich_text"),
        blocks=(model("quote", field("w", key="words"), field("mood"), is_block=True),),
    )
    now = project(field("body", "rich_text"), blocks=(model("quote", field("w", key="text"), is_block=True),))
    old = {**block("b1", words="Hi", mood="good"), "meta": {"created_at": "2026"}}
    result = fit({"body": [old]}, now, then)
    assert result.attributes == {"body": [block("b1", text="Hi")]}
    assert [(loss.path, loss.what) for loss in result.losses] == [
        (("body", 0, "attributes", "mood"), 'The field "Mood" was removed.')
    ]
