"""Group the lines of a region by the words that they share: pairs, splits, merges, and borders that moved.

A region is a part of both documents between two lines that stay. Its words are aligned as one text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, pairwise
from typing import Final

from versionsync.history.diff.alignment import Alignment, align
from versionsync.history.diff.lines import Line, LineSort
from versionsync.history.diff.tokens import NODE

__all__ = ["Edge", "Group", "group_region", "joined_lines", "may_be_rewritten", "shared_words"]

EDITED_SHARE: Final = 0.4
"""The share of common words from which on lines of one region are paired in order, if that holds for all of them."""

FREE_PAIRS_LIMIT: Final = 2_500
"""Up to 50 by 50 lines of a region that have no group are compared with each other."""
BETTER_SHARE: Final = 0.5
"""The share of common words from which on a line without a group is the better partner."""


@dataclass(frozen=True, slots=True)
class Group:
    """Lines before and after that belong together, by position. One side is empty if they were added or removed."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    is_moved: bool = False
    is_limited: bool = False


@dataclass(slots=True)
class Edge:
    """The words that a line before and a line after share: their number, and the first and last on each side."""

    count: int
    first_a: int
    last_a: int
    first_b: int
    last_b: int


def group_region(
    before: Sequence[Line], after: Sequence[Line], rest_a: list[int], rest_b: list[int]
) -> tuple[list[Group], bool]:
    """Group the lines of a region by the words they share, in order. Also return whether a limit was met."""
    if not rest_a or not rest_b:
        return [], False
    if len(rest_a) == len(rest_b) and all(_is_edited(before[i], after[j]) for i, j in zip(rest_a, rest_b, strict=True)):
        return _paired(before, after, rest_a, rest_b)
    return _grouped(before, after, rest_a, rest_b)


def _paired(
    before: Sequence[Line], after: Sequence[Line], rest_a: list[int], rest_b: list[int]
) -> tuple[list[Group], bool]:
    """Pair lines in order, except those between which words may have moved across a border."""
    groups: list[Group] = []
    is_limited = False
    start = 0
    for end in range(1, len(rest_a) + 1):
        if end < len(rest_a) and _is_border_open(before, after, rest_a[end - 1 : end + 1], rest_b[end - 1 : end + 1]):
            continue
        if end - start == 1:
            groups.append(Group((rest_a[start],), (rest_b[start],)))
        else:
            found, met_limit = _grouped(before, after, rest_a[start:end], rest_b[start:end])
            groups += found
            is_limited |= met_limit
        start = end
    return groups, is_limited


def _is_border_open(before: Sequence[Line], after: Sequence[Line], pair_a: list[int], pair_b: list[int]) -> bool:
    """Return whether words that one of two lines lost are in the other one now."""
    lines = [*(before[i] for i in pair_a), *(after[j] for j in pair_b)]
    if _have_words_moved(*(line.words for line in lines)):
        return True
    if not any(line.text.nodes for line in lines):
        return False
    # A record or block that was added before a word hides that the word is the first one.
    words = [[word for word in line.words if word[0] != NODE] for line in lines]
    return all(words) and _have_words_moved(*words)


def _have_words_moved(first_a: list[str], second_a: list[str], first_b: list[str], second_b: list[str]) -> bool:
    """Return whether words went from the first of two lines to the second one, or back."""
    if second_a[0] != second_b[0]:
        if second_b[0] in first_a or second_a[0] in first_b:
            return True
    elif first_a[-1] != first_b[-1]:
        # The word that the second line begins with may be one of two of its kind.
        word = second_a[0]
        more_in_first, more_in_second = (
            new.count(word) - old.count(word) for old, new in ((first_a, first_b), (second_a, second_b))
        )
        if more_in_first * more_in_second < 0:
            return True
    went_back = (set(first_b) - set(first_a)) & (set(second_a) - set(second_b))
    went_on = (set(first_a) - set(first_b)) & (set(second_b) - set(second_a))
    if len(went_back) > 1 or len(went_on) > 1:
        return True
    # One word is enough if it stood at the border and still has its neighbour: a new word may stand before it.
    return (second_a[0] in went_back and (first_a[-1], second_a[0]) in pairwise(first_b)) or (
        first_a[-1] in went_on and (first_a[-1], second_a[0]) in pairwise(second_b)
    )


