"""Compare two texts word by word, with the marks and links on them.

A word is compared without its style. What is equal is then cut where the style before or after changes, so that a mark
on half a word is a change of formatting and not another word.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from operator import add
from typing import Final, NamedTuple

from versionsync.history.diff.alignment import Block, align, align_around
from versionsync.history.diff.model import Json, Span, SpanOperation
from versionsync.history.diff.tokens import BREAK, NODE, count_words, split_words

__all__ = ["PLAIN", "Node", "Style", "Text", "TextDiff", "compare_texts", "joined"]


class Style(NamedTuple):
    """How a passage looks. `more` holds members that this program does not know, and settings of a link, as text."""

    marks: frozenset[str] = frozenset()
    link: str | None = None
    record_id: str | None = None
    more: str = ""

    def is_same_except_record(self, other: Style) -> bool:
        """Return whether two styles differ at most in the record that a link points to."""
        if (self.record_id is None) != (other.record_id is None):
            # A link to a record that was added or removed is a reference, too, with all its settings.
            return self.marks == other.marks and self.link == other.link
        return self.marks == other.marks and self.link == other.link and self.more == other.more


PLAIN: Final = Style()


class Node(NamedTuple):
    """A node within a text that is no text. Nodes with one key are the same."""

    key: str
    node: Json
    record_id: str | None = None


@dataclass(slots=True)
class Text:
    """A text with its styles and nodes. `starts` holds the places at which the style of the same rank begins."""

    text: str
    starts: Sequence[int] = (0,)
    styles: Sequence[Style] = (PLAIN,)
    nodes: Mapping[int, Node] = field(default_factory=dict)
    _places: list[int] | None = None
    _words: list[str] | None = None
    _gaps: list[str] | None = None
    _ends: list[int] | None = None

    @property
    def words(self) -> list[str]:
        """The words, and last an empty one. A node's word is its key."""
        if self._words is None:
            self._read()
        return self._words  # type: ignore[return-value]  # read above

    @property
    def gaps(self) -> list[str]:
        """The gap before each word."""
        if self._gaps is None:
            self._read()
        return self._gaps  # type: ignore[return-value]  # read above

    @property
    def ends(self) -> list[int]:
        """The place after each word."""
        if self._ends is None:
            self._read()
        return self._ends  # type: ignore[return-value]  # read above

    def _read(self) -> None:
        gaps, words = map(list, zip(*split_words(self.text), strict=True))
        self._gaps, self._words = gaps, words
        self._ends = list(accumulate(map(add, map(len, gaps), map(len, words))))
        if self.nodes:
            # A node's word is one character; the last word is empty and ends where the one before it may end, too.
            indices = {end: index for index, end in enumerate(self._ends[:-1])}
            for place, node in self.nodes.items():
                if node.key != BREAK:
                    self._words[indices[place + 1]] = node.key

    def style_at(self, place: int) -> Style:
        """The style of the character at `place`."""
        return self.styles[bisect_right(self.starts, place) - 1]

    def _nodes_in(self, start: int, end: int) -> list[int]:
        """The places of the nodes in a part."""
        if self._places is None:
            self._places = sorted(self.nodes)
        return self._places[bisect_left(self._places, start) : bisect_left(self._places, end)]

    def only_style(self, start: int, end: int) -> Style | None:
        """Return the style of a part, if it has one and no node."""
        if len(self.starts) == 1 and not self.nodes:
            return self.styles[0]
        first = bisect_right(self.starts, start) - 1
        if first != bisect_right(self.starts, end - 1) - 1 or (self.nodes and self._nodes_in(start, end)):
            return None
        return self.styles[first]

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, int, Style]]:
        """Cut a part of the text at its styles and nodes."""
        if len(self.starts) == 1 and not self.nodes:
            yield start, end, self.styles[0]
            return
        cuts = {start, end}
        if len(self.starts) > 1:
            cuts.update(self.starts[bisect_right(self.starts, start) : bisect_right(self.starts, end - 1)])
        for place in self._nodes_in(start, end) if self.nodes else ():
            cuts.update((place, place + 1))
        ordered = sorted(cuts)
        for one, next_one in pairwise(ordered):
            yield one, next_one, self.style_at(one)


@dataclass(slots=True)
class TextDiff:
    """How two texts differ."""

    spans: tuple[Span, ...]
    words_added: int = 0
    words_removed: int = 0
    is_limited: bool = False
    has_text: bool = False
    """Words, or what stands between them."""
    has_formatting: bool = False
    """Marks or links to pages, on the same words."""
    has_references: bool = False
    """Links to records, on the same words."""
    nodes_removed: list[str] = field(default_factory=list)
    """The keys of nodes."""
    nodes_added: list[str] = field(default_factory=list)


