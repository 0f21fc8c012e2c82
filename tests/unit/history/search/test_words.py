"""What a word is, and where a pattern is in a text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.history.search.matching import snippet_of
from versionsync.history.search.patterns import Pattern
from versionsync.history.search.words import fold, fold_with_places, words_of

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cn", "Co"), max_codepoint=0xFFFF), max_size=20)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The OLD fish-market", ["the", "old", "fish", "market"]),
        ("Łódź Ørsted straße STRASSE", ["lodz", "orsted", "strasse", "strasse"]),
        ("İstanbul ISPARTA ısparta", ["istanbul", "isparta", "isparta"]),
        ("ΌΣΟΣ όσος", ["οσοσ", "οσοσ"]),
        ("3.14 a_b don’t", ["3", "14", "a", "b", "don", "t"]),
        ("東京都tower", ["東京", "京都", "都", "tower"]),
        ("हिन्दी", ["हिन्दी"]),
        ("한국어", ["한국어"]),
        ("½ ﬁsh", ["1", "2", "fish"]),
    ],
)
def test_words_are_folded(text: str, words: list[str]) -> None:
    assert words_of(fold(text)) == words


@given(TEXTS)
def test_a_text_is_folded_alike_with_and_without_places(text: str) -> None:
    folded = fold_with_places(text)
    assert len(folded.text) == len(folded.starts) == len(folded.ends)
    assert words_of(folded.text) == words_of(fold(text))


@given(TEXTS)
def test_other_spellings_of_a_character_are_the_same(text: str) -> None:
    assert words_of(fold(unicodedata.normalize("NFD", text))) == words_of(fold(unicodedata.normalize("NFC", text)))


@pytest.mark.parametrize(
    ("patterns", "text", "found"),
    [
        (["old fish"], "The OLD, «fish» market", ["OLD, «fish"]),
        (["old fish"], "old market fish", []),
        (["fish", "old"], "old market fish", ["old", "fish"]),
        (["fi*"], "Fish and fire, off", ["Fi", "fi"]),
        (["京都"], "東京都", ["京都"]),
        (["都"], "東京都", ["都"]),
        (["都 tower"], "東京都tower", ["都tower"]),
        (["東 tower"], "東京都tower", []),
        (["tower 東"], "a tower東京", ["tower東"]),
        (["strasse"], "STRAẞE", ["STRAẞE"]),
        (["ete"], "e\u0301te\u0301!", ["e\u0301te\u0301"]),
    ],
)
def test_a_pattern_is_found_and_marked(patterns: list[str], text: str, found: list[str]) -> None:
    pattern = Pattern.of(patterns)
    assert pattern is not None
    assert [text[start:end] for start, end in pattern.spans(text)] == found
    assert pattern.matches(text) == bool(found)


def test_a_snippet_is_the_text_around_the_first_hit() -> None:
    text = "word " * 40 + "fish" + " word" * 40
    assert snippet_of("old fish", [(4, 8)]) == "old «fish»"
    snippet = snippet_of(text, [(200, 204)])
    assert snippet.startswith("…word word")
    assert "«fish»" in snippet
    assert snippet.endswith("…")
    assert len(snippet) < 130
