"""What becomes of links, uploads, blocks and structured text in an old content."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.history.diff.build import dast, para
from tests.unit.restore.contents import ARTICLE, QUOTE, block, field, fit, lost, model, project, refused
from versionsync.restore.fitting import Existing
from versionsync.restore.model import Link

AUTHORS = {"item_types": ["author"]}


def item_link(target: str, *texts: str) -> Any:
    return {"type": "itemLink", "item": target, "children": para(*texts)["children"]}


def test_a_link_to_a_deleted_record_is_taken_out() -> None:
    result = fit({"author": "gone"}, project(field("author", "link")))
    assert result.attributes == {"author": None}
    assert lost(result) == ["A link to the deleted record gone is left out."]
    assert result.links == result.problems == ()


def test_a_required_link_to_a_deleted_record_is_a_problem_that_says_why() -> None:
    result = fit({"author": "gone"}, project(field("author", "link", required={})))
    assert refused(result) == [("VALIDATION_REQUIRED", ("author",))]
    assert result.problems[0].what == (
        'The field "Author" is required and would be empty. A link to the deleted record gone is left out.'
    )


def test_a_list_of_links_loses_those_to_deleted_records() -> None:
    result = fit({"authors": ["gone", "ada"]}, project(field("authors", "links", size={"min": 1})))
    assert result.attributes == {"authors": ["ada"]}
    assert result.losses[0].path == ("authors", 0)
    assert result.problems == ()


def test_a_list_that_would_be_too_short_is_a_problem() -> None:
    result = fit({"authors": ["gone", "ada"]}, project(field("authors", "links", size={"min": 2})))
    assert refused(result) == [("VALIDATION_SIZE", ("authors",))]


def test_a_link_to_a_model_that_is_not_allowed_now_is_taken_out() -> None:
    result = fit({"author": "home"}, project(field("author", "link", item_item_type=AUTHORS)))
    assert result.attributes == {"author": None}
    assert lost(result) == ['A link to the record home is left out: its model "Article" is not allowed here now.']


def test_links_in_structured_text_go_and_their_words_stay() -> None:
    inline = {"type": "inlineItem", "item": "gone"}
    body = dast(para("by ", item_link("gone", "Ada"), "."), para(inline), para(item_link("ada", "Ada")))
    result = fit({"body": body}, project(field("body", "structured_text")))
    assert result.attributes == {"body": dast(para("by ", "Ada", "."), para(""), para(item_link("ada", "Ada")))}
    assert [loss.path[-4:] for loss in result.losses] == [(0, "children", 1, "item"), (1, "children", 0, "item")]
    assert [link.path for link in result.links] == [("body", "document", "children", 2, "children", 0, "item")]


def test_a_structured_text_whose_only_node_goes_is_empty() -> None:
    rules = project(field("body", "structured_text", required={}))
    result = fit({"body": dast({"type": "block", "item": block("b1", "unknown")})}, rules)
    assert result.attributes == {"body": None}
    assert refused(result) == [("VALIDATION_REQUIRED", ("body",))]


def test_a_list_item_that_holds_nothing_goes_with_its_list() -> None:
    item = {"type": "listItem", "children": [{"type": "block", "item": block("b1", "unknown")}]}
    body = dast({"type": "list", "style": "bulleted", "children": [item]}, para("on"))
    assert fit({"body": body}, project(field("body", "structured_text"))).attributes == {"body": dast(para("on"))}


def test_blocks_of_removed_models_go_everywhere() -> None:
    gone, kept = block("b1", "unknown", words="a"), block("b2", words="b")
    rules = project(field("list", "rich_text"), field("one", "single_block"), field("text", "structured_text"))
    text = dast({"type": "block", "item": gone}, para("a", {"type": "inlineBlock", "item": gone}))
    nested = block("b3", inner=[gone, kept])
    result = fit({"list": [gone, kept, nested], "one": gone, "text": text}, rules)
    assert result.attributes == {"list": [kept, block("b3", inner=[kept])], "one": None, "text": dast(para("a"))}
    assert set(lost(result)) == {'A block is left out: its model "unknown" does not exist any more.'}
    assert len(result.losses) == 5


def test_a_model_that_holds_records_now_has_no_blocks() -> None:
    result = fit({"list": [block("b1", ARTICLE)]}, project(field("list", "rich_text")))
    assert result.attributes == {"list": []}


@pytest.mark.parametrize(
    ("field_type", "validator", "value", "left"),
    [
        ("rich_text", "rich_text_blocks", [block("b1")], []),
        ("single_block", "single_block_blocks", block("b1"), None),
        ("structured_text", "structured_text_blocks", dast({"type": "block", "item": block("b1")}), None),
        (
            "structured_text",
            "structured_text_inline_blocks",
            dast(para({"type": "inlineBlock", "item": block("b1")})),
            dast(para("")),
        ),
    ],
)
def test_blocks_that_are_not_allowed_in_their_field_now_go(
    field_type: str, validator: str, value: Any, left: Any
) -> None:
    result = fit({"body": value}, project(field("body", field_type, **{validator: {"item_types": []}})))
    assert result.attributes == {"body": left}
    assert lost(result) == ['A block is left out: its model "Quote" is not allowed here now.']


def test_localized_fields_of_blocks_lose_the_locales_that_are_gone() -> None:
    blocks = (model(QUOTE, field("words", "text", localized=True), is_block=True),)
    result = fit(
        {"one": block("b1", words={"en": "a", "de": "b"})}, project(field("one", "single_block"), blocks=blocks)
    )
    assert result.attributes == {"one": block("b1", words={"en": "a"})}
    assert result.losses[0].path == ("one", "attributes", "words", "de")


def test_deleted_uploads_are_taken_out() -> None:
    gone, kept = {"upload_id": "gone", "alt": "x"}, {"upload_id": "photo", "alt": "y"}
    quote = model(QUOTE, field("image", "file"), is_block=True)
    rules = project(
        field("cover", "file"),
        field("photos", "gallery"),
        field("seo", "seo"),
        field("one", "single_block"),
        blocks=(quote,),
    )
    content = {
        "cover": gone,
        "photos": [gone, kept],
        "seo": {"title": "t", "image": "gone"},
        "one": block("b1", image=gone),
    }
    result = fit(content, rules)
    assert result.attributes == {
        "cover": None,
        "photos": [kept],
        "seo": {"title": "t", "image": None},
        "one": block("b1", image=None),
    }
    assert [loss.path for loss in result.losses] == [
        ("cover",),
        ("photos", 0),
        ("seo", "image"),
        ("one", "attributes", "image"),
    ]
    assert set(lost(result)) == {"The deleted upload gone is left out."}


def test_a_required_file_that_is_gone_is_a_problem() -> None:
    rules = project(field("cover", "file", required={}), field("seo", "seo", required_seo_fields={"image": True}))
    result = fit({"cover": {"upload_id": "gone"}, "seo": {"image": "gone"}}, rules)
    assert refused(result) == [("VALIDATION_REQUIRED", ("cover",)), ("VALIDATION_REQUIRED_SEO_FIELDS", ("seo",))]


def test_no_upload_is_left_out_if_they_are_not_known() -> None:
    content = {"cover": {"upload_id": "gone"}}
    assert fit(content, project(field("cover", "file")), existing=Existing(records={})).attributes == content


def test_every_link_that_is_left_is_listed() -> None:
    strict = {**AUTHORS, "on_publish_with_unpublished_references_strategy": "fail"}
    quote = model(QUOTE, field("by", "link", required={}), is_block=True)
    rules = project(
        field("author", "link", required={}, item_item_type=strict),
        field("more", "links", localized=True),
        field("least", "links", size={"min": 2}),
        field("body", "structured_text", required={}),
        blocks=(quote,),
    )
    inline = {"type": "inlineBlock", "item": block("b1", by="bob")}
    content = {
        "author": "ada",
        "more": {"en": ["ada", "bob"]},
        "least": ["ada", "bob"],
        "body": dast(para(inline, {"type": "inlineItem", "item": "home"})),
    }
    at = ("body", "document", "children", 0, "children")
    assert fit(content, rules).links == (
        Link(target="ada", path=("author",), field_id="author", is_required=True, must_be_live=True),
        Link(target="ada", path=("more", "en", 0), field_id="more"),
        Link(target="bob", path=("more", "en", 1), field_id="more"),
        Link(target="ada", path=("least", 0), field_id="least", is_required=True),
        Link(target="bob", path=("least", 1), field_id="least", is_required=True),
        Link(target="bob", path=(*at, 0, "item", "attributes", "by"), field_id="by", is_required=True),
        Link(target="home", path=(*at, 1, "item"), field_id="body"),
    )
