"""Who wrote each passage of a text: the version in which its words appeared, over all versions of a record. Pure.

The versions are read in their order. A unit of a field (a paragraph, a block, a line of a plain text) that has the
same bytes as in the version before keeps what is known of it, so each version costs as much as it changed:

1. A unit or line that any earlier version had keeps its authors: it was moved, copied, or restored.
2. What is left is compared with what is gone, by lines and then by words. Words that stayed keep their authors.
3. A passage of at least `SURE_WORDS` words that is gone from anywhere in the field, now or in an earlier version, keeps
   its authors when it comes back.
4. All other words are the version's own. So are one or two words that stayed between longer passages that did not,
   and at the ends of a line most of which was rewritten.

A value that is no text has one author: the version that set it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from versionsync.history.diff.alignment import align
from versionsync.history.diff.documents import is_document
from versionsync.history.diff.equality import is_same, is_same_instant
from versionsync.history.diff.lines import Line, LineSort, block_id_of, block_model_of, read_lines
from versionsync.history.diff.matching import match_lines
from versionsync.history.diff.members import is_block
from versionsync.history.diff.schema import Schema
from versionsync.history.diff.texts import Text
from versionsync.history.diff.tokens import split_words
from versionsync.history.diff.values import TEXT_TYPES
from versionsync.ledger.content import ContentError, parse_value

__all__ = ["BlamedContent", "BlamedText", "Passage", "TextPlace", "blame"]

SURE_WORDS: Final = 4
"""Fewer words than this may come back by chance."""
STRAY_WORDS: Final = 2
"""Up to this number of words that stayed amid more that did not say nothing."""
IN_PLACE: Final = 8
"""Up to this number of lines are compared one by one first."""
LONG_LINE: Final = 1000
"""A line of a plain text that has more characters is read by sentences."""

_LINES: Final = re.compile(r"[^\n]*\n|[^\n]+")
_ENDS: Final = (". ", "! ", "? ")
_CUT: Final = "\x00"
_NO_AUTHOR: Final = -1
_SEO: Final = ("title", "description", "image")

Shingle = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BlamedContent:
    """The content of a version.

    Attributes:
        text: The attributes as JSON.
        model_id: The model of the record.
        schema: The fields when the content was read.
        keys: The API keys that fields have in the newest version, by those that they have here, where they differ.
    """

    text: bytes
    model_id: str
    schema: Schema
    keys: Mapping[str, str] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class BlamedText:
    """A paragraph, plain text or value of the newest version, with its authors.

    Attributes:
        field: API key of the record's field.
        locale: The locale of the record's field.
        place: Where in the field it is.
        passages: In order, they are the whole text.
    """

    field: str
    locale: str | None
    place: TextPlace
    passages: tuple[Passage, ...]


def blame(contents: Iterable[BlamedContent], fields: Iterable[str] | None = None) -> list[BlamedText]:
    """Return who wrote each passage of the last content.

    Args:
        contents: The contents of all versions, oldest first.
        fields: API keys that the wanted fields have in the last content. None: all.
    """
    wanted = None if fields is None else frozenset(fields)
    record = _Record()
    for index, content in enumerate(contents):
        record.read(index, content, wanted)
    return record.result()


class _BlamedLine:
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


class _Unit(NamedTuple):
    """A part of a field that is compared as a whole first."""

    key: bytes | str
    lines: Sequence[_BlamedLine]


class _Root(msgspec.Struct):
    children: list[msgspec.Raw]


class _Dast(msgspec.Struct):
    document: _Root


_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_DAST = msgspec.json.Decoder(_Dast)
_UNITED: Final = frozenset({"rich_text", "seo", "single_block", "structured_text", *TEXT_TYPES})
"""Types whose values are made of units."""


@dataclass(slots=True)
class _Field:
    """What is known of one field: its units now, and everything that it ever said."""

    units: dict[str | None, list[_Unit]] = field(default_factory=dict)
    raws: dict[str | None, bytes] = field(default_factory=dict)
    values: dict[str | None, int] = field(default_factory=dict)
    """The authors of values that are no texts."""
    seen_units: dict[tuple[str | None, bytes | str], _Unit] = field(default_factory=dict)
    seen_lines: dict[str, _BlamedLine] = field(default_factory=dict)
    gone: dict[Shingle, tuple[Sequence[str], Sequence[int], int]] = field(default_factory=dict)
    """Passages that are gone, by each of their runs of SURE_WORDS words: the words, their authors, the position."""


@dataclass(slots=True)
class _Record:
    """Reads one version after another."""

    fields: dict[str, _Field] = field(default_factory=dict)
    raws: dict[str, bytes] = field(default_factory=dict)
    last: BlamedContent | None = None

    def read(self, index: int, content: BlamedContent, wanted: frozenset[str] | None) -> None:
        """Read the version at position `index`."""
        raws = {content.keys.get(name, name): raw for name, raw in _members(content.text).items()}
        known = content.schema.of_model(content.model_id)
        former = {new: old for old, new in content.keys.items()}
        for name in [*raws, *(name for name in self.raws if name not in raws)]:
            if wanted is not None and name not in wanted:
                continue
            raw = raws.get(name, b"null")
            if raw == self.raws.get(name):
                continue
            one = known.get(former.get(name, name))
            is_localized = one is not None and one.is_localized and raw[:1] == b"{"
            by_locale: Mapping[str | None, bytes] = _by_locale(raw) if is_localized else {None: raw}
            state = self.fields.setdefault(name, _Field())
            for locale in [*by_locale, *(locale for locale in state.raws if locale not in by_locale)]:
                value = by_locale.get(locale, b"null")
                if value != state.raws.get(locale):
                    reader = _Reader(content.schema, name, locale, one.field_type if one is not None else None)
                    _Step(state, index, locale).read(reader, value)
        self.raws = raws
        self.last = content

    def result(self) -> list[BlamedText]:
        """Return the texts of the last version, in the order of its fields."""
        if self.last is None:
            return []
        known = self.last.schema.of_model(self.last.model_id)
        ranks = {self.last.keys.get(name, name): rank for rank, name in enumerate(known)}
        order = sorted(self.raws, key=lambda name: (ranks.get(name, len(ranks)), name))
        return [text for name in order if name in self.fields for text in _texts(name, self.fields[name])]


def _texts(name: str, state: _Field) -> Iterator[BlamedText]:
    for locale, raw in state.raws.items():
        if raw in (b"null", b'""', b"[]"):
            continue
        if locale in state.values:
            place = TextPlace((), None, name, locale, "value")
            yield BlamedText(name, locale, place, (Passage(raw.decode(errors="replace"), state.values[locale]),))
            continue
        passages: list[Passage] = []
        last: TextPlace | None = None
        for line in (line for unit in state.units.get(locale, ()) for line in unit.lines):
            if passages and last is not None and (line.place != last or line.place.type not in ("text", "value")):
                yield BlamedText(name, locale, last, tuple(passages))
                passages = []
            for passage in line.passages():
                if passages and passages[-1].author == passage.author:
                    last_one = passages.pop()
                    passage = Passage(last_one.text + passage.text, passage.author, last_one.nodes + passage.nodes)
                passages.append(passage)
            last = line.place
        if passages and last is not None:
            yield BlamedText(name, locale, last, tuple(passages))


@dataclass(frozen=True, slots=True)
class _Step:
    """One version of one field in one locale."""

    state: _Field
    index: int
    locale: str | None

    def read(self, reader: _Reader, raw: bytes) -> None:
        state, locale = self.state, self.locale
        former = state.raws.get(locale)
        state.raws[locale] = raw
        units = None if raw == b"null" else reader.units(raw)
        if units is None and raw != b"null":
            if locale not in state.values or former is None or not _is_same_value(former, raw):
                state.values[locale] = self.index
            state.units.pop(locale, None)
            return
        state.values.pop(locale, None)
        before = state.units.get(locale, [])
        start, end = _common_ends([unit.key for unit in before], units or [])
        old, keys = before[start : len(before) - end], (units or [])[start : len(units or []) - end]
        new = self._units(old, keys, reader)
        state.units[locale] = [*before[:start], *new, *before[len(before) - end :]]

    def _units(self, old: Sequence[_Unit], keys: Sequence[bytes | str], reader: _Reader) -> list[_Unit]:
        """Return the units in place of `old`."""
        state = self.state
        known: dict[bytes | str, list[_Unit]] = {}
        for unit in old:
            known.setdefault(unit.key, []).append(unit)
        new: list[_Unit] = []
        unknown: list[_BlamedLine] = []
        for key in keys:
            here = known.get(key)
            found = here.pop(0) if here else state.seen_units.get((self.locale, key))
            unit = found or _Unit(key, reader.lines(key))
            if found is None:
                unknown += unit.lines
                state.seen_units[self.locale, key] = unit
            new.append(unit)
        gone = [line for units in known.values() for unit in units for line in unit.lines]
        self._lines(gone, unknown)
        return new

    def _lines(self, old: Sequence[_BlamedLine], new: Sequence[_BlamedLine]) -> None:
        """Find the authors of new lines. `old` lines are not in their units any more."""
        known: dict[str, list[_BlamedLine]] = {}
        for line in old:
            known.setdefault(line.text, []).append(line)
        rest: list[_BlamedLine] = []
        for line in new:
            here = known.get(line.text)
            seen = here.pop(0) if here else self.state.seen_lines.get(line.text)
            if seen is not None and seen.words == line.words:
                line.authors = seen.authors
            else:
                rest.append(line)
        left = [line for lines in known.values() for line in lines]
        self._words(left, rest)
        for line in new:
            self.state.seen_lines[line.text] = line

    def _words(self, old: Sequence[_BlamedLine], new: Sequence[_BlamedLine]) -> None:
        """Find the authors of the words of lines that are not the same as any before."""
        added: list[tuple[_Group, list[int]]] = []
        for group in _in_place(old, new) or _groups(old, new):
            authors = [_NO_AUTHOR] * len(group.words_after)
            at = 0
            for i, j, size in group.blocks:
                authors[j : j + size] = group.authors[i : i + size]
                self._forget(group.words_before, group.authors, at, i)
                at = i + size
            self._forget(group.words_before, group.authors, at, len(group.words_before))
            if group.after:
                added.append((group, authors))
        for group, authors in added:
            self._recall(group.words_after, authors)
            at = 0
            for line in group.after:
                number = len(_words_of(line))
                mine = authors[at : at + number]
                _own_strays(mine, self.index, is_rewritten=group.is_rewritten)
                line.authors = [*mine, mine[-1]] if len(line.words) > 1 else mine
                at += number

    def _forget(self, words: Sequence[str], authors: Sequence[int], start: int, end: int) -> None:
        """Remember a passage that is gone, should it come back."""
        if end - start < SURE_WORDS:
            return
        gone = self.state.gone
        for at, shingle in enumerate(_shingles(words[start:end]), start):
            gone[shingle] = words, authors, at

    def _recall(self, words: Sequence[str], authors: list[int]) -> None:
        """Fill in the authors of words that were gone and are back; all others are the version's own."""
        gone = self.state.gone
        at = 0
        while at < len(words):
            if authors[at] != _NO_AUTHOR:
                at += 1
                continue
            end = at
            while end < len(words) and authors[end] == _NO_AUTHOR:
                end += 1
            while at < end:
                found = gone.get(tuple(words[at : at + SURE_WORDS])) if end - at >= SURE_WORDS else None
                if found is None:
                    authors[at] = self.index
                    at += 1
                    continue
                former, its, place = found
                while at < end and place < len(former) and former[place] == words[at]:
                    authors[at] = its[place]
                    at, place = at + 1, place + 1


