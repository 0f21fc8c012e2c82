"""What is left of a content after an erasure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from versionsync.ledger.content import ContentError, content_hash, parse_value
from versionsync.ledger.erasure import NOTHING, ErasedField, Erasure, Erasures, erase_content
from versionsync.ledger.ids import ModelId, RecordId, VersionId

POST, QUOTE = ModelId("post"), ModelId("quote")
RECORD, VERSION, LATER = RecordId("r"), VersionId("v"), VersionId("w")


def a_field(*keys: str, model: ModelId = POST, locale: str | None = None) -> Erasure:
    return Erasure(ErasedField(model, frozenset(keys), locale))


def left(content: Any, *erasures: Erasure) -> Any:
    return json.loads(erase_content(json.dumps(content).encode(), POST, erasures))


def block(model: str, **attributes: Any) -> dict[str, Any]:
    item_type = {"data": {"id": model, "type": "item_type"}}
    return {"type": "item", "id": "b", "attributes": attributes, "relationships": {"item_type": item_type}}


def test_nothing_is_left_of_a_record() -> None:
    assert erase_content(b'{"title":"one"}', POST, [a_field("slug"), Erasure(None)]) == NOTHING


def test_a_field_is_null_and_all_else_stays() -> None:
    assert left({"title": "one", "slug": "two", "n": 1.5}, a_field("title")) == {"title": None, "slug": "two", "n": 1.5}


def test_a_content_without_the_field_stays_to_the_byte() -> None:
    content = b'{ "slug" : "\\u00e9", "n": 1.0 }'
    assert erase_content(content, POST, [a_field("title")]) is content


def test_digits_and_halves_of_characters_stay() -> None:
    content = b'{"title":"one","n":1234567890123456789012345678901234567890.10,"half":"\\ud800"}'
    found = erase_content(content, POST, [a_field("title")])
    expected = content.replace(b'"one"', b"null")
    assert content_hash(found) == content_hash(expected)


def test_a_field_is_erased_under_all_of_its_keys() -> None:
    assert left({"old": "one", "new": "two", "other": 3}, a_field("old", "new")) == {
        "old": None,
        "new": None,
        "other": 3,
    }


def test_one_locale_is_erased_and_the_others_stay() -> None:
    content = {"title": {"en": "one", "it": "uno"}, "slug": {"en": "two"}}
    assert left(content, a_field("title", locale="en")) == {"title": {"en": None, "it": "uno"}, "slug": {"en": "two"}}


def test_a_value_from_before_the_field_was_localized_is_erased_whole() -> None:
    assert left({"title": "one"}, a_field("title", locale="en")) == {"title": None}


def test_a_field_of_blocks_is_erased_wherever_they_are() -> None:
    inner = block("quote", text="deep", by="Anna")
    content = {
        "text": "mine",
        "body": [block("quote", text="first"), block("frame", text="kept", inner=[inner])],
        "by_locale": {"en": [block("quote", text="second")]},
    }
    found = left(content, a_field("text", model=QUOTE))
    assert found["text"] == "mine", "the record's own field has another model"
    assert [one["attributes"]["text"] for one in found["body"]] == [None, "kept"]
    assert found["body"][1]["attributes"]["inner"][0]["attributes"] == {"text": None, "by": "Anna"}
    assert found["by_locale"]["en"][0]["attributes"] == {"text": None}


def test_a_member_of_that_name_in_other_objects_stays() -> None:
    content = {"seo": {"title": "kept"}, "title": "gone"}
    assert left(content, a_field("title")) == {"seo": {"title": "kept"}, "title": None}


def test_what_cannot_be_read_is_refused_and_not_kept() -> None:
    with pytest.raises(ContentError):
        erase_content(b'{"title":', POST, [a_field("title")])


def test_deep_content_is_erased() -> None:
    deep = b"[" * 400 + b"]" * 400
    found = erase_content(b'{"title":"one","json":' + deep + b"}", POST, [a_field("title")])
    assert parse_value(found) == parse_value(b'{"title":null,"json":' + deep + b"}")


def test_a_lifted_erasure_holds_for_the_versions_of_then_alone() -> None:
    erasures = Erasures({RECORD: [Erasure(None, frozenset({VERSION}))]})
    content = b'{"title":"one"}'
    assert erasures.erased(RECORD, VERSION, POST, content) == NOTHING
    assert erasures.erased(RECORD, LATER, POST, content) == content
    assert erasures.erased(RecordId("other"), VERSION, POST, content) == content


def test_what_a_content_says_of_an_upload_is_erased_wherever_it_is() -> None:
    picture = {"upload_id": "u1", "alt": "a face", "title": "Ada", "custom_data": {"by": "B"}, "focal_point": {"x": 1}}
    other = {**picture, "upload_id": "u2"}
    content = {"cover": picture, "pages": {"en": [other, picture]}, "body": [block("quote", photo=picture)]}
    bare = {"upload_id": "u1", "alt": None, "title": None, "custom_data": {}, "focal_point": {"x": 1}}
    assert left(content, Erasure(None, upload_id="u1")) == {
        "cover": bare,
        "pages": {"en": [other, bare]},
        "body": [block("quote", photo=bare)],
    }


def test_a_content_that_says_nothing_of_an_upload_stays_to_the_byte() -> None:
    content = b'{ "cover": {"upload_id": "u1", "alt": null, "custom_data": {}}, "seo": {"image": "u1", "title": "T"} }'
    assert erase_content(content, POST, [Erasure(None, upload_id="u1")]) is content


def test_an_erased_upload_is_erased_in_every_record() -> None:
    content = b'{"cover":{"upload_id":"u1","alt":"a face"}}'
    erasures = Erasures({}, ["u1"])
    for record in (RECORD, RecordId("another")):
        assert json.loads(erasures.erased(record, VERSION, POST, content))["cover"]["alt"] is None
    assert erasures.erased(RECORD, VERSION, POST, b'{"alt":"a face"}') == b'{"alt":"a face"}'


def test_the_lifted_erasure_of_an_upload_holds_for_the_versions_of_then() -> None:
    content = b'{"cover":{"upload_id":"u1","alt":"a face"}}'
    erasures = Erasures({RECORD: [Erasure(None, frozenset({VERSION}), "u1")]})
    assert json.loads(erasures.erased(RECORD, VERSION, POST, content))["cover"]["alt"] is None
    assert erasures.erased(RECORD, LATER, POST, content) == content
