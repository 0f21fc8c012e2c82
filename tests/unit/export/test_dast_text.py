"""Structured text as a text: nothing is lost either way, and it reads as dastdown."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.fixtures.structured_texts import random_document
from versionsync.export.dast_text import DastTextError, blocks_of, parse, text_of
from versionsync.export.exact_json import load, same

Node = dict[str, Any]


def span(value: str, *marks: str) -> Node:
    return {"type": "span", "value": value, **({"marks": list(marks)} if marks else {})}


def paragraph(*children: Node, **members: Any) -> Node:
    return {"type": "paragraph", "children": list(children), **members}


def bullets(*items: list[Node], style: str = "bulleted") -> Node:
    return {"type": "list", "style": style, "children": [{"type": "listItem", "children": item} for item in items]}


def document(*children: Node) -> Node:
    return {"schema": "dast", "document": {"type": "root", "children": list(children)}}


FORMS = {
    "marks": (
        [paragraph(span("a "), span("b", "strong"), span(" & "), span("c", "strong", "emphasis", "code"))],
        "a **b** & ***`c`***\n",
    ),
    "marks in another order": (
        [paragraph(span("a", "emphasis", "strong"), span("b", "code", "strong"))],
        '<m k="emphasis">**a**</m><m k="code">**b**</m>\n',
    ),
    "a custom mark": ([paragraph(span("a", "strong", "note"))], '**<m k="note">a</m>**\n'),
    "line breaks": ([paragraph(span("a\nb"))], "a<br/>b\n"),
    "two spans alike": ([paragraph(span("a"), span("b"))], "a~~~~b\n"),
    "an empty paragraph": ([paragraph(span("a")), paragraph(span(""))], "a\n\n====\n"),
    "a paragraph like a list": ([paragraph(span("- a")), paragraph(span("1. b"))], "\\- a\n\n1\\. b\n"),
    "a styled heading": (
        [{"type": "heading", "level": 2, "style": "big", "children": [span("A")]}],
        '## A {style="big"}\n',
    ),
    "nested lists": (
        [bullets([paragraph(span("a")), bullets([paragraph(span("b"))], style="numbered")], [paragraph(span("c"))])],
        "- a\n\n  1. b\n\n- c\n",
    ),
    "two lists": (
        [bullets([paragraph(span("a"))]), bullets([paragraph(span("b"))])],
        "- a\n\n<!-- -->\n\n- b\n",
    ),
    "a quote": (
        [{"type": "blockquote", "children": [paragraph(span("a")), paragraph(span("b"))], "attribution": "Me"}],
        '> a\n>\n> b\n{attribution="Me"}\n',
    ),
    "code": (
        [{"type": "code", "code": "a\n```", "language": "js", "highlight": [0, 2]}],
        "````js {highlight=[0,2]}\na\n```\n````\n",
    ),
    "links": (
        [
            paragraph(
                {"type": "link", "url": "/a(b)", "children": [span("x")], "meta": [{"id": "rel", "value": 'a"b'}]},
                {"type": "itemLink", "item": "7", "children": [span("y")]},
                {"type": "inlineItem", "item": "8"},
            )
        ],
        '[x](/a\\(b\\)){rel="a\\"b"}[y](dato:item/7)<inlineItem id="8"/>\n',
    ),
    "a block": ([{"type": "block", "item": "9"}, {"type": "thematicBreak"}], '<block id="9"/>\n\n---\n'),
    "a new member": ([paragraph(span("a"), align="right")], 'a\n{members={"align": "right"}}\n'),
}


@pytest.mark.parametrize("name", FORMS)
def test_each_form_reads_as_it_is_written(name: str) -> None:
    """The text is the one of the documentation, and gives the same document again."""
    children, text = FORMS[name]
    assert text_of(document(*children)) == text
    assert parse(text) == document(*children)


@pytest.mark.parametrize("odd", [False, True], ids=["valid", "with what DatoCMS may add"])
def test_no_random_document_loses_anything(odd: bool) -> None:
    """Every document comes back from its text, and every text from its document."""
    for seed in range(200):
        made = random_document(Random(seed), odd=odd)
        text = text_of(made)
        read = parse(text, blocks_of(made))
        assert same(read, made), (seed, text)
        assert text_of(read) == text, seed


def test_blocks_stay_in_the_json_and_are_named_by_their_ids() -> None:
    """The text has the id alone. Without the blocks it reads as a document of ids."""
    block = {"id": "b1", "type": "item", "attributes": {"n": 1}}
    made = document({"type": "block", "item": block})
    text = text_of(made)
    assert text == '<block id="b1"/>\n'
    assert parse(text, blocks_of(made)) == made
    assert parse(text) == document({"type": "block", "item": "b1"})


@pytest.mark.parametrize(
    "node",
    [
        {"type": "table", "rows": [1]},
        {"type": "paragraph", "children": [{"type": "span", "value": "a", "marks": []}]},
        {"type": "paragraph", "children": [{"type": "mention", "of": "x"}]},
        {"type": "heading", "level": 9, "children": []},
        {"type": "block", "item": {"attributes": {"n": 1}}},
        {"type": "paragraph", "children": [{"type": "link", "url": "dato:item/5", "children": []}]},
    ],
)
def test_a_block_without_a_form_is_written_as_json(node: Node) -> None:
    """What is around it stays text."""
    made = document(paragraph(span("before")), node, paragraph(span("after")))
    text = text_of(made)
    assert text.startswith("before\n\n<node>\n{")
    assert text.endswith("}\n</node>\n\nafter\n")
    assert parse(text) == made


@pytest.mark.parametrize(
    "value",
    [
        {"schema": "dast", "document": {"type": "root", "children": []}},
        {"schema": "dast", "document": {"type": "root", "children": "x"}},
        {"schema": "dast", "more": 1, "document": {"type": "root", "children": [paragraph(span("a"))]}},
    ],
)
def test_a_document_without_a_form_is_written_as_json(value: Node) -> None:
    """Whole, and so it comes back."""
    text = text_of(value)
    assert text.startswith("<document>\n")
    assert parse(text) == value


def test_numbers_and_half_characters_are_kept() -> None:
    """Digits beyond a float, and a surrogate that UTF-8 cannot hold."""
    made = load(
        '{"schema": "dast", "document": {"type": "root", "children": ['
        '{"type": "paragraph", "weight": 1.00000000000000000001, "children": [{"type": "span", "value": "\\ud800"}]}]}}'
    )
    text = text_of(made)
    assert "1.00000000000000000001" in text.encode().decode()
    assert same(parse(text), made)


@pytest.mark.parametrize("text", ["####### seven\n", "<node>\n{}\n", '> <block id="1"/>\n', "- > a\n"])
def test_a_text_that_is_no_document_is_refused(text: str) -> None:
    """It says so, and returns nothing."""
    with pytest.raises(DastTextError):
        parse(text)


def test_a_text_may_be_wrapped_by_hand() -> None:
    """Lines of one paragraph are joined by spaces."""
    assert parse("a\nb **c**\n") == document(paragraph(span("a b "), span("c", "strong")))
