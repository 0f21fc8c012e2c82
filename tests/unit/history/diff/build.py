"""Short ways to write contents and read diffs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from versionsync.history.diff import Change, ContentDiff, Schema, SchemaField, SpanOperation, apply, compare

Json = Any
MODEL = "article"

_SHOWN = {
    SpanOperation.EQUAL: "{}",
    SpanOperation.ADDED: "[+{}]",
    SpanOperation.REMOVED: "[-{}]",
    SpanOperation.FORMATTED: "[~{}]",
}


def schema(field_type: str, *, localized: bool = False) -> Schema:
    """A schema whose article has one field, `value`, and whose block `quote` has the text `words`."""
    return Schema.of(
        [
            (
                MODEL,
                SchemaField(id="f1", api_key="value", label="Value", field_type=field_type, is_localized=localized),
            ),
            ("quote", SchemaField(id="f2", api_key="words", label="Words", field_type="text", is_localized=False)),
            ("quote", SchemaField(id="f3", api_key="inner", label="Inner", field_type="rich_text", is_localized=False)),
        ],
        {MODEL: "Article", "quote": "Quote"},
    )


def diff_of(before: Json, after: Json, field_type: str, *, localized: bool = False) -> ContentDiff:
    """Compare two values of a field, and check that the diff is complete."""
    old, new = {"value": before}, {"value": after}
    diff = compare(old, new, schema(field_type, localized=localized), MODEL)
    assert apply(diff, old) == new
    back = compare(new, old, schema(field_type, localized=localized), MODEL)
    assert apply(back, new) == old
    return diff


def kinds(changes: Sequence[Change]) -> list[str]:
    """The changes as `structure changed split`."""
    return [" ".join(filter(None, (change.kind, change.operation, change.restructuring))) for change in changes]


def shown(change: Change) -> str:
    """The spans of a change, with what was added, removed and formatted in brackets; a node is an asterisk."""
    return "".join(_SHOWN[span.operation].format("¶" if span.is_border else span.text or "*") for span in change.spans)


def span(text: str, *marks: str) -> Json:
    return {"type": "span", "value": text, "marks": list(marks)} if marks else {"type": "span", "value": text}


def para(*children: Json) -> Json:
    return {"type": "paragraph", "children": [span(child) if isinstance(child, str) else child for child in children]}


def heading(text: str, level: int = 2) -> Json:
    return {"type": "heading", "level": level, "children": [span(text)]}


def bullets(*texts: str, style: str = "bulleted") -> Json:
    items = [{"type": "listItem", "children": [para(text)]} for text in texts]
    return {"type": "list", "style": style, "children": items}


def dast(*nodes: Json) -> Json:
    return {"schema": "dast", "document": {"type": "root", "children": list(nodes)}}


def block(id: str, words: str, *inner: Json, model: str = "quote") -> Json:
    attributes: Json = {"words": words}
    if inner:
        attributes["inner"] = list(inner)
    model_of = {"item_type": {"data": {"id": model, "type": "item_type"}}}
    return {"id": id, "type": "item", "attributes": attributes, "relationships": model_of}
