"""Values in words: dates, colours, coordinates, files, records, blocks. Pure.

Text from a content stays as it is. The terminal and the pages replace what would be obeyed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

import msgspec

from versionsync.history.diff.documents import is_document, text_of
from versionsync.history.diff.lines import block_id_of, block_model_of
from versionsync.history.diff.members import is_block
from versionsync.history.diff.model import ABSENT, Absent, Json
from versionsync.history.diff.schema import Schema
from versionsync.history.diff.tokens import BREAK, NODE

__all__ = [
    "MARKS",
    "Names",
    "block_in_words",
    "label_of_member",
    "node_in_words",
    "shortened",
    "text_of_node",
    "value_in_words",
]

MARKS: Final = {
    "strong": "bold",
    "emphasis": "italic",
    "underline": "underlined",
    "strikethrough": "struck through",
    "highlight": "highlighted",
    "code": "code",
}
"""Marks of a text, in words."""
_MEMBERS: Final = {
    "alt": "alternative text",
    "custom_data": "custom data",
    "focal_point": "focal point",
    "level": "heading level",
    "no_index": "hidden from search engines",
    "twitter_card": "card for X",
    "upload_id": "file",
}
_NODES: Final = {
    "blockquote": "quote",
    "code": "code",
    "heading": "heading",
    "inlineBlock": "block in the text",
    "inlineItem": "record in the text",
    "list": "list",
    "listItem": "list item",
    "paragraph": "paragraph",
    "thematicBreak": "horizontal line",
}
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_REFERENCES: Final = frozenset({"link", "links"})
_FILES: Final = frozenset({"file", "gallery"})
_LISTED: Final = 5
"""How many elements of a list are named."""
_DIGITS: Final = 20
_SHORT_ID: Final = 8
_LONG_ID: Final = 22
"""Ids of this length are random; the beginning names them too."""


@dataclass(frozen=True, slots=True)
class Names:
    """What people call records, files, models and fields.

    Attributes:
        schema: The names of fields and models.
        titles: The titles of records by id. Those that are not in it are named by their ids.
        files: The names of files by the ids of their uploads.
    """

    schema: Schema = field(default_factory=Schema)
    titles: Mapping[str, str | None] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def record(self, id: str) -> str:
        """Return the title of a record in quotes, or its id."""
        title = self.titles.get(id)
        return f"“{title}”" if title else f"record {_short(id)}"

    def file(self, id: str) -> str:
        """Return the name of a file, or its id."""
        return self.files.get(id) or f"file {_short(id)}"

    def model(self, id: str | None) -> str | None:
        """Return the name of a model. None: it is not known."""
        return self.schema.model_names.get(id) or None if id is not None else None

    def field(self, model_id: str | None, api_key: str) -> str:
        """Return the label of a field, or its API key."""
        known = self.schema.of_model(model_id).get(api_key)
        return known.label if known is not None and known.label else api_key

    def field_type(self, model_id: str | None, api_key: str) -> str | None:
        """Return the type of a field. None: it is not known."""
        known = self.schema.of_model(model_id).get(api_key)
        return known.field_type if known is not None else None


def value_in_words(value: Json | Literal[Absent.ABSENT], field_type: str | None, names: Names) -> str:
    """Return a value as editors would say it; an empty one as a dash.

    Args:
        value: The value of a field, or of a member or element of it.
        field_type: The type of the field. None: it is not known, or says nothing about the value.
        names: What people call records and files.
    """
    if value is ABSENT or value is None or value in ("", [], {}):
        return "–"
    match value:
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return str(value)
        case msgspec.Raw():
            return _number(bytes(value).decode(errors="replace"))
        case str():
            return _text_in_words(value, field_type, names)
        case list():
            return _list_in_words(value, field_type, names)
        case dict():
            return _object_in_words(value, names)
    return str(value)


def _number(text: str) -> str:
    """Return a number as people write it, with all of its digits; one of many digits as it is spelled."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return f"{number:f}" if abs(number.adjusted()) < _DIGITS else text


def _text_in_words(value: str, field_type: str | None, names: Names) -> str:
    if field_type in _REFERENCES:
        return names.record(value)
    if field_type in _FILES:
        return names.file(value)
    if field_type in ("date", "date_time"):
        return _date_in_words(value)
    if field_type in ("single_block", "rich_text"):
        return f"block {_short(value)}"
    return value


