"""Which tokens of two sequences are the same, in order. RapidFuzz does the work.

Its memory grows with the product of the two lengths. So long sequences are cut first, at passages of three tokens
that both have exactly once. What is still too long after that has hardly a passage in common: it is not aligned, and
the result says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Final, NamedTuple

from rapidfuzz.distance import Indel

__all__ = ["PRODUCT_LIMIT", "Alignment", "Block", "align", "align_around", "heaviest_chain"]

PRODUCT_LIMIT: Final = 100_000_000
"""Passages that have nothing in common are compared up to 10,000 by 10,000 tokens; that takes 12 MB and 25 ms."""
CUT_FROM: Final = 1_000_000
"""Sequences whose product of lengths is greater are cut first; the aim is speed."""
PASSAGE: Final = 3

Block = tuple[int, int, int]
"""A run of equal tokens: where it begins in the first and in the second sequence, and its length."""


class Alignment(NamedTuple):
    """Runs of equal tokens in order, and whether a part was too long to be aligned."""

    blocks: list[Block]
    is_limited: bool


def align(a: Sequence[Hashable], b: Sequence[Hashable]) -> Alignment:
    """Return the longest series of tokens that both sequences have in the same order, as runs.

    If a sequence is long, it may be a little shorter than the longest one.
    """
    if len(a) * len(b) <= CUT_FROM:
        return Alignment(_blocks(a, b, 0, 0), False)
    start = _common_start(a, b)
    end = _common_end(a, b, start)
    cuts = [(0, 0, start), *_passages(a, b, start, end), (len(a) - end, len(b) - end, end)]
    blocks: list[Block] = []
    is_limited = False
    at_a = at_b = 0
    for i, j, size in cuts:
        if i > at_a and j > at_b:
            if (i - at_a) * (j - at_b) > PRODUCT_LIMIT:
                is_limited = True
            else:
                blocks += _blocks(a[at_a:i], b[at_b:j], at_a, at_b)
        if size:
            blocks.append((i, j, size))
        at_a, at_b = i + size, j + size
    return Alignment(_joined(blocks), is_limited)


def align_around(a: Sequence[str], b: Sequence[str], is_loose: Callable[[str], bool]) -> Alignment:
    """Align all tokens but the loose ones, and those between the others afterwards: no token yields to a loose one."""
    firm_a = [place for place, token in enumerate(a) if not is_loose(token)]
    firm_b = [place for place, token in enumerate(b) if not is_loose(token)]
    if len(firm_a) == len(a) and len(firm_b) == len(b):
        return align(a, b)
    firm = align([a[place] for place in firm_a], [b[place] for place in firm_b])
    pairs = [(firm_a[i + offset], firm_b[j + offset]) for i, j, size in firm.blocks for offset in range(size)]
    blocks: list[Block] = []
    at_a = at_b = 0
    for place_a, place_b in [*pairs, (len(a), len(b))]:
        if place_a > at_a and place_b > at_b:
            between = align(a[at_a:place_a], b[at_b:place_b])
            blocks += [(at_a + i, at_b + j, size) for i, j, size in between.blocks]
        if place_a < len(a):
            blocks.append((place_a, place_b, 1))
        at_a, at_b = place_a + 1, place_b + 1
    return Alignment(_joined(blocks), firm.is_limited)


def heaviest_chain(pairs: Sequence[tuple[int, int, int]]) -> list[int]:
    """Return the indices of the pairs `(i, j, weight)` that rise in both `i` and `j` and weigh most, in order.

    The pairs come sorted by `i`, and no two have the same `i` or the same `j`.
    """
    ranks = {j: rank for rank, j in enumerate(sorted(j for _, j, _ in pairs), 1)}
    size = len(pairs)
    # A Fenwick tree: the heaviest chain that ends at a rank or before, as weight and index of its last pair.
    tree: list[tuple[int, int]] = [(0, -1)] * (size + 1)
    before = [-1] * size
    for index, (_, j, weight) in enumerate(pairs):
        rank = ranks[j]
        best, place = (0, -1), rank - 1
        while place > 0:
            if tree[place][0] > best[0]:
                best = tree[place]
            place -= place & -place
        before[index] = best[1]
        total, place = best[0] + weight, rank
        while place <= size:
            if total > tree[place][0]:
                tree[place] = (total, index)
            place += place & -place
    best, place = (0, -1), size
    while place > 0:
        if tree[place][0] > best[0]:
            best = tree[place]
        place -= place & -place
    chain = []
    index = best[1]
    while index >= 0:
        chain.append(index)
        index = before[index]
    return chain[::-1]


def _blocks(a: Sequence[Hashable], b: Sequence[Hashable], at_a: int, at_b: int) -> list[Block]:
    blocks = Indel.editops(a, b).as_matching_blocks()
    return [(block.a + at_a, block.b + at_b, block.size) for block in blocks if block.size]


def _joined(blocks: list[Block]) -> list[Block]:
    """Join runs that follow one another on both sides."""
    joined: list[Block] = []
    for i, j, size in blocks:
        if joined:
            at_a, at_b, length = joined[-1]
            if at_a + length == i and at_b + length == j:
                joined[-1] = (at_a, at_b, length + size)
                continue
        joined.append((i, j, size))
    return joined


def _common_start(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    shorter = min(len(a), len(b))
    return next((index for index in range(shorter) if a[index] != b[index]), shorter)


def _common_end(a: Sequence[Hashable], b: Sequence[Hashable], start: int) -> int:
    shorter = min(len(a), len(b)) - start
    return next((index for index in range(shorter) if a[-1 - index] != b[-1 - index]), shorter)


def _passages(a: Sequence[Hashable], b: Sequence[Hashable], start: int, end: int) -> list[Block]:
    """Return runs of tokens, made of passages that both sequences have once, that follow one another in both."""
    in_a = list(zip(*(a[start + offset : len(a) - end] for offset in range(PASSAGE)), strict=False))
    in_b = list(zip(*(b[start + offset : len(b) - end] for offset in range(PASSAGE)), strict=False))
    counts_a, counts_b = Counter(in_a), Counter(in_b)
    places = {passage: j for j, passage in enumerate(in_b) if counts_b[passage] == 1}
    runs: list[list[int]] = []
    for i, passage in enumerate(in_a):
        if counts_a[passage] != 1 or (j := places.get(passage)) is None:
            continue
        if runs and (last := runs[-1])[0] + last[2] == i and last[1] + last[2] == j:
            last[2] += 1
        else:
            runs.append([i, j, 1])
    pairs = [(i, j, size) for i, j, size in runs]
    blocks: list[Block] = []
    at_a = at_b = 0
    for index in heaviest_chain(pairs):
        i, j, size = pairs[index]
        size += PASSAGE - 1
        skipped = max(at_a - i, at_b - j, 0)  # the last tokens of a passage may be the first of the next one
        if skipped < size:
            blocks.append((i + skipped + start, j + skipped + start, size - skipped))
            at_a, at_b = i + size, j + size
    return blocks