def _own_strays(authors: list[int], index: int, *, is_rewritten: bool) -> None:
    """Give a version the few words that stayed between longer passages that are its own."""
    runs: list[tuple[int, int]] = []
    for at, author in enumerate(authors):
        if runs and (authors[runs[-1][0]] == index) == (author == index):
            runs[-1] = (runs[-1][0], at + 1)
        else:
            runs.append((at, at + 1))
    if len(runs) == 1:
        return
    for number, (start, end) in enumerate(runs):
        around = [
            other_end - other for other, other_end in (*runs[max(number - 1, 0) : number], *runs[number + 1 :][:1])
        ]
        is_amid = len(around) == 2 or is_rewritten
        if authors[start] != index and end - start <= STRAY_WORDS and is_amid and min(around) > end - start:
            authors[start:end] = [index] * (end - start)


class _Group:
    """Lines that belong together, as words; one side is empty where lines are gone or new."""

    __slots__ = ("after", "authors", "blocks", "words_after", "words_before")

    def __init__(self, before: Sequence[_BlamedLine], after: Sequence[_BlamedLine]) -> None:
        self.after = after
        self.words_before = [word for line in before for word in _words_of(line)]
        self.words_after = [word for line in after for word in _words_of(line)]
        self.authors = [author for line in before for author in line.authors[: len(_words_of(line))]]
        has_both = self.words_before and self.words_after
        self.blocks = align(self.words_before, self.words_after).blocks if has_both else []

    @property
    def is_rewritten(self) -> bool:
        """Whether most words of the lines before are gone."""
        return 2 * sum(size for _, _, size in self.blocks) < len(self.words_before)

    @property
    def is_sure(self) -> bool:
        """Whether most words of the shorter side stayed."""
        shorter = min(len(self.words_before), len(self.words_after))
        return 2 * sum(size for _, _, size in self.blocks) > shorter


