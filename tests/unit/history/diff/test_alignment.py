"""Words, and which of them two texts share."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import LCSseq

from versionsync.history.diff import alignment
from versionsync.history.diff.alignment import align, align_around, heaviest_chain
from versionsync.history.diff.texts import Text, compare_texts
from versionsync.history.diff.tokens import count_words, split_words, words_in

words = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), max_size=25)
texts = st.text(st.sampled_from(list("ab' ,.<>/=\"\n\u2029\ufffc日本ภา\u0301é👩\u200d1_-")), max_size=40)


@given(st.text() | texts)
@settings(deadline=None)
def test_words_and_gaps_are_the_whole_text(text: str) -> None:
    tokens = split_words(text)
    assert "".join(gap + word for gap, word in tokens) == text
    assert tokens[-1][1] == ""
    assert all(word for _, word in tokens[:-1])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 0),
        (" , ! ", 0),
        ("One, two: three.", 3),
        ("don't stop", 2),
        ("l’amore", 1),
        ("3.14 and 1,000", 3),
        ("1.", 1),
        ("well-known", 2),
        ("<p>one <b>two</b></p>", 2),
        ("1 < 2 > 0", 3),
        ("日本語", 3),
        ("ภาษา", 4),
        ("cafe\u0301", 1),
        ("a\u00a0b", 2),
    ],
)
def test_words_are_counted_as_people_do(text: str, number: int) -> None:
    assert words_in([text]) == number
    assert count_words(word for _, word in split_words(text)) == number


@given(words, words)
@settings(deadline=None)
def test_no_token_yields_to_a_loose_one(a: list[str], b: list[str]) -> None:
    aligned = align_around(a, b, lambda token: token in "ef")
    ends = [(0, 0), *((i + size, j + size) for i, j, size in aligned.blocks)]
    assert all(i >= end_a and j >= end_b for (i, j, _), (end_a, end_b) in zip(aligned.blocks, ends, strict=False))
    pairs = [(a[i + offset], b[j + offset]) for i, j, size in aligned.blocks for offset in range(size)]
    assert all(one == other for one, other in pairs)
    firm = [[token for token in side if token not in "ef"] for side in (a, b)]
    assert sum(one not in "ef" for one, _ in pairs) == LCSseq.similarity(*firm)


@given(words, words)
@settings(deadline=None)
def test_an_alignment_is_as_long_as_any(a: list[str], b: list[str]) -> None:
    blocks = align(a, b).blocks
    at_a = at_b = 0
    for i, j, size in blocks:
        assert i >= at_a
        assert j >= at_b
        assert a[i : i + size] == b[j : j + size]
        at_a, at_b = i + size, j + size
    assert sum(size for _, _, size in blocks) == LCSseq.similarity(a, b)


@given(words, words)
@settings(deadline=None)
def test_sequences_that_are_cut_are_aligned_in_order(a: list[str], b: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "CUT_FROM", 0)
        blocks = align(a, b).blocks
    at_a = at_b = 0
    for i, j, size in blocks:
        assert size > 0
        assert i >= at_a
        assert j >= at_b
        assert a[i : i + size] == b[j : j + size]
        at_a, at_b = i + size, j + size


def test_what_is_too_long_is_not_aligned_and_says_so() -> None:
    start, end = ["start"] * 5, ["end"] * 5
    a = [*start, *(f"a{number}" for number in range(10_001)), *end]
    b = [*start, *(f"b{number}" for number in range(10_001)), *end]
    result = align(a, b)
    assert result.is_limited
    assert result.blocks == [(0, 0, 5), (10_006, 10_006, 5)]
    assert not align(a[:9_000], b).is_limited


@given(st.permutations(range(7)), st.lists(st.integers(1, 9), min_size=7, max_size=7))
@settings(deadline=None)
def test_the_heaviest_chain_is_the_heaviest(order: list[int], weights: list[int]) -> None:
    pairs = [(i, j, weight) for i, (j, weight) in enumerate(zip(order, weights, strict=True))]
    chain = heaviest_chain(pairs)
    rising = [
        chosen
        for size in range(8)
        for chosen in combinations(pairs, size)
        if all(one[1] < other[1] for one, other in pairwise(chosen))
    ]
    best = max(sum(weight for _, _, weight in chosen) for chosen in rising)
    assert tuple(pairs[index] for index in chain) in rising
    assert sum(pairs[index][2] for index in chain) == best


@given(texts, texts)
@settings(deadline=None)
def test_spans_are_both_texts(a: str, b: str) -> None:
    spans = compare_texts(Text(a), Text(b)).spans
    assert "".join(span.text for span in spans if span.operation != "added") == a
    assert "".join(span.text for span in spans if span.operation != "removed") == b
    assert all(span.text for span in spans)
