"""Passages of a text for people: what was added and removed, and formatting in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Flag, auto
from typing import Final

from versionsync.history.diff.lines import block_model_of
from versionsync.history.diff.members import is_block
from versionsync.history.diff.model import Json, Span, SpanOperation
from versionsync.history.render.words import MARKS, Names, value_in_words
from versionsync.text import count

__all__ = ["Run", "Shown", "plain_runs", "runs_of", "without_long_rests"]

_PILCROW: Final = "¶"
_BORDER: Final = "¶\n"
AROUND: Final = 12
"""How many words are shown on each side of a change."""
LEAST_LEFT_OUT: Final = 8
"""Fewer words than this are not left out."""


class Shown(Flag):
    """Where a run is shown: with both texts in one, in the text before, in the text after."""

    TOGETHER = auto()
    BEFORE = auto()
    AFTER = auto()
    ALL = TOGETHER | BEFORE | AFTER


@dataclass(frozen=True, slots=True)
class Run:
    """A passage.

    Attributes:
        operation: What happened to it.
        text: Its text. A border between paragraphs is a pilcrow and a line break.
        marks: Its marks, as DatoCMS names them.
        note: How its formatting changed, or where a link in added text leads: `now bold`.
        left_out: How many words are left out here; then there is no text.
        shown: Where it is shown.
    """

    operation: SpanOperation
    text: str
    marks: frozenset[str] = frozenset()
    note: str = ""
    left_out: int = 0
    shown: Shown = Shown.ALL


def plain_runs(text: str) -> list[Run]:
    """Return a text in which nothing changed."""
    return [Run(SpanOperation.EQUAL, text)]


def runs_of(spans: Sequence[Span], names: Names, *, shows_formatting: bool = True) -> list[Run]:
    """Return the runs of a text.

    Args:
        spans: The spans of a change.
        names: What people call records and models.
        shows_formatting: Whether to show formatting that changed. Otherwise it is as after the change.
    """
    runs: list[Run] = []
    for span in spans:
        run = _run(span, names, shows_formatting=shows_formatting)
        last = runs[-1] if runs else None
        if last is not None and (last.operation, last.marks, last.note) == (run.operation, run.marks, run.note):
            runs[-1] = replace(last, text=last.text + run.text)
        else:
            runs.append(run)
    return _readable(runs)


def _readable(runs: Sequence[Run]) -> list[Run]:
    """Put what words have in common around the signs: blanks and punctuation at their ends."""
    found: list[Run] = []
    at = 0
    while at < len(runs):
        run, following = runs[at], runs[at + 1] if at + 1 < len(runs) else None
        is_pair = following is not None and {run.operation, following.operation} == _REPLACED
        if is_pair and following is not None:
            found += _pair(run, following)
        else:
            found += _alone(run)
        at += 2 if is_pair else 1
    return list(_apart(found))


def _apart(runs: Sequence[Run]) -> Iterator[Run]:
    """Put a blank between a word that was removed and one that was added in its place."""
    last: Run | None = None
    for run in runs:
        is_pair = last is not None and {last.operation, run.operation} == _REPLACED
        if is_pair and last is not None and last.text[-1:].isalnum() and run.text[:1].isalnum():
            yield Run(SpanOperation.EQUAL, " ", shown=Shown.TOGETHER)
        yield run
        last = run


_REPLACED: Final = {SpanOperation.REMOVED, SpanOperation.ADDED}
_SHOWN: Final = {
    SpanOperation.REMOVED: Shown.TOGETHER | Shown.BEFORE,
    SpanOperation.ADDED: Shown.TOGETHER | Shown.AFTER,
}


def _pair(removed: Run, added: Run) -> list[Run]:
    """Show a passage that took the place of another one."""
    start = _common_start(removed.text, added.text)
    common = [Run(SpanOperation.EQUAL, added.text[:start], added.marks)] if start else []
    one, other = replace(removed, text=removed.text[start:]), replace(added, text=added.text[start:])
    if _BORDER in one.text + other.text:
        # A blank that a border between paragraphs took the place of says nothing.
        return common + [run if run.text.strip(" ") else _beside(run) for run in (one, other) if run.text]
    one, other = (_with_visible_blanks(run) for run in (one, other))
    return [*common, *(_alone(one) if one.text else []), *(_alone(other) if other.text else [])]


def _beside(run: Run) -> Run:
    """Return a blank that is shown only where the texts are apart."""
    return Run(SpanOperation.EQUAL, run.text, shown=run.shown & ~Shown.TOGETHER)


def _common_start(a: str, b: str) -> int:
    """Return how many blanks and signs two texts begin with alike."""
    size = 0
    while size < min(len(a), len(b)) and a[size] == b[size] and not a[size].isalnum() and a[size] != _PILCROW:
        size += 1
    return size


def _alone(run: Run) -> list[Run]:
    """Put the blanks at the ends of a passage that was added or removed outside of it."""
    run = _with_visible_blanks(run)
    if run.operation not in _REPLACED:
        return [run]
    inner = run.text.strip(" ")
    start, end = run.text.partition(inner)[::2]
    blanks = [Run(SpanOperation.EQUAL, text, shown=run.shown) if text else None for text in (start, end)]
    return [one for one in (blanks[0], replace(run, text=inner), blanks[1]) if one is not None]


def _with_visible_blanks(run: Run) -> Run:
    """Show what consists of blanks alone."""
    if run.operation not in _REPLACED or run.text.strip() or not run.text:
        return run
    return replace(run, text=run.text.replace(" ", "␣").replace("\t", "⇥").replace("\n", "↵\n"))


def _run(span: Span, names: Names, *, shows_formatting: bool) -> Run:
    text = _BORDER if span.is_border else span.text if span.node is None else _node(span.node, span.record_id, names)
    operation = span.operation
    note = ""
    if operation is SpanOperation.FORMATTED:
        if shows_formatting or span.record_id != span.record_id_before:
            note = _formatting(span, names)
        if not note:
            operation = SpanOperation.EQUAL
    elif operation is not SpanOperation.EQUAL and span.node is None:
        target = _target(span.link, span.record_id, names)
        note = f"links to {target}" if target else ""
    return Run(operation, text, span.marks, note, shown=_SHOWN.get(operation, Shown.ALL))


def _node(node: Json, record_id: str | None, names: Names) -> str:
    """Return what stands for a node in a text."""
    if record_id is not None:
        return f"[{names.record(record_id)}]"
    item = node.get("item") if isinstance(node, dict) else None
    if is_block(item):
        return f"[{value_in_words(item, None, names)}]"
    return f"[{names.model(block_model_of(item)) or 'block'}]" if item is not None else "[?]"


def _formatting(span: Span, names: Names) -> str:
    """Return how the formatting of a passage changed."""
    before = span.marks_before or frozenset()
    parts = []
    if new := span.marks - before:
        parts.append(f"now {_marks(new)}")
    if gone := before - span.marks:
        parts.append(f"no longer {_marks(gone)}")
    old = _target(span.link_before, span.record_id_before, names)
    target = _target(span.link, span.record_id, names)
    if target != old:
        if target and old:
            parts.append(f"now links to {target}, before to {old}")
        else:
            parts.append(f"now links to {target}" if target else f"no longer links to {old}")
    return "; ".join(parts) or "other settings"


def _marks(marks: frozenset[str]) -> str:
    words = [MARKS[mark] for mark in MARKS if mark in marks]
    return " and ".join([*words, *sorted(marks - MARKS.keys())])


def _target(link: str | None, record_id: str | None, names: Names) -> str | None:
    return names.record(record_id) if record_id is not None else link


def without_long_rests(runs: Sequence[Run], *, is_limited: bool = False) -> list[Run]:
    """Return runs without what stands far from any change; a run in its place says how many words that are.

    Args:
        runs: The runs of a text.
        is_limited: The text was not compared: only its first and last words are shown.
    """
    if is_limited:
        return [short for run in runs for short in _cut(run, head=2 * AROUND, tail=AROUND)]
    if len(runs) == 1 and runs[0].operation is SpanOperation.EQUAL:
        return list(_cut(runs[0], head=2 * AROUND, tail=0))
    short: list[Run] = []
    for index, run in enumerate(runs):
        if run.operation is not SpanOperation.EQUAL:
            short.append(run)
            continue
        head = AROUND if index else 0
        tail = AROUND if index + 1 < len(runs) else 0
        short += _cut(run, head=head, tail=tail)
    return short


def _cut(run: Run, *, head: int, tail: int) -> Iterator[Run]:
    """Yield the first and last words of a run, if there are many more."""
    words = run.text.split()
    left_out = len(words) - head - tail
    if left_out < LEAST_LEFT_OUT:
        yield run
        return
    start = _end_of_word(run.text, head)
    end = len(run.text) - _end_of_word(run.text[::-1], tail)
    if run.operation is not SpanOperation.EQUAL:
        parts = (run.text[:start].strip(), f"⋯ {count(left_out, 'word')} ⋯", run.text[end:].strip())
        yield replace(run, text=" ".join(filter(None, parts)))
        return
    if start:
        yield replace(run, text=run.text[:start] + " ")
    yield Run(run.operation, "", left_out=left_out)
    if end < len(run.text):
        yield replace(run, text=" " + run.text[end:])


def _end_of_word(text: str, number: int) -> int:
    """Return the place after a number of words."""
    place = 0
    for _ in range(number):
        while place < len(text) and text[place].isspace():
            place += 1
        while place < len(text) and not text[place].isspace():
            place += 1
    return place
