"""The lines of a field for blame: its units, and the lines in them with a place for the author of each word. Pure.

A unit is a part of a field that is compared as a whole first: a paragraph or block of a structured text, a block of
modular content, a line of a plain text, a member of an SEO value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from versionsync.history.diff.documents import is_document
from versionsync.history.diff.lines import Line, LineSort, block_id_of, block_model_of, read_lines
from versionsync.history.diff.members import is_block
from versionsync.history.diff.schema import Schema
from versionsync.history.diff.texts import Text
from versionsync.history.diff.tokens import split_words
from versionsync.history.diff.values import TEXT_TYPES
from versionsync.ledger.content import ContentError, parse_value

__all__ = ["BlamedLine", "FieldReader", "Passage", "TextPlace", "Unit", "members_of", "parsed"]

LONG_LINE: Final = 1000
"""A line of a plain text that has more characters is read by sentences."""

_LINES: Final = re.compile(r"[^\n]*\n|[^\n]+")
_ENDS: Final = (". ", "! ", "? ")
_CUT: Final = "\x00"
_SEO: Final = ("title", "description", "image")


class TextPlace(NamedTuple):
    """Where a text is within its field.

    Attributes:
        block_path: Ids of the blocks around it, outermost first.
        model_id: Model of the innermost block. None: it is in no block.
        field: API key of the innermost block's field; that of the record's field outside of blocks.
        locale: The innermost locale.
        type: The type of the node in a structured text, `text` in a plain text, `value` of what is no text.
        member: The member of the value that it is, such as the title of an SEO value.
    """

    block_path: tuple[str, ...]
    model_id: str | None
    field: str
    locale: str | None
    type: str
    member: str | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """Words in a row with one author.

    Attributes:
        text: The words. U+FFFC stands for a node without a text.
        author: The position of the version among those that were given.
        nodes: For each node in the words the record that it points to, or None.
    """

    text: str
    author: int
    nodes: tuple[str | None, ...] = ()


class BlamedLine:
    """A line with the author of each of its words; the last word is empty."""

    __slots__ = ("authors", "line", "place", "text", "words")

    def __init__(self, line: Line, place: TextPlace) -> None:
        self.line = line
        self.place = place
        self.text = line.text.text
        self.words = line.text.words if line.text.nodes else [word for _, word in split_words(self.text)]
        self.authors: list[int] = []

    def passages(self) -> Iterator[Passage]:
        """The text, cut where the author changes. Punctuation right after a word belongs to the word."""
        text, authors, nodes, start = self.text, self.authors, self.line.text.nodes, 0
        if not text:
            return
        ends, last = self.line.text.ends, len(authors) - 1
        for index, end in enumerate(ends):
            if index != last and authors[index + 1] == authors[index]:
                continue
            if index != last and not nodes:
                next_word = ends[index + 1] - len(self.words[index + 1])
                end = next((at for at in range(end, next_word) if text[at].isspace()), end)
            its = (node.record_id for place, node in nodes.items() if start <= place < end) if nodes else ()
            yield Passage(text[start:end], authors[index], tuple(its))
            start = end


class Unit(NamedTuple):
    """A part of a field that is compared as a whole first."""

    key: bytes | str
    lines: Sequence[BlamedLine]


class _Root(msgspec.Struct):
    children: list[msgspec.Raw]


class _Dast(msgspec.Struct):
    document: _Root


_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_DAST = msgspec.json.Decoder(_Dast)
_UNITED: Final = frozenset({"rich_text", "seo", "single_block", "structured_text", *TEXT_TYPES})
"""Types whose values are made of units."""


def parsed(raw: bytes | str) -> Any:
    try:
        return parse_value(raw.encode() if isinstance(raw, str) else raw)
    except (ContentError, UnicodeEncodeError):
        return None


def members_of(text: bytes) -> dict[str, bytes]:
    """Return the members of a JSON object as they are spelled; none if it is no object."""
    try:
        return {name: bytes(raw) for name, raw in _MEMBERS.decode(text).items()}
    except msgspec.DecodeError:
        value = parsed(text)
        return {name: _spelled(inner) for name, inner in value.items()} if isinstance(value, dict) else {}


def _spelled(value: Any) -> bytes:
    """Spell a value that msgspec cannot read, such as one with a lone surrogate."""
    return json.dumps(value, default=lambda number: bytes(number).decode(errors="replace")).encode()


@dataclass(frozen=True, slots=True)
class FieldReader:
    """Reads the values of one field in one locale."""

    schema: Schema
    name: str
    locale: str | None
    field_type: str | None

    def units(self, raw: bytes) -> Sequence[bytes | str] | None:
        """Return the keys of the units of a value. None: it is no text."""
        type = self.field_type
        if type is not None and type not in _UNITED:
            return None
        try:
            if raw[:1] == b'"' and (type in TEXT_TYPES or (type is None and b" " in raw)):
                return _parts(msgspec.json.decode(raw, type=str))
            if raw[:1] == b"{" and type == "seo":
                members = _MEMBERS.decode(raw)
                names = [*(name for name in _SEO if name in members), *sorted(members.keys() - set(_SEO))]
                return [b'{"%s":%s}' % (name.encode(), bytes(members[name])) for name in names]
            if raw[:1] == b"{" and b'"dast"' in raw:
                return list(map(bytes, _DAST.decode(raw).document.children))
            if raw[:1] == b"[" and b'"attributes"' in raw:
                return list(map(bytes, _ELEMENTS.decode(raw)))
            if raw[:1] == b"{" and b'"attributes"' in raw:
                return [raw]
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return None

    def lines(self, key: bytes | str) -> list[BlamedLine]:
        """Return the lines of a unit, without authors."""
        place = TextPlace((), None, self.name, self.locale, "text")
        if isinstance(key, str):
            return [_plain_line(key, place)]
        value = parsed(key)
        if self.field_type == "seo" and isinstance(value, dict):
            return [
                _plain_line(inner if isinstance(inner, str) else json.dumps(inner), place._replace(member=name))
                for name, inner in value.items()
                if inner is not None
            ]
        if is_block(value):
            return list(self._block(value, place))
        return list(self._nodes([value], place))

    def _nodes(self, nodes: list[Any], place: TextPlace) -> Iterator[BlamedLine]:
        """Yield the lines of some nodes of a structured text, those of a block in place of the block."""
        for line in read_lines(nodes, ()):
            if line.sort is LineSort.TEXT:
                yield BlamedLine(line, place._replace(type=line.type))
            elif line.sort is LineSort.BLOCK:
                yield from self._block(line.node["item"], place)
            for block in line.inline_blocks:
                yield from self._block(block.item, place)

    def _block(self, block: Any, place: TextPlace) -> Iterator[BlamedLine]:
        if not is_block(block):
            return
        model_id = block_model_of(block)
        fields = self.schema.of_model(model_id)
        inside = place._replace(
            block_path=(*place.block_path, block_id_of(block) or ""), model_id=model_id, type="text"
        )
        values = block["attributes"]
        for name in [*(name for name in fields if name in values), *sorted(values.keys() - fields.keys())]:
            one = fields.get(name)
            value = values[name]
            type = one.field_type if one is not None else None
            by_locale = value.items() if one is not None and one.is_localized and isinstance(value, dict) else None
            for locale, inner in by_locale or ((inside.locale, value),):
                yield from self._inner(inner, type, inside._replace(field=name, locale=locale))

    def _inner(self, value: Any, field_type: str | None, place: TextPlace) -> Iterator[BlamedLine]:
        """Yield the lines of the value of a block's field."""
        if isinstance(value, str):
            if field_type in TEXT_TYPES or (field_type is None and " " in value):
                yield from (_plain_line(part, place) for part in _parts(value))
        elif is_document(value):
            yield from self._nodes(value["document"]["children"], place)
        elif is_block(value):
            yield from self._block(value, place)
        elif isinstance(value, list):
            for one in value:
                yield from self._block(one, place)


def _parts(text: str) -> list[str]:
    """Cut a plain text at its line breaks, and long lines after their sentences. The parts are the whole text."""
    lines: list[str] = _LINES.findall(text)
    return [part for line in lines for part in (_sentences(line) if len(line) > LONG_LINE else (line,))]


def _sentences(line: str) -> list[str]:
    for end in _ENDS if _CUT not in line else ():
        line = line.replace(end, end + _CUT)
    return line.split(_CUT)


def _plain_line(text: str, place: TextPlace) -> BlamedLine:
    return BlamedLine(
        Line(LineSort.TEXT, "text", (), None, (), Text(text), key=text.encode(errors="surrogatepass")), place
    )