class _Part(NamedTuple):
    """A part of both texts (equal), of the text before (removed) or of the text after (added)."""

    operation: SpanOperation
    start_a: int
    end_a: int
    start_b: int
    end_b: int


def joined(texts: Sequence[Text]) -> Text:
    """Return the texts of some paragraphs as one, with their borders as nodes."""
    if len(texts) == 1:
        return texts[0]
    starts: list[int] = []
    styles: list[Style] = []
    nodes: dict[int, Node] = {}
    place = 0
    for index, text in enumerate(texts):
        if index:
            starts.append(place)
            styles.append(PLAIN)
            nodes[place] = Node(BREAK, None)
            place += 1
        starts += [place + start for start in text.starts]
        styles += text.styles
        nodes |= {place + start: node for start, node in text.nodes.items()}
        place += len(text.text)
    return Text(BREAK.join(text.text for text in texts), starts, styles, nodes)


def compare_texts(a: Text, b: Text) -> TextDiff:
    """Compare two texts. Their spans say all that differs."""
    if a.text == b.text and not a.nodes and not b.nodes:
        size = len(a.text)
        parts = [_Part(SpanOperation.EQUAL, 0, size, 0, size)] if size else []
        return _as_spans(a, b, parts, TextDiff(()))
    if not a.text or not b.text:
        parts = [_Part(SpanOperation.REMOVED, 0, len(a.text), 0, 0), _Part(SpanOperation.ADDED, 0, 0, 0, len(b.text))]
        whole = TextDiff((), words_added=count_words(b.words), words_removed=count_words(a.words))
        return _as_spans(a, b, [part for part in parts if part.end_a or part.end_b], whole)
    has_nodes = a.nodes or b.nodes
    alignment = align_around(a.words, b.words, _is_node) if has_nodes else align(a.words, b.words)
    result = TextDiff((), is_limited=alignment.is_limited)
    return _as_spans(a, b, list(_parts(a, b, alignment.blocks, result)), result)


def _is_node(word: str) -> bool:
    return word.startswith(NODE)


def _parts(a: Text, b: Text, blocks: list[Block], result: TextDiff) -> Iterator[_Part]:
    """Yield the parts of both texts in order, and count the words."""
    at_a = at_b = 0
    place_a = place_b = 0
    for i, j, size in [*blocks, (len(a.words), len(b.words), 0)]:
        if i > at_a:
            end = a.ends[i - 1]
            yield _Part(SpanOperation.REMOVED, place_a, end, place_b, place_b)
            result.words_removed += count_words(a.words[at_a:i])
            place_a = end
        if j > at_b:
            end = b.ends[j - 1]
            yield _Part(SpanOperation.ADDED, place_a, place_a, place_b, end)
            result.words_added += count_words(b.words[at_b:j])
            place_b = end
        for offset in _runs_of_equal_gaps(a.gaps, b.gaps, i, j, size):
            first, last, is_equal = offset
            if not is_equal:
                yield from _gap_parts(a.gaps[i + first], b.gaps[j + first], place_a, place_b)
                place_a += len(a.gaps[i + first])
                place_b += len(b.gaps[j + first])
            end_a, end_b = a.ends[i + last], b.ends[j + last]
            if end_a > place_a:
                yield _Part(SpanOperation.EQUAL, place_a, end_a, place_b, end_b)
            place_a, place_b = end_a, end_b
        at_a, at_b = i + size, j + size


def _runs_of_equal_gaps(
    a: Sequence[str], b: Sequence[str], i: int, j: int, size: int
) -> Iterator[tuple[int, int, bool]]:
    """Cut a run of equal words at the gaps that differ: first and last word, and whether the first gap is equal."""
    if a[i : i + size] == b[j : j + size]:
        if size:
            yield 0, size - 1, True
        return
    first = 0
    for index in range(size):
        if a[i + index] != b[j + index] and index > first:
            yield first, index - 1, a[i + first] == b[j + first]
            first = index
    yield first, size - 1, a[i + first] == b[j + first]


def _gap_parts(a: str, b: str, place_a: int, place_b: int) -> Iterator[_Part]:
    """Compare two gaps that differ: what is between their common start and end."""
    shorter = min(len(a), len(b))
    start = next((index for index in range(shorter) if a[index] != b[index]), shorter)
    end = next((index for index in range(shorter - start) if a[-1 - index] != b[-1 - index]), shorter - start)
    at_a, at_b = place_a + start, place_b + start
    stop_a, stop_b = place_a + len(a) - end, place_b + len(b) - end
    if start:
        yield _Part(SpanOperation.EQUAL, place_a, at_a, place_b, at_b)
    if stop_a > at_a:
        yield _Part(SpanOperation.REMOVED, at_a, stop_a, at_b, at_b)
    if stop_b > at_b:
        yield _Part(SpanOperation.ADDED, stop_a, stop_a, at_b, stop_b)
    if end:
        yield _Part(SpanOperation.EQUAL, stop_a, stop_a + end, stop_b, stop_b + end)


