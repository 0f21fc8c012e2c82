"""What must be true of every diff. Each law is checked without the code that makes diffs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any

import jsonpatch

from tests.unit.history.diff.generator import SCHEMA, Pair, Para
from versionsync.history.diff import (
    ABSENT,
    Change,
    ChangeKind,
    ContentDiff,
    Operation,
    Restructuring,
    SpanOperation,
    apply,
    compare,
    json_patch,
)

Json = Any
Letter = tuple[str, frozenset[str], str | None, str | None]
"""A character with its marks, link and record; or a node as text."""

Path = tuple[str | int, ...]
Lines = dict[Path, Para]

MOST_WORDS = 1.1
SURE_WORDS = 4
SURE_SHARE = 0.6
"""A paragraph that was moved and kept less of the words is another one: moves are shown only if they are sure."""


def broken_laws(pair: Pair, *, has_patch: bool = True) -> list[str]:
    """Return what a diff of `pair` breaks; the JSON Patch is judged with `has_patch`."""
    diff = compare(pair.before, pair.after, SCHEMA, "article")
    return [
        *_applies(pair, diff),
        *(_is_patched(pair) if has_patch else ()),
        *_is_empty_if_equal(pair, diff),
        *_has_only_words_that_changed(pair, diff),
        *_stays_in_its_place(pair, diff),
        *_shows_texts_exactly(diff),
        *_knows_its_paragraphs(pair, diff),
    ]


def _applies(pair: Pair, diff: ContentDiff) -> Iterator[str]:
    if apply(diff, pair.before) != pair.after:
        yield "applying the diff does not give the content after"


def _is_patched(pair: Pair) -> Iterator[str]:
    if jsonpatch.apply_patch(pair.before, json_patch(pair.before, pair.after)) != pair.after:
        yield "the JSON Patch does not give the content after"


def _is_empty_if_equal(pair: Pair, diff: ContentDiff) -> Iterator[str]:
    if pair.before == pair.after and (diff.changes or diff.respellings):
        yield "a diff of equal contents is not empty"
    if set(pair.edits.names) <= {"respell"} and diff.changes:
        yield "another cut of the spans is shown"
    if diff.is_limited:
        yield "a small text is limited"


def _has_only_words_that_changed(pair: Pair, diff: ContentDiff) -> Iterator[str]:
    """A diff has at most 1.1 times the words that the edits changed.

    Two things may be shown as removed and added: what a paragraph kept that lost so many words that it is another
    one, and a passage that was moved within its paragraph.
    """
    words = diff.words_added + diff.words_removed
    edited = pair.edits.words
    if words <= MOST_WORDS * edited:
        return
    edited += 2 * sum(_kept(pair, para, before=False) for para in pair.lines_after.values())
    edited += 2 * sum(_kept(pair, para, before=True) for para in pair.lines_before.values())
    edited += 2 * sum(
        _moved_within(one, para) for one in pair.lines_before.values() for para in pair.lines_after.values()
    )
    if words > MOST_WORDS * edited:
        yield f"{words} words changed, of {edited} that were edited"


def _kept(pair: Pair, para: Para, *, before: bool) -> int:
    """Return how many words a paragraph kept that lost so many that it is another one; 0 for all others."""
    words = _numbers(para)
    lines = pair.lines_after if before else pair.lines_before
    kept = len(words & _numbers_of_same(para, lines))
    size = sum(len(other.words) for other in lines.values() if other.origins & para.origins)
    is_other = 2 * kept <= len(words) or (
        pair.edits.has_moves and kept < max(SURE_WORDS, SURE_SHARE * max(len(para.words), size))
    )
    return kept if is_other else 0


def _moved_within(before: Para, after: Para) -> int:
    """Return how many words that two paragraphs share are in another order: all but the longest series in order."""
    if not before.origins & after.origins:
        return 0
    shared = _ranks([before], [after])
    return len(shared) - _number_in_order(shared)


def _ranks(paras: Iterable[Para], others: Iterable[Para]) -> list[int]:
    """Return the places in some paragraphs of the words that others have, too, in the order of the others."""
    words = (word for para in paras for word in para.words if word.node is None)
    ranks = {word.number: rank for rank, word in enumerate(words)}
    return [ranks[word.number] for other in others for word in other.words if word.number in ranks]


def _number_in_order(ranks: Iterable[int]) -> int:
    """Return the length of the longest rising series."""
    ends: list[int] = []  # the least last rank of a rising series, by its length
    for rank in ranks:
        place = bisect_left(ends, rank)
        ends[place : place + 1] = [rank]
    return len(ends)


def _numbers(para: Para) -> set[int]:
    return {word.number for word in para.words if word.node is None}


def _numbers_of_same(para: Para, others: Lines) -> set[int]:
    """Return the words of all paragraphs that share a first paragraph with one."""
    return {number for other in others.values() if other.origins & para.origins for number in _numbers(other)}


def _stays_in_its_place(pair: Pair, diff: ContentDiff) -> Iterator[str]:
    for change in diff.changes:
        place = change.place
        where = (place.record_field, place.locale, place.block_path)
        if where not in pair.edits.places:
            yield f"a change where nothing was edited: {where}"


def _shows_texts_exactly(diff: ContentDiff) -> Iterator[str]:
    """No mark, link or letter goes unseen: the spans are both texts, and what is not shown is equal."""
    for change in diff.changes:
        if change.spans:
            nodes_a, nodes_b = _nodes_of(change.before), _nodes_of(change.after)
            if list(_shown(change, before=True)) != _letters(nodes_a):
                yield f"the spans are not the text before: {change.kind} at {change.sources}"
            if list(_shown(change, before=False)) != _letters(nodes_b):
                yield f"the spans are not the text after: {change.kind} at {change.targets}"
            yield from _names_its_kinds(change, diff)
    for change in diff.respellings:
        is_line = change.place.member and isinstance(change.before, dict) and "children" in change.before
        if is_line and _letters([change.before]) != _letters([change.after]) and not _has_node_changes(change, diff):
            yield f"a change of a text is no change: {change.sources}"


def _has_node_changes(change: Change, diff: ContentDiff) -> bool:
    """Return whether a change of a block within the line is shown."""
    return any(
        path[: len(end)] == end
        for other in diff.changes
        if other.kind is ChangeKind.STRUCTURE
        for paths, ends in ((other.sources, change.sources), (other.targets, change.targets))
        for path in paths
        for end in ends
    )


def _names_its_kinds(change: Change, diff: ContentDiff) -> Iterator[str]:
    kinds = {
        other.kind for other in diff.changes if other.targets == change.targets and other.sources == change.sources
    }
    for span in change.spans:
        if span.operation is not SpanOperation.FORMATTED:
            continue
        is_formatting = span.marks != span.marks_before or span.link != span.link_before
        if is_formatting and ChangeKind.FORMATTING not in kinds:
            yield f"a change of formatting is none: {change.targets}"
        if span.record_id != span.record_id_before and span.node is None and ChangeKind.REFERENCE not in kinds:
            yield f"another record is no change: {change.targets}"


def _knows_its_paragraphs(pair: Pair, diff: ContentDiff) -> Iterator[str]:
    """What is called new is new, what is called gone is gone, and what is called moved was moved."""
    moved = _ids_of_moved(pair)
    for change in diff.changes:
        if change.kind is not ChangeKind.STRUCTURE:
            continue
        for value in (change.before, change.after):
            if change.operation in (Operation.ADDED, Operation.REMOVED) and _block_id(value) in moved:
                yield f"a block that was moved is {change.operation}: {_block_id(value)}"
        before = [pair.lines_before[path] for path in change.sources if path in pair.lines_before]
        after = [pair.lines_after[path] for path in change.targets if path in pair.lines_after]
        if change.moved_to is not None or change.moved_from is not None:
            yield from _is_moved_elsewhere(pair, change)
        elif change.operation is Operation.MOVED:
            is_inline = change.sources[0][-1] == "item"
            if not pair.edits.has_moves and not is_inline:
                yield f"nothing was moved: {change.sources} to {change.targets}"
            origins = [frozenset().union(*(para.origins for para in side)) for side in (before, after)]
            if before and after and not origins[0] & origins[1] and _text(before) != _text(after):
                yield f"a wrong move: {change.sources} to {change.targets}"
            if not before and not after and _block_id(change.before) != _block_id(change.after):
                yield f"a wrong move of a block: {change.sources} to {change.targets}"
        elif change.operation is Operation.ADDED and after:
            yield from _is_unknown(pair, change, after[0], change.targets[0])
        elif change.operation is Operation.REMOVED and before:
            yield from _is_unknown(pair, change, before[0], change.sources[0])
        elif change.restructuring in (Restructuring.SPLIT, Restructuring.MERGED) and len(before) + len(after) > 2:
            one = frozenset().union(*(para.origins for para in before))
            if any(not para.origins & one for para in after if len(para.words) > 3):
                yield f"a wrong split or merge: {change.sources} to {change.targets}"


def _ids_of_moved(pair: Pair) -> set[str]:
    """Return the blocks that must be shown as moved, if they are shown: all but those that went with others."""
    edits = pair.edits
    if not edits.moved_elsewhere:
        return set()
    on_both_sides = set(_ids(pair.before)) & set(_ids(pair.after))
    return ({block.id for block, _, _ in edits.moved_elsewhere} & on_both_sides) - edits.carried


def _ids(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        if value.get("type") == "item":
            yield value["id"]
        for inner in value.values():
            yield from _ids(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _ids(inner)


def _is_moved_elsewhere(pair: Pair, change: Change) -> Iterator[str]:
    """Check a move to another list or field: it was made, and no words are counted."""
    moved = {block.id for block, _, _ in pair.edits.moved_elsewhere}
    if _block_id(change.before) != _block_id(change.after) or _block_id(change.before) not in moved:
        yield f"a wrong move to another list: {change.sources} to {change.targets}"
    if change.words_added or change.words_removed:
        yield f"a move counts words: {change.sources} to {change.targets}"


def _is_unknown(pair: Pair, change: Change, para: Para, path: Path) -> Iterator[str]:
    """Check that the words of a paragraph that is said to be new or gone are on this side only.

    Two kinds of words do not count: those in a paragraph that has little of this one, so that it is another one, and
    the words of a paragraph that was moved in pieces of less than four words.
    """
    words = _numbers(para)
    if len(words) < SURE_WORDS or _kept(pair, para, before=change.operation is Operation.REMOVED):
        return
    own = pair.lines_before if change.operation is Operation.REMOVED else pair.lines_after
    others = pair.lines_after if change.operation is Operation.REMOVED else pair.lines_before
    same = [other for other in others.values() if other.origins & para.origins]
    if pair.edits.has_moves and _number_in_order(_ranks([para], same)) < SURE_WORDS:
        return
    shared = sum(len(common) for other in same if _is_part(common := words & _numbers(other), para, other))
    if 2 * shared > len(words) and not _is_elsewhere(para, own, path):
        yield f"a paragraph that is on both sides is {change.operation}: {path}"


def _is_part(common: set[int], para: Para, other: Para) -> bool:
    """Return whether two paragraphs have so many words in common that one may be a part of the other one."""
    return 2 * len(common) >= min(len(_numbers(para)), len(_numbers(other)))


def _is_elsewhere(para: Para, own: Lines, path: Path) -> bool:
    """Return whether a larger part of the same first paragraph is on the same side, so that this is the lesser one."""
    return any(
        at != path and other.origins & para.origins and len(other.words) >= len(para.words) for at, other in own.items()
    )


def _block_id(value: Json) -> str | None:
    """Return the id of a block, or of the block in a node."""
    item = value.get("item", value) if isinstance(value, dict) else None
    return item.get("id") if isinstance(item, dict) else None


def _text(paras: list[Para]) -> list[str]:
    return [word.text for para in paras for word in para.words]


def _nodes_of(value: Json) -> list[Json]:
    """The nodes of a change, or of a document; a text as a node."""
    if value is ABSENT or value is None:
        return []
    if isinstance(value, str):
        return [{"type": "paragraph", "children": [{"type": "span", "value": value}]}]
    if isinstance(value, dict) and "document" in value:
        return [value["document"]]
    return value if isinstance(value, list) else [value]


def _letters(nodes: list[Json]) -> list[Letter]:
    lines = [line for node in nodes for line in _lines(node)]
    found: list[Letter] = []
    for index, line in enumerate(lines):
        found += [("\n", frozenset(), None, None)] if index else []
        found += _letters_in(line, None, None)
    return found


def _lines(node: Json) -> Iterator[Json]:
    if node["type"] in ("paragraph", "heading"):
        yield node
    elif node["type"] != "block":
        for child in node.get("children", []):
            yield from _lines(child)


def _letters_in(node: Json, link: str | None, record: str | None) -> Iterator[Letter]:
    match node["type"]:
        case "span":
            marks = frozenset(node.get("marks", []))
            yield from ((letter, marks, link, record) for letter in node["value"])
        case "inlineItem":
            yield f"<{node['item']}>", frozenset(), link, node["item"]
        case "inlineBlock":
            yield f"<{node['item']['id']}>", frozenset(), link, record
        case _:
            for child in node.get("children", []):
                url = node["url"] if node["type"] == "link" else link
                yield from _letters_in(child, url, node["item"] if node["type"] == "itemLink" else record)


def _shown(change: Change, *, before: bool) -> Iterator[Letter]:
    for span in change.spans:
        if span.operation is (SpanOperation.ADDED if before else SpanOperation.REMOVED):
            continue
        marks, link, record = span.marks, span.link, span.record_id
        if before and span.operation is SpanOperation.FORMATTED and span.marks_before is not None:
            marks, link, record = span.marks_before, span.link_before, span.record_id_before
        if span.node is None:
            yield from ((letter, marks, link, record) for letter in span.text)
        else:
            item = span.node["item"]
            yield f"<{item if isinstance(item, str) else item['id']}>", marks, link, record
