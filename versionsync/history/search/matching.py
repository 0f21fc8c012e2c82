"""Where a pattern or a regular expression is in a passage, and the snippet around it. Pure."""

from __future__ import annotations

import re
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

from versionsync.history.errors import OddPattern
from versionsync.history.search.patterns import Pattern, Span

__all__ = ["Matcher", "RegexMatcher", "WordMatcher", "matcher_of", "snippet_of"]

SECONDS: Final = 1.0
"""The time that a regular expression has for one passage."""
BEFORE: Final = 20
LONGEST: Final = 120
"""Characters of a snippet: before the first span, and in all."""


class Matcher(ABC):
    """Says where something is in a text."""

    @abstractmethod
    def matches(self, text: str) -> bool:
        """Return whether it is in a text."""

    @abstractmethod
    def spans(self, text: str) -> list[Span]:
        """Return the places of it in a text, in order, without overlaps."""


class WordMatcher(Matcher):
    """Finds words, whatever their case and accents."""

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern

    def matches(self, text: str) -> bool:
        return self.pattern.matches(text)

    def spans(self, text: str) -> list[Span]:
        return self.pattern.spans(text)


class RegexMatcher(Matcher):
    """Finds a regular expression of Python.

    Attributes:
        given_up: How many passages took too long. They count as without a match.
    """

    def __init__(self, regex: re.Pattern[str]) -> None:
        self._regex = regex
        self.given_up = 0

    def matches(self, text: str) -> bool:
        try:
            with _limited():
                return self._regex.search(text) is not None
        except _TooLongError:
            self.given_up += 1
            return False

    def spans(self, text: str) -> list[Span]:
        try:
            with _limited():
                return [match.span() for match in self._regex.finditer(text) if match.end() > match.start()]
        except _TooLongError:
            return []


class _TooLongError(Exception):
    """A regular expression took too long."""


@contextmanager
def _limited() -> Iterator[None]:
    """Raise _TooLongError after some time. Only the main thread gets signals, so others have no limit."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def matcher_of(phrases: Sequence[str], regex: str | None) -> Matcher:
    """Return what finds some phrases, or the matches of a regular expression.

    Raises:
        OddPattern: A phrase has no word, the expression is none, or both are given.
    """
    if regex is not None:
        if phrases:
            raise OddPattern("give either phrases or a regular expression")
        try:
            return RegexMatcher(re.compile(regex))
        except (re.error, OverflowError, RecursionError) as error:
            raise OddPattern(f"this is no regular expression: {error}") from None
    pattern = Pattern.of(phrases)
    if pattern is None:
        raise OddPattern("the pattern has no letter or digit", hint="Use a regular expression for other characters.")
    return WordMatcher(pattern)


def snippet_of(text: str, spans: Sequence[Span]) -> str:
    """Return the part of a text around the first of some spans, with the spans in «»."""
    first = spans[0][0] if spans else 0
    start = 0 if first <= BEFORE else text.find(" ", first - BEFORE, first) + 1 or first - BEFORE
    end = min(len(text), start + LONGEST)
    parts = ["…" if start else ""]
    at = start
    for one, other in spans:
        if one >= end:
            break
        parts += (text[at:one], "«", text[one : min(other, end)], "»")
        at = min(other, end)
    parts += (text[at:end], "…" if end < len(text) else "")
    return "".join(parts)