def _in_place(old: Sequence[_BlamedLine], new: Sequence[_BlamedLine]) -> list[_Group] | None:
    """Return lines one by one, if each has taken the place of one that it is much like. None: they have not."""
    if len(old) != len(new) or len(old) > IN_PLACE:
        return None
    groups = []
    for before, after in zip(old, new, strict=True):
        group = _Group([before], [after])
        if not group.is_sure and len(old) > 1:
            return None
        groups.append(group)
    return groups


def _groups(old: Sequence[_BlamedLine], new: Sequence[_BlamedLine]) -> list[_Group]:
    """Return the lines that belong together."""
    if not old or not new:
        return [_Group([line], []) for line in old] + [_Group([], [line]) for line in new]
    found = match_lines([line.line for line in old], [line.line for line in new])
    return [_Group([old[i] for i in group.before], [new[j] for j in group.after]) for group in found]


def _words_of(line: _BlamedLine) -> list[str]:
    """The words of a line without the empty last one. A line of punctuation alone has that one only."""
    return line.words[:-1] or line.words


def _shingles(words: Sequence[str]) -> Iterator[Shingle]:
    return zip(*(words[offset:] for offset in range(SURE_WORDS)), strict=False)


def _common_ends(a: Sequence[bytes | str], b: Sequence[bytes | str]) -> tuple[int, int]:
    """Return how many keys at the start and at the end are the same."""
    shorter = min(len(a), len(b))
    start = 0
    while start < shorter and a[start] == b[start]:
        start += 1
    end = 0
    while end < shorter - start and a[-1 - end] == b[-1 - end]:
        end += 1
    return start, end


