"""Which lines of two documents belong together.

1. Lines that both documents have exactly once, and blocks with one id, are pairs. The heaviest series of pairs that is
   in the same order in both stays; the others were moved.
2. Between two pairs that stay, the words of all lines are aligned as one text. Lines that share enough words, or words
   at a common border, form a group: a pair, a split, a merge, or paragraphs whose borders moved.
3. What is left is aligned again, whatever stands between. Groups found there were moved and edited.
4. A line whose words are in a group already is a part of it that stands elsewhere.
5. Lines left between the same neighbours, of the same number and types, were rewritten in place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from versionsync.history.diff.alignment import align, heaviest_chain
from versionsync.history.diff.equality import is_empty
from versionsync.history.diff.lines import Line, LineSort
from versionsync.history.diff.members import is_block
from versionsync.history.diff.parts import SURE_SHARE, SURE_WORDS, attach_parts
from versionsync.history.diff.regions import (
    Group,
    group_region,
    joined_lines,
    may_be_rewritten,
    shared_words,
)
from versionsync.history.diff.tokens import NODE

__all__ = ["match_lines"]

ROUNDS: Final = 5
"""How often lines are looked for that were moved and edited; each round finds those in one order."""
PART_SHARE: Final = 0.5
"""The share of a line from which on another one that has nothing else is a part of it that was moved."""
PASSAGE_SHARE: Final = 1 / 3
"""The same for a part whose words were all in a row."""


def match_lines(
    before: Sequence[Line],
    after: Sequence[Line],
    are_strangers: Callable[[str | None, str | None], bool] = lambda one, other: False,
) -> list[Group]:
    """Return groups that hold each line once, in the order of the document after.

    A group that was removed follows the one that stood before it.

    Args:
        before: The lines before.
        after: The lines after.
        are_strangers: Whether two blocks with these ids are not one, even if they say the same.
    """
    groups: list[Group] = []
    for group in _matched(before, after):
        one, other = (
            [side[i].identity for i in members] for side, members in ((before, group.before), (after, group.after))
        )
        if len(one) == len(other) == 1 and one != other and are_strangers(one[0], other[0]):
            groups += (replace(group, after=(), is_moved=False), replace(group, before=(), is_moved=False))
        else:
            groups.append(group)
    return groups


def _matched(before: Sequence[Line], after: Sequence[Line]) -> list[Group]:
    if len(before) == len(after) == 1 and may_be_rewritten(before[0], after[0]):
        return [Group((0,), (0,))]
    fixed, moved = _exact_pairs(before, after)
    taken_a = {i for i, _ in moved}
    taken_b = {j for _, j in moved}
    groups = [Group((i,), (j,)) for i, j in fixed]
    limited: tuple[set[int], set[int]] = (set(), set())
    at_a = at_b = 0
    for end_a, end_b in [*fixed, (len(before), len(after))]:
        rest_a = [i for i in range(at_a, end_a) if i not in taken_a]
        rest_b = [j for j in range(at_b, end_b) if j not in taken_b]
        found, is_limited = group_region(before, after, rest_a, rest_b)
        groups += found
        if is_limited:
            limited[0].update(rest_a)
            limited[1].update(rest_b)
        at_a, at_b = end_a + 1, end_b + 1
    in_order = sorted(groups, key=lambda group: group.before)
    others = [Group((i,), (j,), is_moved=True) for i, j in moved]
    others += _crossing(before, after, in_order, others)
    staying = in_order
    in_order, others = attach_parts(before, after, in_order, others)
    in_order += _rewritten(before, after, staying, [*in_order, *others])
    in_order.sort(key=lambda group: group.before)
    return _with_rest(len(before), len(after), in_order, others, limited)


def _exact_pairs(before: Sequence[Line], after: Sequence[Line]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the pairs that stay and those that were moved."""
    keys_a, keys_b = [_exact_key(line) for line in before], [_exact_key(line) for line in after]
    counts_a, counts_b = Counter(keys_a), Counter(keys_b)
    places = {key: j for j, key in enumerate(keys_b) if counts_b[key] == 1}
    pairs = [
        (i, j, _weight(before[i]))
        for i, key in enumerate(keys_a)
        if counts_a[key] == 1 and (j := places.get(key)) is not None and not _is_ambiguous(before, i, after, j)
    ]
    chain = heaviest_chain(pairs)
    staying = set(chain)
    moved = [(i, j) for index, (i, j, _) in enumerate(pairs) if index not in staying and _is_sure_to_move(before[i])]
    return [pairs[index][:2] for index in chain], moved


def _is_ambiguous(before: Sequence[Line], i: int, after: Sequence[Line], j: int) -> bool:
    """Return whether two lines may be equal by chance: one word that other lines have, too, in another container."""
    line = before[i]
    if line.sort is not LineSort.TEXT or len(line.words) > 1 or _container_types(line) == _container_types(after[j]):
        return False
    word = line.words[0]
    return any(sum(word in one.text.text for one in lines) > 1 for lines in (before, after))


def _container_types(line: Line) -> list[str]:
    return [container.type for container in line.containers]


def _exact_key(line: Line) -> object:
    return line.key if line.identity is None else (line.identity, line.type)


def _is_sure_to_move(line: Line) -> bool:
    return line.identity is not None or (line.sort is LineSort.TEXT and len(line.words) >= SURE_WORDS)


