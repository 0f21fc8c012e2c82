"""The validators of fields, one by one: what they accept, and what not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.unit.simulator.conftest import Stage
from versionsync.simulator import ApiError, World
from versionsync.simulator.world.event_log import EditorRef
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.uploads import FileFacts, Upload


def refusals(act: Callable[[], object]) -> list[str]:
    """The codes of the errors that *act* is refused with, each with its field."""
    with pytest.raises(ApiError) as refused:
        act()
    errors = [refused.value, *refused.value.others]
    return [
        f"{one.details['field']} {one.details['code']}" if one.code == "INVALID_FIELD" else one.code for one in errors
    ]


def upload(world: World, filename: str, *, size: int = 1, width: int | None = None, height: int | None = None) -> str:
    """Put a file into the media area and return its id."""
    id, now = world.ids.new(), world.now()
    facts = FileFacts(filename, size, "", "image/png", "png", width, height)
    world.primary.uploads[id] = Upload(id, f"/{filename}", facts, EditorRef("user", "1"), now, now)
    return id


def document(text: str) -> dict[str, Any]:
    """A structured text of one paragraph."""
    paragraph = {"type": "paragraph", "children": [{"type": "span", "value": text}]}
    return {"schema": "dast", "document": {"type": "root", "children": [paragraph]}}


DAY = "2026-01-01T"
CASES: list[tuple[str, dict[str, Any], list[object], list[object]]] = [
    ("string", {"length": {"min": 2, "max": 3}}, ["ab", "abc", None], ["a", "abcd"]),
    ("string", {"length": {"eq": 2}}, ["ab"], ["a", "abc"]),
    ("string", {"format": {"predefined_pattern": "email"}}, ["a@b.example", None], ["a", "a@b", "a b@c.example"]),
    ("string", {"format": {"predefined_pattern": "url"}}, ["https://a.example/x"], ["a.example", "ftp://a.example"]),
    ("string", {"format": {"custom_pattern": "^a+$"}}, ["aa"], ["ab"]),
    ("slug", {"slug_format": {"predefined_pattern": "webpage_slug"}}, ["a-b-1"], ["a b", "A", "a--b"]),
    ("string", {"enum": {"values": ["red", "blue"]}}, ["red", None], ["green"]),
    ("integer", {"number_range": {"min": 1, "max": 5}}, [1, 5, None], [0, 6]),
    ("float", {"number_range": {"max": 0.5}}, [0.5, -1], [0.51]),
    ("date", {"date_range": {"min": "2026-01-01", "max": "2026-12-31"}}, ["2026-01-01"], ["2025-12-31", "2027-01-01"]),
    ("date_time", {"date_time_range": {"min": "2026-01-01T00:00:00Z"}}, [f"{DAY}02:00+02:00"], [f"{DAY}00:00+02:00"]),
    ("links", {"size": {"min": 1}}, [], [[]]),
    ("seo", {"required_seo_fields": {"title": True}}, [{"title": "x"}], [None, {"title": ""}]),
    ("seo", {"title_length": {"max": 2}}, [{"title": "ab"}], [{"title": "abc"}]),
    ("seo", {"description_length": {"min": 2}}, [{"title": "a"}], [{"description": "a"}]),
    ("structured_text", {"length": {"max": 2}}, [None, document("ab")], [document("abc")]),
]  # fmt: skip


@pytest.mark.parametrize(("field_type", "rules", "good", "bad"), CASES)
def test_a_value_that_breaks_a_validator_is_refused(
    stage: Stage, field_type: str, rules: dict[str, Any], good: list[object], bad: list[object]
) -> None:
    """For fields of records and of blocks; the code has the validator's name."""
    world, owner = stage.world, stage.world.account
    block = world.create_model(owner, "box", is_block=True)
    for model in (stage.post, block):
        world.create_field(owner, model, "value", field_type, validators=rules)
    world.create_field(owner, stage.post, "boxes", "rich_text")
    fine = {"value": good[0]} if good else {"value": None}

    def boxed(value: object) -> dict[str, Any]:
        link = {"item_type": {"data": {"id": block.id, "type": "item_type"}}}
        return fine | {"boxes": [{"type": "item", "attributes": {"value": value}, "relationships": link}]}

    for value in good:
        world.create(world.user, stage.post, {"value": value})
        world.create(world.user, stage.post, boxed(value))
    (name,) = rules
    for value in bad:
        for attributes, place in (({"value": value}, "value"), (boxed(value), "boxes.0.value")):
            found = refusals(partial(world.create, world.user, stage.post, attributes))
            assert found[-1] == f"{place} VALIDATION_{name.upper()}"


