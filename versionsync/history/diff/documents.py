"""Compare two structured texts as prose: paragraph by paragraph, word by word, with marks, links and blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from versionsync.history.diff.containers import ContainerComparison, container_types
from versionsync.history.diff.equality import is_same, key_of
from versionsync.history.diff.findings import Findings, Spot
from versionsync.history.diff.inline_blocks import InlineBlockComparison, is_same_except_blocks, loose_blocks
from versionsync.history.diff.lines import (
    ITEM_KEY,
    OTHER_KEY,
    Line,
    LineSort,
    block_id_of,
    read_lines,
)
from versionsync.history.diff.matching import match_lines
from versionsync.history.diff.members import compare_json, compare_members
from versionsync.history.diff.model import (
    ABSENT,
    ChangeKind,
    Json,
    Kept,
    Operation,
    Outline,
    Path,
    Restructuring,
    Span,
    SpanOperation,
)
from versionsync.history.diff.regions import Group
from versionsync.history.diff.texts import Text, TextDiff, compare_texts, joined

__all__ = ["compare_documents", "is_document", "text_of"]

_ROOT: Final = "document"
_NOTHING: Final = Text("")


def is_document(value: Json) -> bool:
    """Return whether a value is a structured text that can be read as lines."""
    match value:
        case {"schema": "dast", "document": {"type": "root", "children": list()}}:
            return True
    return False


def text_of(value: Json) -> tuple[Text, list[Json]]:
    """Return the text of a whole structured text, and the blocks in it."""
    lines = read_lines(value[_ROOT]["children"], ())
    blocks = [line.node["item"] for line in lines if line.sort is LineSort.BLOCK]
    blocks += [block.item for line in lines for block in line.inline_blocks]
    texts = [line.text for line in lines if line.sort is LineSort.TEXT]
    return (joined(texts) if texts else _NOTHING), blocks


def compare_documents(findings: Findings, before: Json, after: Json, spot: Spot) -> None:
    """Note all that differs between two structured texts, for which `is_document` holds."""
    compare_members(findings, before, after, spot, but=(_ROOT,))
    root_a, root_b = before[_ROOT], after[_ROOT]
    at_root = Spot(spot.place, (*spot.source, _ROOT), (*spot.target, _ROOT))
    compare_members(findings, root_a, root_b, at_root, but=("type", "children"))
    nodes_a, nodes_b = root_a["children"], root_b["children"]
    start, end = _common_ends(nodes_a, nodes_b)
    lines_a = read_lines(nodes_a[start : len(nodes_a) - end], (), start=start)
    lines_b = read_lines(nodes_b[start : len(nodes_b) - end], (), start=start)
    if lines_a or lines_b:
        _DocumentComparison(findings, at_root, lines_a, lines_b).run(root_a, root_b, start, end)


def _common_ends(a: Sequence[Json], b: Sequence[Json]) -> tuple[int, int]:
    """Return how many nodes at the start and at the end are the same."""
    shorter = min(len(a), len(b))
    start = 0
    while start < shorter and a[start] == b[start]:
        start += 1
    end = 0
    while end < shorter - start and a[-1 - end] == b[-1 - end]:
        end += 1
    # Python takes true for 1; the encoded nodes are the judge.
    while start and key_of(a[:start]) != key_of(b[:start]) and not is_same(a[:start], b[:start]):
        start -= 1
    while end and key_of(a[-end:]) != key_of(b[-end:]) and not is_same(a[-end:], b[-end:]):
        end -= 1
    return start, end


@dataclass(slots=True)
class _DocumentComparison:
    """The comparison of the lines of two documents. Paths of lines begin at the root, which is at `spot`."""

    findings: Findings
    spot: Spot
    before: list[Line]
    after: list[Line]
    nodes_removed: list[str] = field(default_factory=list)
    nodes_added: list[str] = field(default_factory=list)

    def run(self, root_a: Json, root_b: Json, start: int, end: int) -> None:
        groups = match_lines(self.before, self.after, self.findings.are_strangers)
        mark = len(self.findings.changes)
        containers = ContainerComparison(self.findings, self.spot, self.before, self.after)
        touched = [group for group in groups if not self._is_untouched(group)]
        for group in groups:
            lines_a = [self.before[i] for i in group.before]
            lines_b = [self.after[j] for j in group.after]
            if not lines_a:
                self._added(lines_b[0], group)
            elif not lines_b:
                self._removed(lines_a[0], group)
            else:
                self._grouped(lines_a, lines_b, group)
                containers.compare(group)
        loose_a = loose_blocks(self.before, [i for group in touched for i in group.before])
        loose_b = loose_blocks(self.after, [j for group in touched for j in group.after])
        if loose_a or loose_b:
            inline = InlineBlockComparison(
                self.findings,
                self.spot,
                {i: group for group in groups for i in group.before},
                {j: group for group in groups for j in group.after},
                self.nodes_removed,
                self.nodes_added,
            )
            inline.compare(loose_a, loose_b)
        if not _is_in_place(groups, self.before, self.after):
            self.findings.outlines.append(self._outline(groups, root_a, root_b, start, end))
            if all(change.kind is not ChangeKind.STRUCTURE for change in self.findings.changes[mark:]):
                self.findings.add(
                    ChangeKind.STRUCTURE,
                    Operation.CHANGED,
                    root_a,
                    root_b,
                    self.spot,
                    restructuring=Restructuring.RETYPED,
                )

    def _is_untouched(self, group: Group) -> bool:
        """Return whether a group is a line with the same node on both sides."""
        if len(group.before) != 1 or len(group.after) != 1:
            return False
        return self.before[group.before[0]].key == self.after[group.after[0]].key

    def _added(self, line: Line, group: Group) -> None:
        spans, words = self._whole(line, is_added=True)
        self.findings.add(
            ChangeKind.STRUCTURE,
            Operation.ADDED,
            ABSENT,
            line.node,
            self.spot.part(line.path, line.path),
            spans=spans,
            words_added=words,
            is_limited=group.is_limited,
        )

    def _removed(self, line: Line, group: Group) -> None:
        spans, words = self._whole(line, is_added=False)
        self.findings.add(
            ChangeKind.STRUCTURE,
            Operation.REMOVED,
            line.node,
            ABSENT,
            self.spot.part(line.path, line.path),
            spans=spans,
            words_removed=words,
            is_limited=group.is_limited,
        )

    def _whole(self, line: Line, *, is_added: bool) -> tuple[tuple[Span, ...], int]:
        """The spans and the number of words of a line that is on one side only."""
        if line.sort is LineSort.BLOCK:
            return (), self.findings.words_of(line.node["item"])
        diff = compare_texts(_NOTHING, line.text) if is_added else compare_texts(line.text, _NOTHING)
        words = diff.words_added + diff.words_removed
        if line.inline_blocks:
            # A block that is on the other side, too, was moved.
            lines = self.before if is_added else self.after
            others = {block_id_of(block.item) for other in lines for block in other.inline_blocks}
            new = [block.item for block in line.inline_blocks if block_id_of(block.item) not in others]
            words += sum(map(self.findings.words_of, new))
        return diff.spans, words

    def _grouped(self, lines_a: list[Line], lines_b: list[Line], group: Group) -> None:
        a, b = lines_a[0], lines_b[0]
        at = self.spot.part(a.path, b.path)
        if len(lines_a) == len(lines_b) == 1:
            if group.is_moved:
                self.findings.add(ChangeKind.STRUCTURE, Operation.MOVED, a.node, b.node, at)
            if a.key != b.key:
                self._pair(a, b, at, group)
            return
        diff = compare_texts(joined([line.text for line in lines_a]), joined([line.text for line in lines_b]))
        diff.is_limited |= group.is_limited
        whole = _Whole(self, lines_a, lines_b, diff)
        number_a, number_b = len(lines_a), len(lines_b)
        whole.add(
            ChangeKind.STRUCTURE,
            Operation.MOVED if group.is_moved else Operation.CHANGED,
            restructuring=(
                Restructuring.SPLIT
                if number_b > number_a
                else Restructuring.MERGED
                if number_a > number_b
                else Restructuring.REDIVIDED
            ),
        )
        whole.add_texts()
        for line_a, line_b in zip(lines_a, lines_b, strict=False):
            self._kind_of_line(line_a, line_b, self.spot.part(line_a.path, line_b.path))

    def _pair(self, a: Line, b: Line, at: Spot, group: Group) -> None:
        """Compare two lines that are one line before and after."""
        mark = len(self.findings.changes)
        if a.sort is LineSort.BLOCK and b.sort is LineSort.BLOCK:
            self._kind_of_line(a, b, at)
            inside = Spot(at.place, (*at.source, "item"), (*at.target, "item"))
            self.findings.compare_block(self.findings, a.node["item"], b.node["item"], inside)
            return
        if a.sort is LineSort.OTHER and b.sort is LineSort.OTHER:
            compare_json(self.findings, a.node, b.node, at)
            return
        self._kind_of_line(a, b, at)
        diff = compare_texts(a.text, b.text)
        diff.is_limited |= group.is_limited
        _Whole(self, [a], [b], diff).add_texts()
        is_whole = any(at.source in change.sources for change in self.findings.changes[mark:])
        if not is_whole and not is_same_except_blocks(a, b):
            self.findings.respell(a.node, b.node, at)

    def _kind_of_line(self, a: Line, b: Line, at: Spot) -> None:
        """Compare the type of two lines, and their members besides the text."""
        if a.type != b.type or a.sort is not b.sort:
            self.findings.add(
                ChangeKind.STRUCTURE, Operation.CHANGED, a.node, b.node, at, restructuring=Restructuring.RETYPED
            )
        else:
            compare_members(self.findings, a.attributes, b.attributes, at)

    def _outline(self, groups: Sequence[Group], root_a: Json, root_b: Json, start: int, end: int) -> Outline:
        kept: dict[Path, Kept] = {}
        new: set[Path] = set()
        for group in groups:
            if len(group.before) == len(group.after) == 1:
                kept[self.after[group.after[0]].path] = Kept(self.before[group.before[0]].path)
            else:
                new.update(self.after[j].path for j in group.after)
        size_a, size_b = len(root_a["children"]), len(root_b["children"])
        ends = [(index, index) for index in range(start)]
        ends += [(size_a - index, size_b - index) for index in range(1, end + 1)]
        kept |= {("children", at_b): Kept(("children", at_a)) for at_a, at_b in ends}
        return Outline(self.spot.source, _with_places(root_b, (), kept, new))


@dataclass(slots=True)
class _Whole:
    """Changes of whole lines. `before` and `after` are nodes, or lists of nodes where lines were split or merged."""

    comparison: _DocumentComparison
    lines_a: list[Line]
    lines_b: list[Line]
    diff: TextDiff

    def add(
        self,
        kind: ChangeKind,
        operation: Operation,
        *,
        words_added: int = 0,
        words_removed: int = 0,
        restructuring: Restructuring | None = None,
    ) -> None:
        spot = self.comparison.spot
        nodes_a, nodes_b = [line.node for line in self.lines_a], [line.node for line in self.lines_b]
        at = spot.part(self.lines_a[0].path, self.lines_b[0].path)
        is_pair = len(nodes_a) == len(nodes_b) == 1
        self.comparison.findings.add(
            kind,
            operation,
            nodes_a[0] if is_pair or len(nodes_a) == 1 else nodes_a,
            nodes_b[0] if is_pair or len(nodes_b) == 1 else nodes_b,
            at,
            spans=self.diff.spans,
            words_added=words_added,
            words_removed=words_removed,
            restructuring=restructuring,
            is_limited=self.diff.is_limited,
            sources=tuple(spot.source + line.path for line in self.lines_a),
            targets=tuple(spot.target + line.path for line in self.lines_b),
        )

    def add_texts(self) -> None:
        """Note what changed in the texts, by kind."""
        diff = self.diff
        if len(self.lines_a) + len(self.lines_b) > 2 or diff.nodes_removed or diff.nodes_added:
            # A space beside a border or node that came or went says nothing.
            diff.has_text = any(_is_other_text(span) for span in diff.spans)
        self.comparison.nodes_removed += diff.nodes_removed
        self.comparison.nodes_added += diff.nodes_added
        if diff.has_text:
            self.add(
                ChangeKind.TEXT,
                Operation.CHANGED,
                words_added=diff.words_added,
                words_removed=diff.words_removed,
            )
        if diff.has_formatting:
            self.add(ChangeKind.FORMATTING, Operation.CHANGED)
        records_a, records_b = _records(self.lines_a), _records(self.lines_b)
        nodes = [*diff.nodes_removed, *diff.nodes_added]
        if diff.has_references or records_a != records_b or any(key.startswith(ITEM_KEY) for key in nodes):
            operation = (
                Operation.ADDED
                if records_a < records_b
                else Operation.REMOVED
                if records_b < records_a
                else Operation.CHANGED
            )
            self.add(ChangeKind.REFERENCE, operation)
        if any(key.startswith(OTHER_KEY) for key in nodes):
            self.add(ChangeKind.ATTRIBUTE, Operation.CHANGED)


def _is_other_text(span: Span) -> bool:
    return (
        span.operation in (SpanOperation.ADDED, SpanOperation.REMOVED) and not span.text.isspace() and span.text != ""
    )


def _records(lines: Sequence[Line]) -> set[str]:
    """The records that some lines point to."""
    ids = {style.record_id for line in lines for style in line.text.styles if style.record_id is not None}
    return ids | {node.record_id for line in lines for node in line.text.nodes.values() if node.record_id is not None}


def _is_in_place(groups: Sequence[Group], before: Sequence[Line], after: Sequence[Line]) -> bool:
    """Return whether all lines are where they were, in containers of the same types."""
    for group in groups:
        if len(group.before) != 1 or len(group.after) != 1:
            return False
        a, b = before[group.before[0]], after[group.after[0]]
        if a.path != b.path or container_types(a) != container_types(b):
            return False
    return True


def _with_places(node: Json, path: Path, kept: dict[Path, Kept], new: set[Path]) -> Json:
    """The tree of an outline: a node with places instead of the lines in it."""
    children: list[Json] = []
    for index, child in enumerate(node["children"]):
        at = (*path, "children", index)
        if (place := kept.get(at)) is not None:
            children.append(place)
        elif at in new:
            children.append(ABSENT)
        else:
            children.append(_with_places(child, at, kept, new))
    return {**node, "children": children}