def _grouped(
    before: Sequence[Line], after: Sequence[Line], rest_a: list[int], rest_b: list[int]
) -> tuple[list[Group], bool]:
    """Group lines by the alignment of their words."""
    edges, is_limited = shared_words(before, after, rest_a, rest_b)
    groups = [
        Group(tuple(members_a), tuple(members_b), is_limited=is_limited)
        for members_a, members_b in joined_lines(before, after, edges)
    ]
    groups = _with_better_partners(before, after, rest_b, groups)
    flipped = [replace(group, before=group.after, after=group.before) for group in groups]
    flipped = _with_better_partners(after, before, rest_a, flipped)
    groups = [replace(group, before=group.after, after=group.before) for group in flipped]
    return groups + _free_pairs(before, after, rest_a, rest_b, groups), is_limited


def _with_better_partners(
    before: Sequence[Line], after: Sequence[Line], rest_b: list[int], groups: list[Group]
) -> list[Group]:
    """Pair a line with a neighbour of its partner that has no group, if both share more.

    Of several alignments of the same length, the one that was found may scatter the words of a line.
    """
    free = set(rest_b) - {j for group in groups for j in group.after}
    if not free:
        return groups
    groups = sorted(groups, key=lambda group: group.before)
    for place, group in enumerate(groups):
        if len(group.before) > 1 or len(group.after) > 1:
            continue
        line, partner = before[group.before[0]], group.after[0]
        low = groups[place - 1].after[-1] if place else -1
        high = groups[place + 1].after[0] if place + 1 < len(groups) else len(after)
        others = [j for j in free if low < j < high and after[j].sort is line.sort]
        best = max([partner, *others], key=lambda j: _share(line, after[j]))
        if best != partner and _share(line, after[best]) >= BETTER_SHARE:
            groups[place] = replace(group, after=(best,))
            free = (free - {best}) | {partner}
    return groups


def _free_pairs(
    before: Sequence[Line], after: Sequence[Line], rest_a: list[int], rest_b: list[int], groups: list[Group]
) -> list[Group]:
    """Pair lines without a group that stand between the same groups and share half of their words, the best first."""
    taken_a = {i for group in groups for i in group.before}
    taken_b = {j for group in groups for j in group.after}
    free_a, free_b = [i for i in rest_a if i not in taken_a], [j for j in rest_b if j not in taken_b]
    if not free_a or not free_b or len(free_a) * len(free_b) > FREE_PAIRS_LIMIT:
        return []
    fixed = [(group.before[0], group.after[0]) for group in groups]
    shares = ((_share(before[i], after[j]), i, j) for i in free_a for j in free_b if before[i].sort is after[j].sort)
    found = []
    for _, i, j in sorted((one for one in shares if one[0] >= BETTER_SHARE), reverse=True):
        if all((i < at_a and j < at_b) or (i > at_a and j > at_b) for at_a, at_b in fixed):
            fixed.append((i, j))
            found.append(Group((i,), (j,)))
    return found


def _share(a: Line, b: Line) -> float:
    """The share of the words of two lines that both have, in any order."""
    return 2 * (Counter(a.words) & Counter(b.words)).total() / (len(a.words) + len(b.words))


def may_be_rewritten(a: Line, b: Line) -> bool:
    """Return whether two lines that stand between the same neighbours may be one line that was rewritten."""
    return a.sort is b.sort and a.type == b.type and a.sort is not LineSort.BLOCK


def _is_edited(a: Line, b: Line) -> bool:
    """Return whether two lines of one region are surely one line, without aligning them."""
    if not may_be_rewritten(a, b):
        return False
    shared = (Counter(a.words) & Counter(b.words)).total()
    return shared >= EDITED_SHARE * max(len(a.words), len(b.words))


def shared_words(
    before: Sequence[Line], after: Sequence[Line], rest_a: list[int], rest_b: list[int]
) -> tuple[dict[tuple[int, int], Edge], bool]:
    """Align the words of some lines as one text; return what each pair of lines shares."""
    words_a = [word for i in rest_a for word in before[i].words]
    words_b = [word for j in rest_b for word in after[j].words]
    starts_a = [0, *accumulate(len(before[i].words) for i in rest_a)]
    starts_b = [0, *accumulate(len(after[j].words) for j in rest_b)]
    alignment: Alignment = align(words_a, words_b)
    edges: dict[tuple[int, int], Edge] = {}
    for place_a, place_b, size in alignment.blocks:
        while size:
            rank_a = bisect_right(starts_a, place_a) - 1
            rank_b = bisect_right(starts_b, place_b) - 1
            step = min(size, starts_a[rank_a + 1] - place_a, starts_b[rank_b + 1] - place_b)
            in_a, in_b = place_a - starts_a[rank_a], place_b - starts_b[rank_b]
            pair = (rest_a[rank_a], rest_b[rank_b])
            edge = edges.get(pair)
            if edge is None:
                edges[pair] = Edge(step, in_a, in_a + step - 1, in_b, in_b + step - 1)
            else:
                edge.count += step
                edge.last_a, edge.last_b = in_a + step - 1, in_b + step - 1
            place_a, place_b, size = place_a + step, place_b + step, size - step
    return edges, alignment.is_limited


