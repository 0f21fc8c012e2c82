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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from versionsync.history.blamed_lines import BlamedLine, FieldReader, Passage, TextPlace, Unit, members_of, parsed
from versionsync.history.diff.alignment import align
from versionsync.history.diff.equality import is_same, is_same_instant
from versionsync.history.diff.matching import match_lines
from versionsync.history.diff.schema import Schema

__all__ = ["BlamedContent", "BlamedText", "Passage", "TextPlace", "blame"]

SURE_WORDS: Final = 4
"""Fewer words than this may come back by chance."""
STRAY_WORDS: Final = 2
"""Up to this number of words that stayed amid more that did not say nothing."""
IN_PLACE: Final = 8
"""Up to this number of lines are compared one by one first."""

_NO_AUTHOR: Final = -1

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


@dataclass(slots=True)
class _Field:
    """What is known of one field: its units now, and everything that it ever said."""

    units: dict[str | None, list[Unit]] = field(default_factory=dict)
    raws: dict[str | None, bytes] = field(default_factory=dict)
    values: dict[str | None, int] = field(default_factory=dict)
    """The authors of values that are no texts."""
    seen_units: dict[tuple[str | None, bytes | str], Unit] = field(default_factory=dict)
    seen_lines: dict[str, BlamedLine] = field(default_factory=dict)
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
        raws = {content.keys.get(name, name): raw for name, raw in members_of(content.text).items()}
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
                    reader = FieldReader(content.schema, name, locale, one.field_type if one is not None else None)
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

    def read(self, reader: FieldReader, raw: bytes) -> None:
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

    def _units(self, old: Sequence[Unit], keys: Sequence[bytes | str], reader: FieldReader) -> list[Unit]:
        """Return the units in place of `old`."""
        state = self.state
        known: dict[bytes | str, list[Unit]] = {}
        for unit in old:
            known.setdefault(unit.key, []).append(unit)
        new: list[Unit] = []
        unknown: list[BlamedLine] = []
        for key in keys:
            here = known.get(key)
            found = here.pop(0) if here else state.seen_units.get((self.locale, key))
            unit = found or Unit(key, reader.lines(key))
            if found is None:
                unknown += unit.lines
                state.seen_units[self.locale, key] = unit
            new.append(unit)
        gone = [line for units in known.values() for unit in units for line in unit.lines]
        self._lines(gone, unknown)
        return new

    def _lines(self, old: Sequence[BlamedLine], new: Sequence[BlamedLine]) -> None:
        """Find the authors of new lines. `old` lines are not in their units any more."""
        known: dict[str, list[BlamedLine]] = {}
        for line in old:
            known.setdefault(line.text, []).append(line)
        rest: list[BlamedLine] = []
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

    def _words(self, old: Sequence[BlamedLine], new: Sequence[BlamedLine]) -> None:
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

    def __init__(self, before: Sequence[BlamedLine], after: Sequence[BlamedLine]) -> None:
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


def _in_place(old: Sequence[BlamedLine], new: Sequence[BlamedLine]) -> list[_Group] | None:
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


def _groups(old: Sequence[BlamedLine], new: Sequence[BlamedLine]) -> list[_Group]:
    """Return the lines that belong together."""
    if not old or not new:
        return [_Group([line], []) for line in old] + [_Group([], [line]) for line in new]
    found = match_lines([line.line for line in old], [line.line for line in new])
    return [_Group([old[i] for i in group.before], [new[j] for j in group.after]) for group in found]


def _words_of(line: BlamedLine) -> list[str]:
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
    a, b = parsed(before), parsed(after)
    return is_same(a, b) or is_same_instant(a, b)


def _by_locale(raw: bytes) -> dict[str | None, bytes]:
    return dict(members_of(raw).items())
