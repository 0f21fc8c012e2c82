"""What is searched for: phrases, each a series of words. Pure.

A phrase is found where its words follow one another, whatever stands between them. All phrases must be in one passage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from versionsync.history.search.words import LONGEST_WORD, fold, fold_with_places, is_spaceless, runs_of, words_of

__all__ = ["MOST_WORDS", "IndexedPhrase", "Pattern", "Phrase", "Span"]

MOST_WORDS: Final = 40
"""The words of a phrase that the index is asked for. The others are compared with the passage."""

Span = tuple[int, int]
"""Where something begins and ends in a text."""


class IndexedPhrase(NamedTuple):
    """A phrase as the index has it: words one after another; of the last one maybe only its beginning."""

    words: tuple[str, ...]
    is_prefix: bool


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words one after another. `runs` are as in a folded text; the last one may be the beginning of a word."""

    runs: tuple[str, ...]
    is_prefix: bool

    @classmethod
    def of(cls, text: str) -> Phrase | None:
        """Return the phrase of a text; None if it has no word. A `*` at the end stands for the rest of a word."""
        folded = fold(text)
        runs = tuple(folded[start:end] for start, end in runs_of(folded))
        return cls(runs, text.rstrip().endswith("*")) if runs else None

    @property
    def indexed(self) -> IndexedPhrase:
        """What the index is asked for. It finds every passage that has the phrase, and perhaps more."""
        words = [word for run in self.runs for word in words_of(run)]
        is_prefix = self.is_prefix
        if is_spaceless(self.runs[-1]):
            # The run may go on in the text, so its last character is known only as the second one of a word.
            is_prefix = len(self.runs[-1]) == 1
            if not is_prefix:
                words.pop()
        if len(words) > MOST_WORDS:
            return IndexedPhrase(tuple(words[:MOST_WORDS]), is_prefix=False)
        return IndexedPhrase(tuple(words), is_prefix)

    def spans(self, folded: str, runs: Sequence[Span]) -> Iterator[Span]:
        """Yield where the phrase is in a folded text with these runs."""
        last = len(self.runs) - 1
        for index in range(len(runs) - last):
            texts = [folded[start:end] for start, end in runs[index : index + last + 1]]
            if not last:
                yield from self._within(texts[0], runs[index][0])
                continue
            start = self._end_of(texts[0])
            if start is None or tuple(texts[1:-1]) != self.runs[1:-1] or not self._begins(texts[-1]):
                continue
            end = runs[index + last][0] + len(self.runs[-1])
            yield runs[index][0] + start, end

    def _within(self, text: str, offset: int) -> Iterator[Span]:
        """Yield where the only run of the phrase is in a run of a text."""
        (wanted,) = self.runs
        if is_spaceless(wanted):
            at = text.find(wanted)
            while at >= 0:
                yield offset + at, offset + at + len(wanted)
                at = text.find(wanted, at + 1)
        elif self._begins(text):
            yield offset, offset + len(wanted)

    def _end_of(self, text: str) -> int | None:
        """Return where the first run of the phrase begins in a run of a text that ends with it."""
        wanted = self.runs[0]
        if is_spaceless(wanted):
            return len(text) - len(wanted) if text.endswith(wanted) else None
        return 0 if _is_same(text, wanted) else None

    def _begins(self, text: str) -> bool:
        wanted = self.runs[-1]
        if self.is_prefix or is_spaceless(wanted):
            return text.startswith(wanted)
        return _is_same(text, wanted)


def _is_same(one: str, other: str) -> bool:
    return one[:LONGEST_WORD] == other[:LONGEST_WORD]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Phrases that a passage has, all of them."""

    phrases: tuple[Phrase, ...]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Pattern | None:
        """Return the pattern of some texts, a phrase each; None if one has no word."""
        phrases = [Phrase.of(text) for text in texts]
        return cls(tuple(one for one in phrases if one is not None)) if phrases and None not in phrases else None

    def matches(self, text: str) -> bool:
        """Return whether a text has all phrases."""
        folded = fold(text)
        runs = list(runs_of(folded))
        return all(next(phrase.spans(folded, runs), None) is not None for phrase in self.phrases)

    def spans(self, text: str) -> list[Span]:
        """Return where the phrases are in a text, in order, without overlaps."""
        folded = fold_with_places(text)
        runs = list(runs_of(folded.text))
        found = sorted(
            (folded.starts[start], folded.ends[end - 1])
            for phrase in self.phrases
            for start, end in phrase.spans(folded.text, runs)
        )
        merged: list[Span] = []
        for start, end in found:
            if merged and start < merged[-1][1]:
                merged[-1] = merged[-1][0], max(end, merged[-1][1])
            else:
                merged.append((start, end))
        return merged
