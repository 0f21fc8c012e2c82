"""What a word is for the search: the same on both databases, since neither of them cuts or folds any text. Pure.

A text is folded first: case and accents do not count. A word is then a run of letters and digits. Some scripts have no
spaces between words. There, each character begins a word of two characters, so that every substring is found.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

__all__ = ["Folded", "fold", "fold_with_places", "is_spaceless", "runs_of", "words_of"]

_ACCENTS: Final = re.compile(
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"  # of any letters
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew points
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"  # Arabic marks
    "\u00ad\u200b-\u200f\u2060\ufeff]"  # and characters that have no width
)
_LETTERS: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ı": "i", "ŧ": "t", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "ŋ": "n"}
)
"""Letters with a stroke and the like, of which Unicode knows no parts."""
_SPACELESS: Final = (
    r"\u0e01-\u0e3a\u0e40-\u0e4e\u0e50-\u0e59\u0e80-\u0eff"  # Thai, Lao
    r"\u1000-\u1049\u1050-\u109f\u1780-\u17d3\u17e0-\u17e9"  # Burmese, Khmer
    r"\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b\u303c\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f"
    r"\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese, Japanese
)
_INDIC: Final = r"\u0900-\u0963\u0966-\u0dff"
"""Scripts whose vowel signs are letters in no Python pattern."""
_RUNS: Final = re.compile(rf"[{_SPACELESS}]+|(?:[^\W_{_SPACELESS}]|[{_INDIC}])+")
_ASCII_WORDS: Final = re.compile("[0-9a-z]+")
_HAS_SPACELESS: Final = re.compile(f"[{_SPACELESS}]")
_MARKS: Final = frozenset(("Mn", "Mc", "Me", "Cf"))
LONGEST_WORD: Final = 200
"""Characters of a word that count. PostgreSQL's index holds words of 2 KB."""


class Folded:
    """A folded text, and the place in the text itself that each of its characters is from."""

    __slots__ = ("ends", "starts", "text")

    def __init__(self, text: str, starts: list[int], ends: list[int]) -> None:
        self.text = text
        self.starts = starts
        self.ends = ends


def fold(text: str) -> str:
    """Return `text` without its case and accents, and with one spelling of each character."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKD", text).casefold()
    text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text)).translate(_LETTERS)
    return unicodedata.normalize("NFC", text)


def fold_with_places(text: str) -> Folded:
    """Return `fold(text)` with the places of its characters. It takes much longer."""
    if text.isascii():
        return Folded(text.lower(), list(range(len(text))), list(range(1, len(text) + 1)))
    folded: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    start = 0
    while start < len(text):
        end = start + 1
        while end < len(text) and _is_joined(text[end]):
            end += 1
        part = _fold_part(text[start:end])
        folded.append(part)
        starts += [start] * len(part)
        ends += [end] * len(part)
        start = end
    return Folded("".join(folded), starts, ends)


_fold_part = lru_cache(maxsize=4096)(fold)


def _is_joined(character: str) -> bool:
    """Return whether a character may become one with the character before it."""
    if character < "\u00ad":
        return False
    if unicodedata.category(character) in _MARKS:
        return True
    return "\u1160" <= character <= "\u11ff" or "\uff9e" <= character <= "\uffdc"


def is_spaceless(text: str) -> bool:
    """Return whether some of a folded text has no spaces between its words."""
    return not text.isascii() and _HAS_SPACELESS.search(text) is not None


def runs_of(folded: str) -> Iterator[tuple[int, int]]:
    """Yield where each word of a folded text begins and ends; a run of a script without spaces counts as one."""
    return (match.span() for match in _RUNS.finditer(folded))


def words_of(folded: str) -> list[str]:
    """Return the words of a folded text as they are indexed.

    A run of a script without spaces gives a word for each character: the character with the one after it, and last the
    last one alone.
    """
    if folded.isascii():
        return [word[:LONGEST_WORD] for word in _ASCII_WORDS.findall(folded)]
    found: list[str] = []
    for run in _RUNS.findall(folded):
        if _HAS_SPACELESS.match(run):
            found += (run[index : index + 2] for index in range(len(run)))
        else:
            found.append(run[:LONGEST_WORD])
    return found
