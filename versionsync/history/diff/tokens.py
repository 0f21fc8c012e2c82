"""Words of a text, and what stands between them.

A text is a series of words, each with the gap before it: spaces, punctuation and HTML tags. Two texts are aligned by
their words alone, so a comma never competes with a word. A Chinese or Japanese character is a word of its own, and so
is a Thai or Lao one, since no spaces separate the words there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

__all__ = ["BREAK", "NODE", "Tokens", "count_words", "split_words", "words_in"]

NODE: Final = "\ufffc"
"""Stands in a text for a node that is no text (U+FFFC, object replacement character)."""
BREAK: Final = "\u2029"
"""Stands in a text for the border between two paragraphs (U+2029, paragraph separator). It is part of a gap."""

Tokens = list[tuple[str, str]]
"""Pairs of a gap and the word after it. The last word is empty: its gap is the end of the text."""

_PUNCTUATION = (
    r"!-/:-@\[-`{-~\u00a1-\u00a9\u00ab\u00ac\u00ae-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf"
    r"\u2010-\u2027\u2030-\u205e\u2190-\u25ff\u3001-\u3003\u3008-\u301f"
    r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
_SINGLE = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_CLUSTER = r"\u0e00-\u0eff"
_CLUSTER_MARKS = r"\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece"
_GAP = rf"\s{_PUNCTUATION}"
_LETTER = rf"[^{_GAP}{_SINGLE}{_CLUSTER}{NODE}]"
_WORD = (
    rf"{_LETTER}++(?:['’]{_LETTER}++|(?<=[0-9])[.,](?=[0-9]){_LETTER}++)*+"
    rf"|[{_SINGLE}{NODE}]|[{_CLUSTER}][{_CLUSTER_MARKS}]*+"
)
_PLAIN: Final = re.compile(rf"([{_GAP}]*+)({_WORD}|\Z)")
_TAGGED: Final = re.compile(rf"((?:</?[A-Za-z!][^<>]*+>|[{_GAP}])*+)({_WORD}|\Z)")
_NO_WORD: Final = frozenset((NODE, "\x00", ""))


def split_words(text: str) -> Tokens:
    """Return the words of `text`, each with the gap before it. They are the whole text, in order."""
    pattern = _TAGGED if "<" in text and ">" in text else _PLAIN
    tokens: Tokens = pattern.findall(text)
    # At the end an empty match may follow the one that took the last gap.
    if len(tokens) > 1 and not tokens[-2][1]:
        tokens.pop()
    return tokens


def count_words(tokens: Iterable[str]) -> int:
    """Return how many of some tokens are words; nodes are none."""
    return sum(1 for token in tokens if token[:1] not in _NO_WORD)


@lru_cache(maxsize=512)
def _count_cached(text: str) -> int:
    return count_words(word for _, word in split_words(text))


def words_in(texts: Sequence[str]) -> int:
    """Return the number of words in some texts."""
    return sum(_count_cached(text) for text in texts)
