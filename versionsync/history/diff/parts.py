"""Find parts of a paragraph that do not stand beside it: what was split off and moved, or moved and merged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from versionsync.history.diff.alignment import align
from versionsync.history.diff.lines import Line, LineSort
from versionsync.history.diff.regions import Group

__all__ = ["SURE_SHARE", "SURE_WORDS", "attach_parts"]

SURE_WORDS: Final = 4
"""A line of fewer words may be equal to another one by chance: it is not said to be moved."""
SURE_SHARE: Final = 0.6
"""The share of common words from which on a line that is not equal may be said to be moved."""
COMMON_WORD_LINES: Final = 20
"""A word that more lines have does not show which of them is a part of another line."""


def attach_parts(
    before: Sequence[Line], after: Sequence[Line], in_order: list[Group], others: list[Group]
) -> tuple[list[Group], list[Group]]:
    """Find lines whose words are in a group already: parts of a paragraph that stand elsewhere."""
    size = len(in_order)
    groups = [*in_order, *others]
    taken_a = {i for group in groups for i in group.before}
    taken_b = {j for group in groups for j in group.after}
    free_a = {i for i in range(len(before)) if i not in taken_a}
    free_b = {j for j in range(len(after)) if j not in taken_b}
    index_a, index_b = _by_word(before, free_a), _by_word(after, free_b)
    for number, group in enumerate(groups):
        if before[group.before[0]].sort is not LineSort.TEXT:
            continue
        if index_a:
            members = _with_parts(before, group.before, [after[j] for j in group.after], index_a, free_a)
            groups[number] = group = replace(group, before=members)
        if index_b:
            members = _with_parts(after, group.after, [before[i] for i in group.before], index_b, free_b)
            groups[number] = group = replace(group, after=members)
    return groups[:size], groups[size:]


def _by_word(lines: Sequence[Line], free: set[int]) -> dict[str, set[int]]:
    """Return the texts that have a word, by the words that few of them have."""
    index: dict[str, set[int]] = {}
    for number in free:
        if lines[number].sort is not LineSort.TEXT:
            continue
        for word in lines[number].words:
            index.setdefault(word, set()).add(number)
    return {word: numbers for word, numbers in index.items() if len(numbers) <= COMMON_WORD_LINES}


def _with_parts(
    lines: Sequence[Line],
    members: tuple[int, ...],
    others: Sequence[Line],
    index: dict[str, set[int]],
    free: set[int],
) -> tuple[int, ...]:
    """Add lines to the members of a group whose other side, `others`, has their words.

    Args:
        lines: All lines of the side that may get more members.
        members: Those that are in the group.
        others: The other side of the group.
        index: The lines without a group by their words. Those that become members are taken out.
        free: All lines that had no group at first.

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
        own = lines[number].words
        if len(own) == 1:
            found = _place_beside(own[0], whole, unmatched, number, members, free)
        else:
            found = _places_in(own, whole, unmatched)
        if found:
            added = True
            places[number] = found[0]
            unmatched.difference_update(found)
            for word in own:
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
    if len(unmatched) < SURE_SHARE * size:
        return []
    residue = sorted(unmatched)
    residue_words = [whole[place] for place in residue]
    if (Counter(words) & Counter(residue_words)).total() < SURE_SHARE * size:
        return []
    found = [residue[place] for _, at, length in align(words, residue_words).blocks for place in range(at, at + length)]
    return found if len(found) >= SURE_SHARE * size else []


def _place_beside(
    word: str, whole: list[str], unmatched: set[int], number: int, members: tuple[int, ...], free: set[int]
) -> list[int]:
    """Return the place of a line of one word in a whole that begins or ends with it.

    It must stand beside the members: nothing between them was there before. Elsewhere a word is there by chance.
    """
    first, last, end = min(members), max(members), len(whole) - 1
    if number < first and 0 in unmatched and whole[0] == word and free.issuperset(range(number, first)):
        return [0]
    if number > last and end in unmatched and whole[end] == word and free.issuperset(range(last + 1, number)):
        return [end]
    return []
