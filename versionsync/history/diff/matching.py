"""Which lines of two documents belong together.

1. Lines that both documents have exactly once, and blocks with one id, are pairs. The heaviest series of pairs that is
   in the same order in both stays; the others were moved.
2. Between two pairs that stay, the words of all lines are aligned as one text. Lines that share enough words, or words
   at a common border, form a group: a pair, a split, a merge, or paragraphs whose borders moved.
3. What is left is aligned again, whatever stands between. Groups found there were moved and edited.
4. Lines left between the same neighbours, of the same number and types, were rewritten in place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from versionsync.history.diff.alignment import Alignment, align, heaviest_chain
from versionsync.history.diff.lines import Line, LineSort

__all__ = ["Group", "match_lines"]

SURE_WORDS: Final = 4
"""A line of fewer words may be equal to another one by chance: it is not said to be moved."""
SURE_SHARE: Final = 0.6
"""The share of common words from which on a line that is not equal may be said to be moved."""
EDITED_SHARE: Final = 0.4
"""The share of common words from which on lines of one region are paired in order, if that holds for all of them."""
COMMON_WORD_LINES: Final = 20
"""A word that more lines have does not show which of them is a part of another line."""
ROUNDS: Final = 5
"""How often lines are looked for that were moved and edited; each round finds those in one order."""


@dataclass(frozen=True, slots=True)
class Group:
    """Lines before and after that belong together, by position. One side is empty if they were added or removed."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    is_moved: bool = False
    is_limited: bool = False


@dataclass(slots=True)
class _Edge:
    """The words that a line before and a line after share: their number, and the first and last on each side."""

    count: int
    first_a: int
    last_a: int
    first_b: int
    last_b: int


def match_lines(before: Sequence[Line], after: Sequence[Line]) -> list[Group]:
    """Return groups that hold each line once, in the order of the document after.

    A group that was removed follows the one that stood before it.
    """
    if len(before) == len(after) == 1 and _is_same_place(before[0], after[0]):
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
        found, is_limited = _aligned(before, after, rest_a, rest_b)
        groups += found
        if is_limited:
            limited[0].update(rest_a)
            limited[1].update(rest_b)
        at_a, at_b = end_a + 1, end_b + 1
    in_order = sorted(groups, key=lambda group: group.before)
    others = [Group((i,), (j,), is_moved=True) for i, j in moved]
    others += _crossing(before, after, in_order, others)
    staying = in_order
    in_order, others = _attached(before, after, in_order, others)
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
        if counts_a[key] == 1 and (j := places.get(key)) is not None
    ]
    chain = heaviest_chain(pairs)
    staying = set(chain)
    moved = [(i, j) for index, (i, j, _) in enumerate(pairs) if index not in staying and _is_sure_to_move(before[i])]
    return [pairs[index][:2] for index in chain], moved


def _exact_key(line: Line) -> object:
    return line.key if line.identity is None else (line.identity, line.type)


def _is_sure_to_move(line: Line) -> bool:
    return line.identity is not None or (line.sort is LineSort.TEXT and len(line.words) >= SURE_WORDS)


def _weight(line: Line) -> int:
    """How much is lost if a line does not stay: one that cannot be moved is shown as removed and added."""
    if _is_sure_to_move(line):
        return 2000 + min(len(line.words), 999)
    return 3000 * len(line.words)


