"""Content as text: nothing is lost by taking it apart."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.simulator.world import content as contents

BLOCK = {"id": "b1", "type": "item", "attributes": {"text": "one"}, "relationships": {}}
LOCALES = st.sampled_from(["en", "it", "de"])


@pytest.mark.parametrize(
    "text", [b"1.00", b"12345678901234567890123", b"1e400", b'"\\u0000\\ud800"', b"-0.0", b"[ 1, 2 ]"]
)
def test_a_value_is_served_as_it_was_written(text: bytes) -> None:
    assert contents.join(contents.split(b'{"a":%b}' % text)) == b'{"a":%b}' % text


@pytest.mark.parametrize("text", [b"1.00", b"12345678901234567890123", b"1E+400"])
def test_numbers_beside_blocks_keep_their_digits(text: bytes) -> None:
    content = b'{"list":[{"id":"b1","type":"item","attributes":{"n":%b}}]}' % text
    assert bytes(contents.raw(contents.load(content))) == content


@pytest.mark.parametrize(
    "text", [rb'"\ud800"', rb'"\udc00\ud800"', rb'"\\\\ud800 \uDBFF!"', rb'"\ud83d\ude00 \ude00"', rb'"\\ud800"']
)
def test_surrogates_that_stand_alone_go_through_everything(text: bytes) -> None:
    block = b'{"id":"b1","type":"item","attributes":{"t":%b}}' % text
    content = b'{"list":[%b],"t":%b}' % (block, text)
    assert contents.join(contents.split(content)) == content
    again = contents.raw(contents.load(content))
    assert json.loads(bytes(again)) == json.loads(content)
    assert json.loads(contents.flatten(content, ["list"])) == {"list": ["b1"], "t": json.loads(text)}


def test_flat_content_has_ids_for_blocks_wherever_blocks_can_be() -> None:
    dast = {"schema": "dast", "document": {"type": "root", "children": [{"type": "block", "item": BLOCK}]}}
    content = contents.join(
        {
            "list": contents.raw([BLOCK]),
            "one": contents.raw(BLOCK),
            "none": contents.raw(None),
            "text": contents.raw(dast),
            "by_locale": contents.raw({"en": [BLOCK], "it": []}),
            "other": contents.raw({"type": "item", "attributes": {}, "id": "untouched"}),
        }
    )
    flat = contents.load(contents.flatten(content, ["list", "one", "none", "text", "by_locale"]))
    assert flat["list"] == ["b1"]
    assert flat["one"] == "b1"
    assert flat["none"] is None
    assert flat["text"]["document"]["children"] == [{"type": "block", "item": "b1"}]
    assert flat["by_locale"] == {"en": ["b1"], "it": []}
    assert flat["other"]["id"] == "untouched"


def test_blocks_are_found_at_any_depth() -> None:
    outer = {"id": "b2", "type": "item", "attributes": {"inner": [BLOCK]}}
    assert contents.blocks_by_id(contents.join({"list": contents.raw({"en": [outer]})})).keys() == {"b1", "b2"}


@given(
    old=st.dictionaries(LOCALES, st.integers()),
    new=st.dictionaries(LOCALES, st.integers()),
    wanted=st.frozensets(LOCALES),
    others=st.booleans(),
)
def test_selected_locales_come_from_the_current_version_and_the_rest_from_the_published_one(
    old: dict[str, int], new: dict[str, int], wanted: frozenset[str], others: bool
) -> None:
    published = {"title": contents.raw(old), "price": contents.raw(1)}
    current = {"title": contents.raw(new), "price": contents.raw(2)}
    mixed = contents.take_locales(published, current, localized=frozenset({"title"}), locales=wanted, others=others)
    expected = {locale: value for locale, value in old.items() if locale not in wanted} | {
        locale: value for locale, value in new.items() if locale in wanted
    }
    assert contents.load(mixed["title"]) == expected
    assert contents.load(mixed["price"]) == (2 if others else 1)


def test_a_removed_locale_leaves_the_others_and_what_is_not_localized() -> None:
    content = b'{"title":{"en":"a","it":"b"},"note":{"it":"kept"}}'
    assert (
        contents.without_locale(content, ["title"], frozenset({"it"})) == b'{"title":{"en":"a"},"note":{"it":"kept"}}'
    )
