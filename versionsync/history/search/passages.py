"""The passages of a content: the texts in which the search finds words. Pure.

A passage is a paragraph of a structured text, a line of a plain text, a text in a member of an SEO value or of JSON, or
a number or date as it is written. HTML tags are no part of it. Links, files, colours and booleans have none.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from versionsync.history.diff.documents import is_document
from versionsync.history.diff.lines import block_id_of, block_model_of
from versionsync.history.diff.members import is_block
from versionsync.history.diff.schema import Schema, SchemaField
from versionsync.history.diff.summary import plain_number
from versionsync.ledger.content import ContentError, parse_value

__all__ = ["Passage", "PassagePlace", "changed_passages", "passage_hash"]

_WITHOUT: Final = frozenset({"boolean", "color", "link", "links"})
_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "file": ("alt", "title", "custom_data"),
    "gallery": ("alt", "title", "custom_data"),
    "seo": ("title", "description"),
    "video": ("title", "url"),
}
"""The members of a value that are texts."""
_VALUES: Final = frozenset({"file", "json", "lat_lon", "seo", "single_block", "structured_text", "video"})
"""Types whose value may be an object. Of all others, an object holds locales."""
_BREAKS: Final = re.compile(
    r"</?(?:address|article|aside|blockquote|br|dd|div|dl|dt|figcaption|figure|footer|h[1-6]|header|hr|li|main|nav|ol|p|"
    r"pre|section|table|tbody|td|tfoot|th|thead|tr|ul)\b[^<>]*>",
    re.IGNORECASE,
)
_TAGS: Final = re.compile("</?[A-Za-z!][^<>]*>")
_ENTITIES: Final = re.compile("&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_NOT_STORABLE: Final = re.compile("[\0\ud800-\udfff]")
_INLINE: Final = frozenset({"inlineBlock", "inlineItem", "itemLink", "link", "span"})


class PassagePlace(NamedTuple):
    """Where a passage is.

    Attributes:
        record_field: The record's field that holds it: the id, or the API key if the schema does not know it.
        field_id: The innermost field. None: the schema does not know it.
        field: The API key of the innermost field.
        locale: The innermost locale. None: nothing on the way is localized.
        block_path: Ids of the blocks around it, outermost first.
    """

    record_field: str
    field_id: str | None
    field: str
    locale: str | None = None
    block_path: tuple[str, ...] = ()


class Passage(NamedTuple):
    """A text at a place. Two passages with one key are the same: a passage may move to another block."""

    place: PassagePlace
    text: str

    @property
    def key(self) -> tuple[str, str, str | None, str]:
        """What makes it this one: field of the record, innermost field, locale and text."""
        place = self.place
        return place.record_field, place.field_id or place.field, place.locale, self.text


def passage_hash(passage: Passage) -> int:
    """Return the key as a number of 64 bits, with a sign."""
    place = passage.place
    key = f"{place.record_field}\0{place.field_id or place.field}\0{place.locale or ''}\0{passage.text}"
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big", signed=True)


def changed_passages(
    before: Mapping[str, Any] | None, after: Mapping[str, Any], schema: Schema, model_id: str
) -> tuple[list[Passage], list[Passage]]:
    """Return the passages that only `after` has, and those that only `before` has.

    Args:
        before: The content before, as `versionsync.ledger.content.parse_value` returns it. None: there was none.
        after: The content after.
        schema: The fields, for both.
        model_id: The record's model.
    """
    reader = _Reader(schema)
    fields = schema.of_model(model_id)
    added: list[Passage] = []
    removed: list[Passage] = []
    former = before or {}
    for name in {**former, **after}:
        old, new = former.get(name), after.get(name)
        if _is_same(old, new):
            continue
        field = fields.get(name)
        now = {one.key: one for one in reader.field(name, field, new)}
        then = {one.key: one for one in reader.field(name, field, old)}
        added += (one for key, one in now.items() if key not in then)
        removed += (one for key, one in then.items() if key not in now)
    return added, removed


def _is_same(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except RecursionError:
        return False


class _Reader:
    """Reads the passages of fields by a schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def field(self, name: str, field: SchemaField | None, value: Any) -> list[Passage]:
        """Return the passages of a field of the record. A content that is nested too deep has none."""
        place = PassagePlace(field.id if field else name, field.id if field else None, name)
        found: list[Passage] = []
        try:
            self._field(found, place, field, value)
        except RecursionError:
            return []
        return found

    def _field(self, found: list[Passage], place: PassagePlace, field: SchemaField | None, value: Any) -> None:
        type_ = field.field_type if field is not None else ""
        if value is None or type_ in _WITHOUT:
            return
        if field is not None and field.is_localized and isinstance(value, dict) and not _is_value(type_, value):
            for locale, of_locale in value.items():
                self._value(found, place._replace(locale=locale), type_, of_locale)
        else:
            self._value(found, place, type_, value)

    def _value(self, found: list[Passage], place: PassagePlace, type_: str, value: Any) -> None:
        match value:
            case str():
                parsed = _parsed(value) if type_ == "json" else None
                if isinstance(parsed, (dict, list)):
                    self._value(found, place, "", parsed)
                else:
                    found += [Passage(place, line) for line in _lines(value, with_tags=True)]
            case bool() | None:
                pass
            case int() | msgspec.Raw():
                found.append(Passage(place, plain_number(msgspec.json.encode(value).decode())))
            case list():
                for one in value:
                    self._value(found, place, type_, one)
            case dict() if is_document(value):
                self._nodes(found, place, value["document"]["children"])
            case dict() if is_block(value):
                self._block(found, place, value)
            case dict():
                members = _MEMBERS.get(type_, value)
                for name in members:
                    self._value(found, place, "", value.get(name))

    def _block(self, found: list[Passage], place: PassagePlace, block: Any) -> None:
        if not is_block(block):
            return
        fields = self._schema.of_model(block_model_of(block))
        path = (*place.block_path, block_id_of(block) or "")
        for name, value in block["attributes"].items():
            field = fields.get(name)
            inner = PassagePlace(place.record_field, field.id if field else None, name, place.locale, path)
            self._field(found, inner, field, value)

    def _nodes(self, found: list[Passage], place: PassagePlace, nodes: list[Any]) -> None:
        """Read the nodes of a structured text that hold paragraphs."""
        for node in nodes:
            if not isinstance(node, dict):
                continue
            children = node.get("children")
            if not isinstance(children, list):
                code = node.get("code")
                if isinstance(code, str):
                    found += [Passage(place, line) for line in _lines(code)]
                self._block(found, place, node.get("item"))
            elif children and isinstance(children[0], dict) and children[0].get("type") in _INLINE:
                texts: list[str] = []
                self._inline(found, place, children, texts)
                found += [Passage(place, line) for line in _lines("".join(texts))]
            else:
                self._nodes(found, place, children)

    def _inline(self, found: list[Passage], place: PassagePlace, nodes: list[Any], texts: list[str]) -> None:
        for node in nodes:
            if not isinstance(node, dict):
                continue
            value, children = node.get("value"), node.get("children")
            if isinstance(value, str):
                texts.append(value)
            elif isinstance(children, list):
                self._inline(found, place, children, texts)
            else:
                self._block(found, place, node.get("item"))


def _is_value(field_type: str, value: dict[str, Any]) -> bool:
    """Return whether an object in a localized field is a value that was not localized when it was written."""
    if field_type not in _VALUES:
        return False
    return is_document(value) or is_block(value) or any(name in value for name in _MEMBERS.get(field_type, ()))


def _parsed(text: str) -> Any:
    try:
        return parse_value(text.encode())
    except (ContentError, UnicodeEncodeError):
        return None


def _lines(text: str, *, with_tags: bool = False) -> list[str]:
    """Return the lines of a text, each with single spaces; HTML as people read it."""
    if with_tags:
        if "<" in text:
            text = _TAGS.sub("", _BREAKS.sub("\n", text))
        if "&" in text:
            text = _ENTITIES.sub(lambda match: html.unescape(match[0]), text)
    if not text.isascii() or "\0" in text:
        text = _NOT_STORABLE.sub("\ufffd", text)
    lines = text.split("\n") if "\n" in text else [text]
    return [words for line in lines if (words := " ".join(line.split()))]