def _aligned(
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
    first_a, second_a = (before[i].words for i in pair_a)
    first_b, second_b = (after[j].words for j in pair_b)
    if second_a[0] != second_b[0] and (second_b[0] in first_a or second_a[0] in first_b):
        return True
    new, old = set(first_b) - set(first_a), set(first_a) - set(first_b)
    gone, come = set(second_a) - set(second_b), set(second_b) - set(second_a)
    return len(new & gone) > 1 or len(old & come) > 1


def _grouped(
    before: Sequence[Line], after: Sequence[Line], rest_a: list[int], rest_b: list[int]
) -> tuple[list[Group], bool]:
    """Group lines by the alignment of their words."""
    edges, is_limited = _edges(before, after, rest_a, rest_b)
    groups = [
        Group(tuple(members_a), tuple(members_b), is_limited=is_limited)
        for members_a, members_b in _components(before, after, edges)
    ]
    groups = _with_better_partners(before, after, rest_b, groups)
    flipped = [replace(group, before=group.after, after=group.before) for group in groups]
    flipped = _with_better_partners(after, before, rest_a, flipped)
    return [replace(group, before=group.after, after=group.before) for group in flipped], is_limited


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
        if best != partner:
            groups[place] = replace(group, after=(best,))
            free = (free - {best}) | {partner}
    return groups


def _share(a: Line, b: Line) -> float:
    """The share of the words of two lines that both have, in any order."""
    return 2 * (Counter(a.words) & Counter(b.words)).total() / (len(a.words) + len(b.words))


def _is_same_place(a: Line, b: Line) -> bool:
    """Return whether two lines that stand between the same neighbours may be one line that was rewritten."""
    return a.sort is b.sort and a.type == b.type and a.sort is not LineSort.BLOCK


def _is_edited(a: Line, b: Line) -> bool:
    """Return whether two lines of one region are surely one line, without aligning them."""
    if not _is_same_place(a, b):
        return False
    shared = (Counter(a.words) & Counter(b.words)).total()
    return shared >= EDITED_SHARE * max(len(a.words), len(b.words))


def _edges(
    before: Sequence[Line], after: Sequence[Line], rest_a: list[int], rest_b: list[int]
) -> tuple[dict[tuple[int, int], _Edge], bool]:
    """Align the words of some lines as one text; return what each pair of lines shares."""
    words_a = [word for i in rest_a for word in before[i].words]
    words_b = [word for j in rest_b for word in after[j].words]
    starts_a = [0, *accumulate(len(before[i].words) for i in rest_a)]
    starts_b = [0, *accumulate(len(after[j].words) for j in rest_b)]
    alignment: Alignment = align(words_a, words_b)
    edges: dict[tuple[int, int], _Edge] = {}
    for place_a, place_b, size in alignment.blocks:
        while size:
            rank_a = bisect_right(starts_a, place_a) - 1
            rank_b = bisect_right(starts_b, place_b) - 1
            step = min(size, starts_a[rank_a + 1] - place_a, starts_b[rank_b + 1] - place_b)
            in_a, in_b = place_a - starts_a[rank_a], place_b - starts_b[rank_b]
            pair = (rest_a[rank_a], rest_b[rank_b])
            edge = edges.get(pair)
            if edge is None:
                edges[pair] = _Edge(step, in_a, in_a + step - 1, in_b, in_b + step - 1)
            else:
                edge.count += step
                edge.last_a, edge.last_b = in_a + step - 1, in_b + step - 1
            place_a, place_b, size = place_a + step, place_b + step, size - step
    return edges, alignment.is_limited


def _components(
    before: Sequence[Line], after: Sequence[Line], edges: dict[tuple[int, int], _Edge]
) -> Iterable[tuple[list[int], list[int]]]:
    """Join lines along the edges that mean something, the strongest first."""
    borders_a, borders_b = _borders(edges, of_a=True), _borders(edges, of_a=False)
    of_a: dict[int, tuple[list[int], list[int]]] = {}
    of_b: dict[int, tuple[list[int], list[int]]] = {}
    for (i, j), edge in sorted(edges.items(), key=lambda item: -item[1].count):
        a, b = before[i], after[j]
        if a.sort is not b.sort or not _is_significant(edge, len(a.words), len(b.words)):
            continue
        one, other = of_a.get(i), of_b.get(j)
        if one is not None and one is other:
            continue
        if (one or other) and not (
            a.sort is LineSort.TEXT
            and (
                _is_at_border(edge, len(a.words), len(b.words))
                or (one and not other and _is_part(edge.count, edge.first_a, edge.last_a, b, a, borders_a[i]))
                or (other and not one and _is_part(edge.count, edge.first_b, edge.last_b, a, b, borders_b[j]))
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


def _is_significant(edge: _Edge, size_a: int, size_b: int) -> bool:
    """Return whether two lines share so much that one comes from the other."""
    shorter = min(size_a, size_b)
    return 2 * edge.count >= shorter or _is_at_border(edge, size_a, size_b)


def _borders(edges: dict[tuple[int, int], _Edge], *, of_a: bool) -> dict[int, Counter[int]]:
    """Return, for each line, the places at which passages that it shares with other lines begin or have ended."""
    borders: dict[int, Counter[int]] = {}
    for (i, j), edge in edges.items():
        first, last = (edge.first_a, edge.last_a) if of_a else (edge.first_b, edge.last_b)
        borders.setdefault(i if of_a else j, Counter()).update((first, last + 1))
    return borders


def _is_part(count: int, first: int, last: int, part: Line, whole: Line, borders: Counter[int]) -> bool:
    """Return whether a line is a part of another one, which has other parts.

    Half of its words were in the whole. If these are few, they were at its start, at its end or next to another part.

    Args:
        count: The number of words that both share.
        first: The place of the first of them in the whole.
        last: The place of the last of them.
        part: The line that may be a part.
        whole: The line that it may be a part of.
        borders: How often a passage of the whole that it shares with some line begins or has ended at a place.
    """
    if 2 * count < len(part.words):
        return False
    # The line itself has put its own first and last place there.
    has_neighbour = borders[first] > 1 or borders[last + 1] > 1
    return count > 2 or first == 0 or last == len(whole.words) - 1 or has_neighbour


def _is_at_border(edge: _Edge, size_a: int, size_b: int) -> bool:
    """Return whether the end of one line became the start of the other one: a border between two lines moved.

    Words may have been added or removed there; then the passage must be longer.
    """
    is_dense = edge.count == edge.last_a - edge.first_a + 1 == edge.last_b - edge.first_b + 1
    ends_a = (edge.last_a == size_a - 1) + (edge.first_b == 0)
    ends_b = (edge.first_a == 0) + (edge.last_b == size_b - 1)
    return is_dense and max(ends_a, ends_b) >= (1 if edge.count > 2 else 2)


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
        edges, is_limited = _edges(before, after, rest_a, rest_b)
        groups = [
            Group(tuple(members_a), tuple(members_b), _is_crossing(members_a, members_b, in_order), is_limited)
            for members_a, members_b in _components(before, after, edges)
            if _is_sure(before, after, members_a, members_b, edges)
        ]
        if not groups:
            break
        found += groups
        gone_a = {i for group in groups for i in group.before}
        gone_b = {j for group in groups for j in group.after}
        rest_a = [i for i in rest_a if i not in gone_a]
        rest_b = [j for j in rest_b if j not in gone_b]
    return found


def _attached(
    before: Sequence[Line], after: Sequence[Line], in_order: list[Group], others: list[Group]
) -> tuple[list[Group], list[Group]]:
    """Find lines whose words are in a group already: parts of a paragraph that stand elsewhere."""
    size = len(in_order)
    groups = [*in_order, *others]
    taken_a = {i for group in groups for i in group.before}
    taken_b = {j for group in groups for j in group.after}
    rest_a = [i for i, line in enumerate(before) if i not in taken_a and line.sort is LineSort.TEXT]
    rest_b = [j for j, line in enumerate(after) if j not in taken_b and line.sort is LineSort.TEXT]
    index_a, index_b = _by_word(before, rest_a), _by_word(after, rest_b)
    for number, group in enumerate(groups):
        if before[group.before[0]].sort is not LineSort.TEXT:
            continue
        if index_a:
            members = _with_parts(before, group.before, [after[j] for j in group.after], index_a)
            groups[number] = group = replace(group, before=members)
        if index_b:
            members = _with_parts(after, group.after, [before[i] for i in group.before], index_b)
            groups[number] = group = replace(group, after=members)
    return groups[:size], groups[size:]


def _by_word(lines: Sequence[Line], rest: Sequence[int]) -> dict[str, set[int]]:
    """Return the lines that have a word, by the words that few of them have."""
    index: dict[str, set[int]] = {}
    for number in rest:
        for word in lines[number].words:
            index.setdefault(word, set()).add(number)
    return {word: numbers for word, numbers in index.items() if len(numbers) <= COMMON_WORD_LINES}


def _with_parts(
    lines: Sequence[Line], members: tuple[int, ...], others: Sequence[Line], index: dict[str, set[int]]
) -> tuple[int, ...]:
    """Add lines to the members of a group whose other side, `others`, has their words.

    Args:
        lines: All lines of the side that may get more members.
        members: Those that are in the group.
        others: The other side of the group.
        index: The lines without a group by their words. Those that become members are taken out.

    Returns:
        The members in the order in which their words are on the other side.
    """
    whole = [word for line in others for word in line.words]
    words = [word for number in members for word in lines[number].words]
    owners = [number for number in members for _ in lines[number].words]
    if words == whole:
        return members
    unmatched = set(range(len(whole)))
    places: dict[int, int] = {}
    for place, at, size in align(words, whole).blocks:
        unmatched.difference_update(range(at, at + size))
        for offset in range(size):
            places.setdefault(owners[place + offset], at + offset)
    candidates = {number for place in unmatched for number in index.get(whole[place], ())}
    added = False
    for number in sorted(candidates):
        found = _places_in(lines[number].words, whole, unmatched)
        if found:
            added = True
            places[number] = found[0]
            unmatched.difference_update(found)
            for word in lines[number].words:
                index.get(word, set()).discard(number)
    if not added:
        return members
    return tuple(sorted(places.keys() | set(members), key=lambda number: (places.get(number, -1), number)))


def _places_in(words: list[str], whole: list[str], unmatched: set[int]) -> list[int]:
    """Return the places of the words of a line in a whole that has most of them; a short line must end it as it is."""
    size = len(words)
    if size < SURE_WORDS:
        for start in (0, len(whole) - size):
            found = list(range(start, start + size))
            if start >= 0 and unmatched.issuperset(found) and whole[start : start + size] == words:
                return found
        return []
    residue = sorted(unmatched)
    residue_words = [whole[place] for place in residue]
    if (Counter(words) & Counter(residue_words)).total() < SURE_SHARE * size:
        return []
    found = [residue[place] for _, at, length in align(words, residue_words).blocks for place in range(at, at + length)]
    return found if len(found) >= SURE_SHARE * size else []


def _is_sure(
    before: Sequence[Line],
    after: Sequence[Line],
    members_a: Sequence[int],
    members_b: Sequence[int],
    edges: dict[tuple[int, int], _Edge],
) -> bool:
    shared = sum(edges[i, j].count for i in members_a for j in members_b if (i, j) in edges)
    size_a = sum(len(before[i].words) for i in members_a)
    size_b = sum(len(after[j].words) for j in members_b)
    is_enough = shared >= SURE_WORDS or before[members_a[0]].sort is LineSort.BLOCK
    return is_enough and shared >= SURE_SHARE * max(size_a, size_b)


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
            _is_same_place(before[i], after[j]) for i, j in zip(rest_a, rest_b, strict=True)
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
