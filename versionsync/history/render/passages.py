"""Passages of a text for people: what was added and removed, and formatting in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from versionsync.history.diff.lines import block_model_of
from versionsync.history.diff.members import is_block
from versionsync.history.diff.model import Json, Span, SpanOperation
from versionsync.history.render.words import MARKS, Names, value_in_words

__all__ = ["Run", "plain_runs", "runs_of", "without_long_rests"]

AROUND: Final = 12
"""How many words are shown on each side of a change."""
LEAST_LEFT_OUT: Final = 8
"""Fewer words than this are not left out."""


@dataclass(frozen=True, slots=True)
class Run:
    """A passage.

    Attributes:
        operation: What happened to it.
        text: Its text. A border between paragraphs is a pilcrow and a line break.
        marks: Its marks, as DatoCMS names them.
        note: How its formatting changed, or where a link in added text leads: `now bold`.
        left_out: How many words are left out here; then there is no text.
    """

    operation: SpanOperation
    text: str
    marks: frozenset[str] = frozenset()
    note: str = ""
    left_out: int = 0


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
    return runs


def _run(span: Span, names: Names, *, shows_formatting: bool) -> Run:
    text = "¶\n" if span.is_border else span.text if span.node is None else _node(span.node, span.record_id, names)
    operation = span.operation
    note = ""
    if operation is SpanOperation.FORMATTED:
        if shows_formatting or span.record_id != span.record_id_before:
            note = _formatting(span, names)
        if not note:
            operation = SpanOperation.EQUAL
    elif operation is not SpanOperation.EQUAL and span.node is None:
        if target := _target(span.link, span.record_id, names):
            note = f"links to {target}"
        if not text.strip():
            text = text.replace("\n", "↵\n") if "\n" in text else "␣" * len(text)
    return Run(operation, text, span.marks, note)


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


def without_long_rests(runs: Sequence[Run]) -> list[Run]:
    """Return runs without what stands far from any change; a run in its place says how many words that are."""
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
    if start:
        yield replace(run, text=run.text[:start] + " ")
    yield Run(SpanOperation.EQUAL, "", left_out=left_out)
    if end < len(run.text):
        yield replace(run, text=" " + run.text[end:])


def _end_of_word(text: str, number: int) -> int:
    """Return the place after so many words."""
    place = 0
    for _ in range(number):
        while place < len(text) and text[place].isspace():
            place += 1
        while place < len(text) and not text[place].isspace():
            place += 1
    return place