def joined_lines(
    before: Sequence[Line], after: Sequence[Line], edges: dict[tuple[int, int], Edge]
) -> Iterable[tuple[list[int], list[int]]]:
    """Join lines along the edges that mean something, the strongest first."""
    borders_a, borders_b = _borders(edges, of_a=True), _borders(edges, of_a=False)
    sizes_a, sizes_b = _sizes(before, after, edges)
    covered = _covered(sizes_a, sizes_b, edges)
    of_a: dict[int, tuple[list[int], list[int]]] = {}
    of_b: dict[int, tuple[list[int], list[int]]] = {}

    def strength(pair: tuple[int, int]) -> tuple[int, int]:
        """More words in common come first, and of as many those in shorter lines."""
        return -edges[pair].count, max(sizes_a[pair[0]], sizes_b[pair[1]])

    ordered = sorted(edges, key=strength)
    # All are seen twice: a weaker edge may show that a line stays, and then few words at its border are enough.
    for i, j in chain(ordered, ordered):
        a, b, edge = before[i], after[j], edges[i, j]
        one, other = of_a.get(i), of_b.get(j)
        if one is not None and one is other:
            continue
        is_border = _is_at_border(edge, len(a.words), len(b.words)) and edge.count > 2
        if one and other and not is_border:
            # Both lines are known to stay: few words are enough, if they are next to what stayed.
            is_border = _is_at_border(edge, len(a.words), len(b.words)) or _is_next_to_others(
                edge, len(a.words), len(b.words), borders_a[i], borders_b[j]
            )
        if a.sort is not b.sort:
            continue
        is_covered = (i in covered[0] and sizes_a[i] >= sizes_b[j]) or (j in covered[1] and sizes_b[j] >= sizes_a[i])
        if not is_border and not _is_significant(edge, a.sort, sizes_a[i], sizes_b[j], is_covered):
            continue
        if (one or other) and not (
            a.sort is LineSort.TEXT
            and (
                is_border
                or (one and not other and _is_part(edge.count, edge.first_a, edge.last_a, sizes_b[j], a, borders_a[i]))
                or (other and not one and _is_part(edge.count, edge.first_b, edge.last_b, sizes_a[i], b, borders_b[j]))
            )
        ):
            continue
        members = one or ([i], [])
        added = other or ([], [j])
        members[0].extend(added[0])
        members[1].extend(added[1])
        of_a.update(dict.fromkeys(members[0], members))
        of_b.update(dict.fromkeys(members[1], members))
    unique = {id(members): members for members in of_a.values()}
    return [(sorted(members[0]), sorted(members[1])) for members in unique.values()]


def _sizes(
    before: Sequence[Line], after: Sequence[Line], edges: Iterable[tuple[int, int]]
) -> tuple[dict[int, int], dict[int, int]]:
    """Return how many words the lines of both sides have.

    Records and blocks in a line count as words, but not those that the other side lacks: they say nothing.
    """
    lines_a = {i: before[i] for i, _ in edges}
    lines_b = {j: after[j] for _, j in edges}
    nodes_a, nodes_b = (
        {word for line in lines.values() if line.text.nodes for word in line.words if word[0] == NODE}
        for lines in (lines_a, lines_b)
    )
    return (
        {i: _size(line, nodes_b) for i, line in lines_a.items()},
        {j: _size(line, nodes_a) for j, line in lines_b.items()},
    )


def _size(line: Line, known: set[str]) -> int:
    return sum(word[0] != NODE or word in known for word in line.words) if line.text.nodes else len(line.words)


def _covered(
    sizes_a: Mapping[int, int], sizes_b: Mapping[int, int], edges: dict[tuple[int, int], Edge]
) -> tuple[set[int], set[int]]:
    """Return the lines of both sides that were split or merged by all appearance.

    Half of such a line is in lines that hold little else, or is one passage of lines that follow one another.
    """
    in_a: dict[int, list[tuple[int, int, int, int]]] = {}
    in_b: dict[int, list[tuple[int, int, int, int]]] = {}
    for (i, j), edge in edges.items():
        in_a.setdefault(i, []).append((edge.count, edge.first_a, edge.last_a, sizes_b[j]))
        in_b.setdefault(j, []).append((edge.count, edge.first_b, edge.last_b, sizes_a[i]))
    return (
        {i for i, parts in in_a.items() if _is_made_of(parts, sizes_a[i])},
        {j for j, parts in in_b.items() if _is_made_of(parts, sizes_b[j])},
    )


