"""Compare the blocks within texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from versionsync.history.diff.equality import is_same
from versionsync.history.diff.findings import Findings, Spot
from versionsync.history.diff.lines import BLOCK_KEY, InlineBlock, Line, block_id_of, block_words
from versionsync.history.diff.model import ABSENT, ChangeKind, Json, Operation
from versionsync.history.diff.regions import Group

__all__ = ["InlineBlockComparison", "is_same_except_blocks", "loose_blocks"]


@dataclass(frozen=True, slots=True)
class LooseBlock:
    """A block within the text of a line, and the position of the line."""

    index: int
    line: Line
    block: InlineBlock


def loose_blocks(lines: Sequence[Line], indices: Sequence[int]) -> list[LooseBlock]:
    """The blocks within the texts of some lines."""
    return [LooseBlock(index, lines[index], block) for index in sorted(indices) for block in lines[index].inline_blocks]


@dataclass(slots=True)
class InlineBlockComparison:
    """Compares the blocks within texts. They are matched by id over the whole document, by content at one place."""

    findings: Findings
    spot: Spot
    group_before: Mapping[int, Group]
    """The groups of the lines before. Blocks in a line that was removed went with it."""
    group_after: Mapping[int, Group]
    nodes_removed: list[str]
    """The keys of nodes that texts lost."""
    nodes_added: list[str]

    def compare(self, before: list[LooseBlock], after: list[LooseBlock]) -> None:
        by_id_a, by_id_b = _by_id(before), _by_id(after)
        for key, a in by_id_a.items():
            if (b := by_id_b.get(key)) is not None:
                self._pair(a, b, is_moved=self._is_moved(a, b))
        rest_a = [a for key, a in by_id_a.items() if key not in by_id_b]
        rest_b = [b for key, b in by_id_b.items() if key not in by_id_a]
        for a in rest_a:
            same = next((b for b in rest_b if self._is_in_place(a, b)), None)
            if same is not None:
                rest_b.remove(same)
                self._pair(a, same, is_moved=False)
            elif not self._is_gone(a):
                self._one(a, is_added=False)
        for b in rest_b:
            if not self._is_new(b):
                self._one(b, is_added=True)

    def _is_in_place(self, a: LooseBlock, b: LooseBlock) -> bool:
        """Return whether two blocks say the same at the same place of a text."""
        return (
            self.group_before[a.index] is self.group_after[b.index]
            and block_words(a.block.item) == block_words(b.block.item)
            and any(one == other for one, other in zip(_neighbours(a), _neighbours(b), strict=True))
        )

    def _is_gone(self, one: LooseBlock) -> bool:
        return not self.group_before[one.index].after

    def _is_new(self, one: LooseBlock) -> bool:
        return not self.group_after[one.index].before

    def _is_moved(self, a: LooseBlock, b: LooseBlock) -> bool:
        key = f"{BLOCK_KEY}{block_id_of(a.block.item)} "
        is_out = self._is_gone(a) or any(one.startswith(key) for one in self.nodes_removed)
        is_in = self._is_new(b) or any(one.startswith(key) for one in self.nodes_added)
        return is_out and is_in

    def _pair(self, a: LooseBlock, b: LooseBlock, *, is_moved: bool) -> None:
        findings = self.findings
        at = self.spot.part(a.line.path + a.block.path, b.line.path + b.block.path)
        if is_moved:
            findings.add(ChangeKind.STRUCTURE, Operation.MOVED, a.block.item, b.block.item, at)
        if not is_same(a.block.item, b.block.item):
            findings.compare_block(findings, a.block.item, b.block.item, at)

    def _one(self, one: LooseBlock, *, is_added: bool) -> None:
        findings, item = self.findings, one.block.item
        path = one.line.path + one.block.path
        words = findings.words_of(item)
        findings.add(
            ChangeKind.STRUCTURE,
            Operation.ADDED if is_added else Operation.REMOVED,
            ABSENT if is_added else item,
            item if is_added else ABSENT,
            self.spot.part(path, path),
            words_added=words if is_added else 0,
            words_removed=0 if is_added else words,
        )


def _neighbours(one: LooseBlock) -> tuple[str | None, str]:
    """Return the words before and after a block; None before the first word, and the same for any other block."""
    words = one.line.text.words
    key = f"{BLOCK_KEY}{block_id_of(one.block.item)} "
    place = next(place for place, word in enumerate(words) if word.startswith(key))
    before, after = words[place - 1] if place else None, words[place + 1]
    is_block = [word is not None and word.startswith(BLOCK_KEY) for word in (before, after)]
    return (BLOCK_KEY if is_block[0] else before), (BLOCK_KEY if is_block[1] else after)


def _by_id(blocks: Sequence[LooseBlock]) -> dict[tuple[str | None, int], LooseBlock]:
    """Blocks by id. Should a document have one id twice, the number of the occurrence is part of the key."""
    found: dict[tuple[str | None, int], LooseBlock] = {}
    for one in blocks:
        id, number = block_id_of(one.block.item), 0
        while (id, number) in found:
            number += 1
        found[id, number] = one
    return found


def is_same_except_blocks(a: Line, b: Line) -> bool:
    """Return whether two lines hold the same nodes in the same order, except the content of the blocks in them."""
    if not isinstance(a.node, dict) or not isinstance(b.node, dict):
        return False
    content = "code" if a.type == "code" else "children"
    one, other = a.node.get(content, ABSENT), b.node.get(content, ABSENT)
    if not a.inline_blocks or not b.inline_blocks:
        return is_same(one, other)
    return is_same(_without_items(one), _without_items(other))


def _without_items(nodes: Json) -> Json:
    """Nodes with the ids of inline blocks instead of their content."""
    if isinstance(nodes, list):
        return [_without_items(node) for node in nodes]
    if not isinstance(nodes, dict):
        return nodes
    if nodes.get("type") == "inlineBlock":
        return {**nodes, "item": block_id_of(nodes.get("item"))}
    return {**nodes, "children": _without_items(nodes["children"])} if "children" in nodes else nodes
