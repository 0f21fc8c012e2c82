"""Changes in words: a short line for logs and lists, such as `Body (en): 3 words changed, paragraph split`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from versionsync.history.diff.equality import is_empty
from versionsync.history.diff.model import (
    ABSENT,
    Change,
    ChangeKind,
    ContentDiff,
    Json,
    Operation,
    Restructuring,
    SpanOperation,
)
from versionsync.history.diff.schema import Schema
from versionsync.text import count, printable

__all__ = ["describe", "place_in_words", "plain_number", "summarize"]

SHOWN_CHARACTERS: Final = 40
"""A value that is longer is not quoted."""
_SEPARATOR: Final = " › "
_NODE_NAMES: Final = {
    "block": "block",
    "blockquote": "quote",
    "code": "code",
    "heading": "heading",
    "inlineBlock": "block",
    "item": "block",
    "list": "list",
    "listItem": "list item",
    "paragraph": "paragraph",
    "root": "document",
    "thematicBreak": "rule",
}
_FILE_TYPES: Final = frozenset({"file", "gallery", "seo"})
_PLAIN_MEMBERS: Final = frozenset({"upload_id"})
"""Members that stand for the value itself."""
_DONE: Final = {
    Restructuring.SPLIT: "split",
    Restructuring.MERGED: "merged",
    Restructuring.REDIVIDED: "divided otherwise",
    Restructuring.REPLACED: "replaced",
}


def describe(change: Change, schema: Schema) -> str:
    """Return a change in words, with its place: `Title (en): 3 words changed`."""
    return f"{place_in_words(change, schema)}: {_what(change, schema)}"


def summarize(diff: ContentDiff, schema: Schema, *, most: int = 3) -> str:
    """Return a diff in one line.

    Args:
        diff: The diff.
        schema: The fields, for their labels.
        most: The number of places that are named; the others are counted.

    Returns:
        Changes of one place together, as `Title (en): 3 words changed; Body (en): paragraph split; 2 more fields`.
    """
    if not diff.changes:
        return "no changes"
    places: dict[str, list[Change]] = {}
    for change in diff.changes:
        places.setdefault(place_in_words(change, schema), []).append(change)
    lines = [f"{place}: {', '.join(_together(changes, schema))}" for place, changes in list(places.items())[:most]]
    if len(places) > most:
        lines.append(count(len(places) - most, "more place"))
    return "; ".join(lines)


def place_in_words(change: Change, schema: Schema) -> str:
    """Return the place of a change by labels: field of the record, block around, field of the block, locale."""
    place = change.place
    names = []
    if place.block_path:
        names.append(_label_of_record_field(change, schema))
        names.append(_model_name(place.model_id, schema))
        field = schema.of_model(place.model_id).get(place.field)
        names.append(field.label if field is not None else place.field)
    else:
        field = schema.of_model(place.model_id).get(place.field)
        names.append(field.label if field is not None else place.field)
    locale = f" ({place.locale})" if place.locale is not None else ""
    return printable(_SEPARATOR.join(names) + locale)


def _label_of_record_field(change: Change, schema: Schema) -> str:
    field_id = change.place.record_field_id
    for fields in schema.fields.values():
        field = fields.get(change.place.record_field)
        if field is not None and field.id == field_id:
            return field.label
    return change.place.record_field


def _together(changes: Iterable[Change], schema: Schema) -> list[str]:
    """Return what changed at one place: words are added up, and what happened twice is counted."""
    texts = []
    numbers: dict[str, int] = {}
    added = removed = 0
    for change in changes:
        if change.kind is ChangeKind.TEXT and change.operation is Operation.CHANGED and not change.is_limited:
            added, removed = added + change.words_added, removed + change.words_removed
            texts.append(change)
        else:
            what = _what(change, schema)
            numbers[what] = numbers.get(what, 0) + 1
    parts = [_words(added, removed)] if texts else []
    return parts + [what if number == 1 else f"{what} ({number} times)" for what, number in numbers.items()]


def _what(change: Change, schema: Schema) -> str:
    member = ".".join(step for step in change.place.member if isinstance(step, str) and step not in _PLAIN_MEMBERS)
    what = _KINDS[change.kind](change, schema)
    limited = " (too long to compare word by word)" if change.is_limited else ""
    return printable(f"{member} {what}" if member else what) + limited


def _text(change: Change, _: Schema) -> str:
    if change.operation is Operation.ADDED:
        return f"text added ({count(change.words_added, 'word')})"
    if change.operation is Operation.REMOVED:
        return f"text removed ({count(change.words_removed, 'word')})"
    return _words(change.words_added, change.words_removed)


def _words(added: int, removed: int) -> str:
    if added == removed:
        return f"{count(added, 'word')} changed" if added else "punctuation or spaces changed"
    if not added or not removed:
        return f"{count(added, 'word')} added" if added else f"{count(removed, 'word')} removed"
    return f"{count(added, 'word')} added, {removed:,} removed"


def _formatting(change: Change, _: Schema) -> str:
    spans = [span for span in change.spans if span.operation is SpanOperation.FORMATTED]
    has_links = any(span.link != span.link_before for span in spans)
    has_marks = any(span.marks != span.marks_before for span in spans)
    return "link changed" if has_links and not has_marks else "formatting changed"


def _attribute(change: Change, _: Schema) -> str:
    before, after = _shown(change.before), _shown(change.after)
    if change.operation is Operation.ADDED:
        return f"set to {after}" if after else "set"
    if change.operation is Operation.REMOVED:
        return f"removed (was {before})" if before else "removed"
    return f"changed from {before} to {after}" if before and after else "changed"


def _reference(change: Change, schema: Schema) -> str:
    field = schema.of_model(change.place.model_id).get(change.place.field)
    noun = "file" if field is not None and field.field_type in _FILE_TYPES else "record"
    what = "replaced" if change.operation is Operation.CHANGED else str(change.operation)
    if isinstance(change.before, dict) and "children" in change.before:
        return f"link to a record {what}"
    values = [value for value in (change.before, change.after) if isinstance(value, list)]
    return f"{count(len(values[-1]), noun)} {what}" if values else f"{noun} {what}"


def _structure(change: Change, schema: Schema) -> str:
    before, after = change.before, change.after
    words = change.words_added or change.words_removed
    if change.restructuring is Restructuring.RETYPED:
        old, new = _noun(before, schema), _noun(after, schema)
        return f"{old} turned into {new}" if old != new else f"{old} in another list or quote"
    is_before = is_empty(after) or change.restructuring is Restructuring.MERGED
    noun = _noun(before if is_before else after, schema)
    if change.restructuring is Restructuring.SPLIT:
        noun = _noun(before, schema)
    if change.restructuring is not None:
        moved = "moved and " if change.operation is Operation.MOVED else ""
        return f"{noun} {moved}{_DONE[change.restructuring]}"
    for word, home in (("to", change.moved_to), ("from", change.moved_from)):
        if home is not None:
            return f"{noun} moved {word} {place_in_words(replace(change, place=home), schema)}"
    size = f" ({count(words, 'word')})" if words else ""
    return f"{noun} {change.operation}{size}"


def _noun(value: Json, schema: Schema) -> str:
    """Return what a node or block is: `paragraph`, `Quote block`, `2 blocks`."""
    if isinstance(value, list):
        nouns = {_noun(one, schema) for one in value}
        if len(value) == 1:
            return nouns.pop()
        return count(len(value), nouns.pop()) if len(nouns) == 1 else count(len(value), "part")
    if not isinstance(value, dict):
        return "block"
    name = _NODE_NAMES.get(str(value.get("type")), "part")
    item = value.get("item") if value.get("type") in ("block", "inlineBlock") else value
    if name == "block" and isinstance(item, dict):
        name = _model_name(_model_of(item), schema)
        return name if name == "block" else f"{name} block"
    return name


def _model_name(model_id: str | None, schema: Schema) -> str:
    return schema.model_names.get(model_id or "", "block") if model_id is not None else "block"


def _model_of(item: dict[str, Json]) -> str | None:
    match item:
        case {"relationships": {"item_type": {"data": {"id": str(id)}}}}:
            return id
    return None


def _shown(value: Json) -> str:
    """Return a short value as text, and nothing for a long one."""
    if value is ABSENT or isinstance(value, dict | list):
        return ""
    if isinstance(value, str):
        text = f"“{value}”"
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    elif value is None:
        text = "nothing"
    else:
        text = plain_number(msgspec.json.encode(value).decode())
    return text if len(text) <= SHOWN_CHARACTERS else ""


def plain_number(spelled: str) -> str:
    """Return a number as people write it: 3.9 for 39e-1, unless it is very small or large."""
    try:
        number = Decimal(spelled)
        return f"{number:f}" if abs(number.adjusted()) < SHOWN_CHARACTERS else spelled
    except (InvalidOperation, ValueError):
        return spelled


_KINDS: Final = {
    ChangeKind.TEXT: _text,
    ChangeKind.FORMATTING: _formatting,
    ChangeKind.ATTRIBUTE: _attribute,
    ChangeKind.STRUCTURE: _structure,
    ChangeKind.REFERENCE: _reference,
}