def _as_spans(a: Text, b: Text, parts: list[_Part], result: TextDiff) -> TextDiff:
    spans: list[Span] = []
    for operation, start_a, end_a, start_b, end_b in _in_order(parts):
        if operation is SpanOperation.REMOVED:
            spans += (_span(operation, a, one, two, style, result) for one, two, style in a.pieces(start_a, end_a))
        elif operation is SpanOperation.ADDED:
            spans += (_span(operation, b, one, two, style, result) for one, two, style in b.pieces(start_b, end_b))
        else:
            spans += _equal_spans(a, b, start_a, end_a, start_b, result)
    result.spans = tuple(_merged(spans))
    return result


def _in_order(parts: list[_Part]) -> Iterator[_Part]:
    """Put what was removed before what was added, between two equal parts, and join neighbours."""
    removed: _Part | None = None
    added: _Part | None = None
    for part in parts:
        if part.operation is SpanOperation.REMOVED:
            removed = part if removed is None else removed._replace(end_a=part.end_a)
        elif part.operation is SpanOperation.ADDED:
            added = part if added is None else added._replace(end_b=part.end_b)
        else:
            yield from (waiting for waiting in (removed, added) if waiting is not None)
            removed = added = None
            yield part
    yield from (waiting for waiting in (removed, added) if waiting is not None)


def _span(operation: SpanOperation, text: Text, start: int, end: int, style: Style, result: TextDiff) -> Span:
    """Make the span of a part that was removed or added, and note what it is."""
    node = text.nodes.get(start)
    if node is None:
        result.has_text = True
        return Span(operation, text.text[start:end], style.marks, style.link, style.record_id)
    if node.key == BREAK:
        return Span(operation, "\n", is_border=True)
    (result.nodes_removed if operation is SpanOperation.REMOVED else result.nodes_added).append(node.key)
    return Span(operation, "", style.marks, style.link, node.record_id or style.record_id, node.node)


def _equal_spans(a: Text, b: Text, start_a: int, end_a: int, start_b: int, result: TextDiff) -> Iterator[Span]:
    """Make the spans of a part that is equal except for its style."""
    style = a.only_style(start_a, end_a)
    if style is not None and style == b.only_style(start_b, start_b + end_a - start_a):
        yield Span(SpanOperation.EQUAL, a.text[start_a:end_a], style.marks, style.link, style.record_id)
        return
    shift = start_b - start_a
    cuts = sorted(
        {place for one, two, _ in a.pieces(start_a, end_a) for place in (one, two)}
        | {place - shift for one, two, _ in b.pieces(start_b, end_a + shift) for place in (one, two)}
    )
    for one, two in pairwise(cuts):
        before, after = a.style_at(one), b.style_at(one + shift)
        node = b.nodes.get(one + shift)
        text, record_id, content = a.text[one:two], after.record_id, None
        if node is not None:
            if node.key == BREAK:
                yield Span(SpanOperation.EQUAL, "\n", is_border=True)
                continue
            text, record_id, content = "", node.record_id or record_id, node.node
        if before == after:
            yield Span(SpanOperation.EQUAL, text, after.marks, after.link, record_id, content)
            continue
        result.has_references |= before.record_id != after.record_id
        result.has_formatting |= not before.is_same_except_record(after)
        yield Span(
            SpanOperation.FORMATTED,
            text,
            after.marks,
            after.link,
            record_id,
            content,
            marks_before=before.marks,
            link_before=before.link,
            record_id_before=before.record_id,
        )


def _merged(spans: list[Span]) -> Iterator[Span]:
    """Join neighbours that differ in nothing but their text."""
    last: Span | None = None
    for span in spans:
        if last is not None and _is_same_kind(last, span):
            last = Span(
                last.operation,
                last.text + span.text,
                last.marks,
                last.link,
                last.record_id,
                None,
                last.marks_before,
                last.link_before,
                last.record_id_before,
            )
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last


def _is_same_kind(a: Span, b: Span) -> bool:
    return (
        a.operation is b.operation
        and a.node is None
        and b.node is None
        and not a.is_border
        and not b.is_border
        and a.marks == b.marks
        and a.link == b.link
        and a.record_id == b.record_id
        and a.marks_before == b.marks_before
        and a.link_before == b.link_before
        and a.record_id_before == b.record_id_before
    )
