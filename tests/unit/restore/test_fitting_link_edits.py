"""A content without links that cannot be sent yet."""

from __future__ import annotations

from tests.unit.history.diff.build import dast, para
from tests.unit.restore.contents import EXISTING, QUOTE, block, field, fit, model, project
from versionsync.restore.link_edits import with_substitute, without_links

AUTHORS = {"item_types": ["author"]}
MANY = {"bob": "author", "eve": "author", "home": "article"}


def test_links_become_null_and_go_from_lists() -> None:
    rules = project(
        field("author", "link"), field("local", "link", localized=True), field("more", "links"), is_tree=True
    )
    content = {"author": "ada", "local": {"en": "ada", "it": "bob"}, "more": ["ada", "bob", "ada"], "parent_id": "ada"}
    result = fit(content, rules)
    assert without_links(result, ["ada"]) == {
        "author": None,
        "local": {"en": None, "it": "bob"},
        "more": ["bob"],
        "parent_id": None,
    }
    assert result.attributes == content


def test_links_in_structured_text_go_and_their_words_stay() -> None:
    link = {"type": "itemLink", "item": "ada", "children": para("Ada", " L.")["children"]}
    inline = {"type": "inlineItem", "item": "ada"}
    quote = {"type": "block", "item": block("b1", by="ada", inner=[block("b2", by="bob")])}
    rules = project(
        field("body", "structured_text"),
        blocks=(model(QUOTE, field("by", "link"), field("inner", "rich_text"), is_block=True),),
    )
    result = fit({"body": dast(para("by ", link), para(inline), quote)}, rules)
    assert without_links(result, ["ada", "bob"]) == {
        "body": dast(
            para("by ", "Ada", " L."),
            para(""),
            {"type": "block", "item": block("b1", by=None, inner=[block("b2", by=None)])},
        )
    }


def test_a_structured_text_that_was_only_a_link_is_empty() -> None:
    result = fit({"body": dast({"type": "inlineItem", "item": "ada"})}, project(field("body", "structured_text")))
    assert without_links(result, ["ada"]) == {"body": None}


def test_other_links_stay() -> None:
    result = fit({"author": "ada"}, project(field("author", "link")))
    assert without_links(result, ["bob"]) == {"author": "ada"}


def test_a_required_link_gets_another_record_for_a_time() -> None:
    rules = project(field("author", "link", required={}, item_item_type=AUTHORS), field("friend", "link"))
    result = fit({"author": "ada", "friend": "ada"}, rules)
    assert with_substitute(result, ["ada"], rules, {"home": "article", "ada": "author", "bob": "author"}) == {
        "author": "bob",
        "friend": None,
    }
    assert with_substitute(result, ["ada", "bob"], rules, MANY)["author"] == "eve"
    assert with_substitute(result, ["ada"], rules, {"home": "article"}) == {"author": None, "friend": None}


def test_a_list_that_would_be_too_short_gets_other_records_each_once() -> None:
    rules = project(field("authors", "links", size={"min": 2}, items_item_type=AUTHORS))
    result = fit({"authors": ["ada", "bob"]}, rules)
    assert with_substitute(result, ["ada", "x"], rules, MANY) == {"authors": ["eve", "bob"]}
    assert with_substitute(result, ["ada", "bob"], rules, MANY) == {"authors": ["eve"]}


def test_a_list_with_enough_links_gets_no_others() -> None:
    rules = project(field("authors", "links", size={"min": 1}))
    result = fit({"authors": ["ada", "bob"]}, rules, existing=EXISTING)
    assert with_substitute(result, ["ada"], rules, MANY) == {"authors": ["bob"]}