def test_files_have_validators(stage: Stage) -> None:
    """Of their texts, their extension, and the size and measures of the upload."""
    world = stage.world
    small, large = upload(world, "a.png", width=100, height=50), upload(world, "b.pdf", size=5000, width=50, height=100)
    ratio = {"min_ar_numerator": 1, "min_ar_denominator": 1}
    for name, rule, good, bad in (
        ("required_alt_title", {"alt": True}, {"upload_id": small, "alt": "x"}, {"upload_id": small}),
        ("extension", {"predefined_list": "image"}, {"upload_id": small}, {"upload_id": large}),
        ("extension", {"extensions": ["pdf"]}, {"upload_id": large}, {"upload_id": small}),
        ("file_size", {"max_value": 4, "max_unit": "KB"}, {"upload_id": small}, {"upload_id": large}),
        ("image_dimensions", {"width_min_value": 60}, {"upload_id": small}, {"upload_id": large}),
        ("image_aspect_ratio", ratio, {"upload_id": small}, {"upload_id": large}),
    ):
        model = world.create_model(world.account, f"m{world.next_sequence()}")
        world.create_field(world.account, model, "cover", "file", validators={name: rule})
        world.create_field(world.account, model, "pictures", "gallery", validators={name: rule})
        world.create(world.user, model, {"cover": good, "pictures": [good]})
        found = refusals(partial(world.create, world.user, model, {"cover": bad, "pictures": [good, bad]}))
        assert found == [f"cover VALIDATION_{name.upper()}", f"pictures VALIDATION_{name.upper()}"]


def test_a_field_takes_only_its_block_models(stage: Stage) -> None:
    world = stage.world
    one, two = (world.create_model(world.account, name, is_block=True) for name in ("one", "two"))
    rules = {"rich_text_blocks": {"item_types": [one.id]}}
    world.create_field(world.account, stage.post, "boxes", "rich_text", validators=rules)

    def save(model: Model) -> object:
        link = {"item_type": {"data": {"id": model.id, "type": "item_type"}}}
        return world.create(
            world.user, stage.post, {"boxes": [{"type": "item", "attributes": {}, "relationships": link}]}
        )

    save(one)
    assert refusals(lambda: save(two)) == ["boxes.0 VALIDATION_RICH_TEXT_BLOCKS"]


def test_a_unique_value_may_not_be_published_elsewhere_either(stage: Stage) -> None:
    """In the same locale: another locale may have it."""
    world = stage.world
    world.create_field(world.account, stage.post, "code", localized=True, validators={"unique": {}})
    both = {"title": {"en": "x", "it": "x"}}
    first = world.create(world.user, stage.post, both | {"code": {"en": "a", "it": "b"}})
    world.publish(world.user, first.id)
    world.update(world.user, first.id, {"code": {"en": "c", "it": "b"}})
    assert refusals(lambda: world.create(world.user, stage.post, both | {"code": {"en": "a", "it": "z"}})) == [
        "code VALIDATION_UNIQUE"
    ]
    world.create(world.user, stage.post, both | {"code": {"en": "b", "it": "a"}})


def test_localized_fields_have_the_same_locales(stage: Stage) -> None:
    world = stage.world
    world.create_field(world.account, stage.post, "text", localized=True)
    record = world.create(world.user, stage.post, {"title": {"en": "x"}})
    for sent in ({"title": {"en": "x", "it": "y"}}, {"text": {}}):
        found = refusals(partial(world.update, world.user, record.id, sent))
        assert {one.partition(" ")[2] for one in found} == {"VALIDATION_INVALID_LOCALES"}
    assert refusals(lambda: world.create(world.user, stage.post, {"title": {"fr": "x"}}))
    world.update(world.user, record.id, {"title": {"en": "x", "it": "y"}, "text": {"en": "x", "it": "y"}})
    world.options.wrong_locales_code = "INVALID_LOCALES"
    assert refusals(lambda: world.update(world.user, record.id, {"text": {"en": "x"}})) == ["text INVALID_LOCALES"]
    world.options.locales_must_agree = False
    world.update(world.user, record.id, {"text": {"en": "x"}})


def test_a_model_may_need_all_locales(stage: Stage) -> None:
    world = stage.world
    world.update_model(world.account, "post", all_locales_required=True)
    assert refusals(lambda: world.create(world.user, stage.post, {"title": {"en": "x"}})) == [
        "title VALIDATION_INVALID_LOCALES"
    ]
    world.create(world.user, stage.post, {"title": {"en": "x", "it": "y"}})


def test_records_have_limits(stage: Stage) -> None:
    """Of their size, and of the number and depth of their blocks."""
    world, owner = stage.world, stage.world.account
    box = world.create_model(owner, "box", is_block=True)
    world.create_field(owner, box, "inner", "rich_text")
    world.create_field(owner, stage.post, "boxes", "rich_text")

    def nested(depth: int) -> dict[str, Any]:
        inner = [] if depth == 1 else [nested(depth - 1)]
        link = {"item_type": {"data": {"id": box.id, "type": "item_type"}}}
        return {"type": "item", "attributes": {"inner": inner}, "relationships": link}

    def save(**attributes: Any) -> object:
        return world.create(world.user, stage.post, attributes)

    save(boxes=[nested(6), *[nested(1)] * 594], title={"en": "x" * 100_000})
    for sent in ({"boxes": [nested(7)]}, {"boxes": [nested(1)] * 601}, {"title": {"en": "x" * 310_000}}):
        assert refusals(partial(save, **sent)) == ["TECHNICAL_LIMIT_REACHED"]
    world.options.max_blocks = 2
    assert refusals(lambda: save(boxes=[nested(3)])) == ["TECHNICAL_LIMIT_REACHED"]