def _date_in_words(value: str) -> str:
    """Return `3 March 2026`, or `3 March 2026, 12:00 (+01:00)` in the zone that is written."""
    try:
        if _DATE.fullmatch(value):
            day = date.fromisoformat(value)
            return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    seconds = f":{at:%S}" if at.second else ""
    zone = "" if at.tzinfo is None else " UTC" if not at.utcoffset() else f" ({value[-6:]})"
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M}{seconds}{zone}"


def _list_in_words(value: list[Json], field_type: str | None, names: Names) -> str:
    words = [value_in_words(one, field_type, names) for one in value[:_LISTED]]
    more = [f"{len(value) - _LISTED:,} more"] if len(value) > _LISTED else []
    return ", ".join([*words, *more])


def _object_in_words(value: dict[str, Json], names: Names) -> str:
    match value:
        case {"red": int(red), "green": int(green), "blue": int(blue)}:
            alpha = value.get("alpha", 255)
            seen = "" if alpha == 255 or not isinstance(alpha, int) else f", {round(alpha / 2.55)} % opaque"
            return f"#{red & 255:02x}{green & 255:02x}{blue & 255:02x}{seen}"
        case {"latitude": int() | float() as latitude, "longitude": int() | float() as longitude}:
            return f"{_degrees(latitude, 'NS')}, {_degrees(longitude, 'EW')}"
        case {"upload_id": str(id)}:
            said = value.get("title") or value.get("alt")
            return f"{names.file(id)} (“{said}”)" if isinstance(said, str) else names.file(id)
        case {"url": str(url), "provider": _}:
            title = value.get("title")
            return f"“{title}” ({url})" if isinstance(title, str) and title else url
        case {"type": "item", "attributes": dict()}:
            return block_in_words(value, names)
        case {"title": _, "description": _}:
            said = [f"{name}: {text}" for name, text in value.items() if isinstance(text, str) and name != "image"]
            return "; ".join(said) or "–"
    if is_document(value):
        return text_of(value)[0].text.replace(BREAK, " ¶ ").replace(NODE, "▢")
    return _as_json(value)


def _as_json(value: Json) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, RecursionError):
        try:
            return json.dumps(value, default=str)
        except RecursionError:
            return "a value that nests too deep to be shown"


def _degrees(value: float, letters: str) -> str:
    return f"{abs(value):g}° {letters[value < 0]}"


def block_in_words(value: Json, names: Names) -> str:
    """Return the name of a block's model, and how its text begins."""
    name = names.model(block_model_of(value)) or "block"
    if not is_block(value):
        return name
    text = next(_texts_of_block(value), "")
    return f"{name} (“{shortened(text, 8)}”)" if text else f"{name} {_short(block_id_of(value) or '')}".rstrip()


def _texts_of_block(value: Json) -> Iterator[str]:
    """Yield the texts in a block that have more than a word."""
    for inner in value["attributes"].values():
        if isinstance(inner, str) and " " in inner:
            yield inner
        elif is_document(inner):
            yield text_of(inner)[0].text.replace(BREAK, " ").replace(NODE, "")
        elif isinstance(inner, list):
            for one in inner:
                if is_block(one):
                    yield from _texts_of_block(one)


def text_of_node(node: Json) -> str:
    """Return the text of a paragraph, heading or piece of code; other nodes have none."""
    if not isinstance(node, dict):
        return ""
    if isinstance(node.get("code"), str):
        return str(node["code"])
    return text_of({"schema": "dast", "document": {"type": "root", "children": [node]}})[0].text.replace(NODE, "▢")


def node_in_words(node: Json, names: Names) -> str:
    """Return what a node of a structured text is: `heading`, `paragraph`, `block Quote`."""
    if not isinstance(node, dict):
        return "node"
    type = node.get("type")
    if type == "block":
        name = names.model(block_model_of(node.get("item")))
        return f"block ({name})" if name else "block"
    if type == "heading" and isinstance(level := node.get("level"), int):
        return f"heading {level}"
    return _NODES.get(type, type) if isinstance(type, str) else "node"


def label_of_member(name: str) -> str:
    """Return what people call a member of a value: `alt` is the alternative text."""
    return _MEMBERS.get(name, name)


def shortened(text: str, words: int) -> str:
    """Return the first words of a text, with an ellipsis if there are more."""
    parts = text.split(maxsplit=words)
    return " ".join(parts[:words]) + (" …" if len(parts) > words else "")


def _short(id: str) -> str:
    return id[:_SHORT_ID] if len(id) == _LONG_ID else id