def _weight(line: Line) -> int:
    """How much is lost if a line does not stay: one that cannot be moved is shown as removed and added.

    A line of one word is too likely to be equal to another one by chance to make a longer one move.
    """
    if _is_sure_to_move(line):
        return 2000 + min(len(line.words), 999)
    return 1500 * len(line.words)


def _crossing(
    before: Sequence[Line], after: Sequence[Line], in_order: Sequence[Group], others: Sequence[Group]
) -> list[Group]:
    """Find lines that were moved and edited among those that have no group."""
    taken_a = {i for group in (*in_order, *others) for i in group.before}
    taken_b = {j for group in (*in_order, *others) for j in group.after}
    rest_a = [i for i, line in enumerate(before) if i not in taken_a and line.sort is not LineSort.OTHER]
    rest_b = [j for j, line in enumerate(after) if j not in taken_b and line.sort is not LineSort.OTHER]
    found: list[Group] = []
    for _ in range(ROUNDS):
        if not rest_a or not rest_b:
            break
        edges, is_limited = shared_words(before, after, rest_a, rest_b)
        groups = [
            Group(tuple(members_a), tuple(members_b), _is_crossing(members_a, members_b, in_order), is_limited)
            for members_a, members_b in joined_lines(before, after, edges)
            if _is_sure(before, after, members_a, members_b)
        ]
        if not groups:
            break
        found += groups
        gone_a = {i for group in groups for i in group.before}
        gone_b = {j for group in groups for j in group.after}
        rest_a = [i for i in rest_a if i not in gone_a]
        rest_b = [j for j in rest_b if j not in gone_b]
    return found


def _is_sure(before: Sequence[Line], after: Sequence[Line], members_a: Sequence[int], members_b: Sequence[int]) -> bool:
    """Return whether lines that were moved share enough words, whatever other lines have some of them, too."""
    words_a = [word for i in members_a for word in before[i].words]
    words_b = [word for j in members_b for word in after[j].words]
    words_a, words_b = _without_other_nodes(words_a, words_b), _without_other_nodes(words_b, words_a)
    blocks = align(words_a, words_b).blocks
    shared = sum(size for _, _, size in blocks)
    is_enough = shared >= SURE_WORDS or _is_block_with_content(before[members_a[0]])
    share = SURE_SHARE
    if shared == min(len(words_a), len(words_b)):  # a part that has no other words: the other parts may be elsewhere
        share = PART_SHARE if len(blocks) > 1 else PASSAGE_SHARE
    return is_enough and shared >= share * max(len(words_a), len(words_b))


def _is_block_with_content(line: Line) -> bool:
    """Return whether a line is a block that may be known by its content. Empty ones are all alike."""
    if line.sort is not LineSort.BLOCK:
        return False
    item = line.node.get("item")
    return is_block(item) and not all(map(is_empty, item["attributes"].values()))


def _without_other_nodes(words: list[str], others: list[str]) -> list[str]:
    """Return some words without the records and blocks that the other words lack: these say nothing."""
    return [word for word in words if word[0] != NODE or word in others]


def _is_crossing(members_a: Sequence[int], members_b: Sequence[int], in_order: Sequence[Group]) -> bool:
    """Return whether a group that stays stands before these lines on one side and after them on the other."""
    return any((group.before[-1] < members_a[0]) != (group.after[-1] < members_b[0]) for group in in_order)


def _rewritten(
    before: Sequence[Line], after: Sequence[Line], staying: Sequence[Group], groups: Sequence[Group]
) -> list[Group]:
    """Pair lines that are left between the same neighbours, if they agree in number and types."""
    taken_a = {i for group in groups for i in group.before}
    taken_b = {j for group in groups for j in group.after}
    found = []
    at_a = at_b = 0
    ends = [(group.before[0], group.before[-1], group.after[0], group.after[-1]) for group in staying]
    for first_a, last_a, first_b, last_b in [*ends, (len(before), 0, len(after), 0)]:
        rest_a = [i for i in range(at_a, first_a) if i not in taken_a]
        rest_b = [j for j in range(at_b, first_b) if j not in taken_b]
        if len(rest_a) == len(rest_b) and all(
            may_be_rewritten(before[i], after[j]) for i, j in zip(rest_a, rest_b, strict=True)
        ):
            found += [Group((i,), (j,)) for i, j in zip(rest_a, rest_b, strict=True)]
        at_a, at_b = last_a + 1, last_b + 1
    return found


def _with_rest(
    size_a: int,
    size_b: int,
    in_order: Sequence[Group],
    others: Sequence[Group],
    limited: tuple[set[int], set[int]],
) -> list[Group]:
    """Add the lines that have no group, and put all in the order of the document after."""
    taken_a = {i for group in (*in_order, *others) for i in group.before}
    taken_b = {j for group in (*in_order, *others) for j in group.after}
    placed = [((min(group.after), 0, 0), group) for group in (*in_order, *others)]
    placed += [((j, 0, 0), Group((), (j,), is_limited=j in limited[1])) for j in range(size_b) if j not in taken_b]
    neighbours = iter([*in_order, None])
    neighbour, at = next(neighbours), -1
    for i in range(size_a):
        while neighbour is not None and min(neighbour.before) < i:
            at = max(at, min(neighbour.after))
            neighbour = next(neighbours)
        if i not in taken_a:
            placed.append(((at, 1, i), Group((i,), (), is_limited=i in limited[0])))
    return [group for _, group in sorted(placed, key=lambda item: item[0])]