def _is_same_value(before: bytes, after: bytes) -> bool:
    a, b = _value(before), _value(after)
    return is_same(a, b) or is_same_instant(a, b)


def _value(raw: bytes | str) -> Any:
    try:
        return parse_value(raw.encode() if isinstance(raw, str) else raw)
    except (ContentError, UnicodeEncodeError):
        return None


def _members(text: bytes) -> dict[str, bytes]:
    """Return the members of a JSON object as they are spelled; none if it is no object."""
    try:
        return {name: bytes(raw) for name, raw in _MEMBERS.decode(text).items()}
    except msgspec.DecodeError:
        value = _value(text)
        return {name: _spelled(inner) for name, inner in value.items()} if isinstance(value, dict) else {}


def _by_locale(raw: bytes) -> dict[str | None, bytes]:
    return dict(_members(raw).items())


def _spelled(value: Any) -> bytes:
    """Spell a value that msgspec cannot read, such as one with a lone surrogate."""
    return json.dumps(value, default=lambda number: bytes(number).decode(errors="replace")).encode()


@dataclass(frozen=True, slots=True)
class _Reader:
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

    def lines(self, key: bytes | str) -> list[_BlamedLine]:
        """Return the lines of a unit, without authors."""
        place = TextPlace((), None, self.name, self.locale, "text")
        if isinstance(key, str):
            return [_plain_line(key, place)]
        value = _value(key)
        if self.field_type == "seo" and isinstance(value, dict):
            return [
                _plain_line(inner if isinstance(inner, str) else json.dumps(inner), place._replace(member=name))
                for name, inner in value.items()
                if inner is not None
            ]
        if is_block(value):
            return list(self._block(value, place))
        return list(self._nodes([value], place))

    def _nodes(self, nodes: list[Any], place: TextPlace) -> Iterator[_BlamedLine]:
        """Yield the lines of some nodes of a structured text, those of a block in place of the block."""
        for line in read_lines(nodes, ()):
            if line.sort is LineSort.TEXT:
                yield _BlamedLine(line, place._replace(type=line.type))
            elif line.sort is LineSort.BLOCK:
                yield from self._block(line.node["item"], place)
            for block in line.inline_blocks:
                yield from self._block(block.item, place)

    def _block(self, block: Any, place: TextPlace) -> Iterator[_BlamedLine]:
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

    def _inner(self, value: Any, field_type: str | None, place: TextPlace) -> Iterator[_BlamedLine]:
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


def _plain_line(text: str, place: TextPlace) -> _BlamedLine:
    return _BlamedLine(
        Line(LineSort.TEXT, "text", (), None, (), Text(text), key=text.encode(errors="surrogatepass")), place
    )