def _is_made_of(parts: list[tuple[int, int, int, int]], size: int) -> bool:
    """Return whether a line is made of parts: common words, the first and last of them, and the size of the part."""
    inside = sum(count for count, _, _, part in parts if 2 * count >= part)
    if 2 * inside >= size:
        return True
    total = sum(count for count, _, _, _ in parts)
    length = max(last for _, _, last, _ in parts) - min(first for _, first, _, _ in parts) + 1
    return total > 2 and 2 * total >= size and length < 2 * total


def _is_significant(edge: Edge, sort: LineSort, size_a: int, size_b: int, is_covered: bool) -> bool:
    """Return whether two lines share so much that one comes from the other.

    Half of the shorter line is in the longer one. A long line has some common words by chance: so they must be a
    quarter of it, or stand together, or the longer one must be in parts like this one for the most part.
    """
    if sort is LineSort.BLOCK:
        return 2 * edge.count >= max(size_a, size_b)  # it has another id: most of it must be the same
    if 2 * edge.count < min(size_a, size_b):
        return False
    first, last = (edge.first_a, edge.last_a) if size_a >= size_b else (edge.first_b, edge.last_b)
    is_dense = edge.count > 2 and last - first < 2 * edge.count
    return is_covered or is_dense or 4 * edge.count >= max(size_a, size_b)


def _borders(edges: dict[tuple[int, int], Edge], *, of_a: bool) -> dict[int, Counter[int]]:
    """Return, for each line, the places at which passages that it shares with other lines begin or have ended."""
    borders: dict[int, Counter[int]] = {}
    for (i, j), edge in edges.items():
        first, last = (edge.first_a, edge.last_a) if of_a else (edge.first_b, edge.last_b)
        borders.setdefault(i if of_a else j, Counter()).update((first, last + 1))
    return borders


def _is_part(count: int, first: int, last: int, size: int, whole: Line, borders: Counter[int]) -> bool:
    """Return whether a line is a part of another one, which has other parts.

    Half of its words were in the whole. If these are few, they were at its start, at its end or next to another part;
    of two words, the next one may have been edited.

    Args:
        count: The number of words that both share.
        first: The place of the first of them in the whole.
        last: The place of the last of them.
        size: The number of words in the line that may be a part.
        whole: The line that it may be a part of.
        borders: How often a passage of the whole that it shares with some line begins or has ended at a place.
    """
    if 2 * count < size:
        return False
    if count > 2 or first == 0 or last == len(whole.words) - 1:
        return True
    # The line itself has put its own first and last place there.
    if borders[first] > 1 or borders[last + 1] > 1:
        return True
    return count == 2 and (first == 1 or last == len(whole.words) - 2 or bool(borders[first - 1] or borders[last + 2]))


def _is_next_to_others(edge: Edge, size_a: int, size_b: int, borders_a: Counter[int], borders_b: Counter[int]) -> bool:
    """Return whether a passage at the end of one line begins or ends where another one of the other line does."""
    return (
        (edge.first_a == 0 and borders_b[edge.first_b] > 1)
        or (edge.last_a == size_a - 1 and borders_b[edge.last_b + 1] > 1)
        or (edge.first_b == 0 and borders_a[edge.first_a] > 1)
        or (edge.last_b == size_b - 1 and borders_a[edge.last_a + 1] > 1)
    )


def _is_at_border(edge: Edge, size_a: int, size_b: int) -> bool:
    """Return whether the end of one line became the start of the other one: a border between two lines moved.

    Words may have been added or removed at the border or within; then more words must be the same.
    """
    length_a, length_b = edge.last_a - edge.first_a + 1, edge.last_b - edge.first_b + 1
    exact_ends = max(
        (edge.last_a == size_a - 1) + (edge.first_b == 0),
        (edge.first_a == 0) + (edge.last_b == size_b - 1),
    )
    if edge.count > 2 and exact_ends == 2:
        return 2 * edge.count >= max(length_a, length_b)
    is_dense = edge.count == length_a == length_b
    return is_dense and exact_ends >= (1 if edge.count > 2 else 2)
