"""A diff in a terminal: in one column or side by side, in colour and without.

Without colour, what was added is in `{+…+}`, what was removed in `[-…-]`, and other formatting in `{~…~}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from versionsync.history.diff.model import Operation, SpanOperation
from versionsync.history.render.heading import Heading
from versionsync.history.render.passages import Run, Shown
from versionsync.history.render.view import DiffView, Entry, Line, Section
from versionsync.text import count, printable

__all__ = ["heading_lines", "lines_of", "summary_of"]

_STYLES: Final = {
    SpanOperation.EQUAL: "",
    SpanOperation.ADDED: "green underline",
    SpanOperation.REMOVED: "red strike",
    SpanOperation.FORMATTED: "cyan",
}
_BRACKETS: Final = {
    SpanOperation.EQUAL: ("", ""),
    SpanOperation.ADDED: ("{+", "+}"),
    SpanOperation.REMOVED: ("[-", "-]"),
    SpanOperation.FORMATTED: ("{~", "~}"),
}
_MARKS: Final = {
    "strong": "bold",
    "emphasis": "italic",
    "underline": "underline",
    "strikethrough": "strike",
}
_SYMBOLS: Final = {
    Operation.ADDED: ("+", "green"),
    Operation.REMOVED: ("-", "red"),
    Operation.CHANGED: ("~", "yellow"),
    Operation.MOVED: (">", "cyan"),
}
_INDENT: Final = "    "
_GAP: Final = " │ "
_LEAST_WIDTH: Final = 24
_SHORT: Final = 100
"""An entry of one line is at most this wide."""


def lines_of(view: DiffView, console: Console, *, color: bool, side_by_side: bool = False) -> Iterator[Text]:
    """Yield the lines of a diff. They fit the console.

    Args:
        view: What to show.
        console: Where the lines are written; its width counts.
        color: Whether colours show what was added and removed. Otherwise signs do.
        side_by_side: Whether to show the text before on the left and the text after on the right.
    """
    drawing = _Drawing(console, color, side_by_side)
    for note in view.notes:
        yield from Text(note, style="bold" if color else "").wrap(console, console.width)
    for number, section in enumerate(view.sections):
        if number or view.notes:
            yield Text()
        yield from drawing.section(section)


def heading_lines(heading: Heading, console: Console, *, color: bool) -> Iterator[Text]:
    """Yield the lines that say what is compared."""
    title = Text(printable(heading.title), style="bold italic" if color else "")
    yield from title.append(f"  {printable(heading.about)}", style="not bold not italic" if color else "").wrap(
        console, console.width
    )
    for word, side in (("before", heading.before), ("after", heading.after)):
        if side is not None:
            yield from Text(f"{word:<7} {printable(str(side))}").wrap(console, console.width)


def summary_of(view: DiffView) -> str:
    """Return what changed in numbers, and what is not shown: `+12 −3 words, 3 fields. 1 place is limited.`."""
    fields = len({section.field for section in view.sections})
    if not view.sections:
        is_hidden = view.hidden or view.words_added or view.words_removed
        text = f"+{view.words_added:,} −{view.words_removed:,} words." if is_hidden else "Nothing changed."
        text = "Nothing changed that is shown." if view.hidden else text
    else:
        words = (
            f", +{view.words_added:,} −{view.words_removed:,} words" if view.words_added + view.words_removed else ""
        )
        text = f"{count(fields, 'field')}{words}."
    if view.hidden:
        text += f" {count(view.hidden, 'change')} hidden by the filter."
    if view.limited:
        text += f" Limited at {count(view.limited, 'place')}: too long to compare word by word."
    return text


@dataclass(frozen=True, slots=True)
class _Drawing:
    console: Console
    color: bool
    is_beside: bool

    def section(self, section: Section) -> Iterator[Text]:
        head = Text().append(printable(section.label), style="bold" if self.color else "")
        if section.locale is not None:
            head.append(f" ({printable(section.locale)})", style="dim" if self.color else "")
        yield head
        for entry in section.entries:
            yield from self._entry(entry)

    def _entry(self, entry: Entry) -> Iterator[Text]:
        body = list(self._beside(entry) if self.is_beside else self._wrapped(self._body(entry)))
        symbol, style = _SYMBOLS[entry.operation]
        lead = Text("  ").append(symbol, style=style if self.color else "").append(" ")
        about = Text(printable(" · ".join(filter(None, (entry.where, *entry.what)))), style="dim" if self.color else "")
        if self._is_short(entry, about, body):
            yield lead + about + Text(": ") + body[0]
            return
        if about.plain:
            for number, line in enumerate(about.wrap(self.console, self._width)):
                line.rstrip()
                yield (Text(_INDENT) if number else lead) + line
        elif body:
            yield lead + body.pop(0)
        for line in body:
            yield Text(_INDENT) + line

    def _is_short(self, entry: Entry, about: Text, body: Sequence[Text]) -> bool:
        """Return whether an entry fits one line."""
        if self.is_beside or entry.what or not about.plain or len(body) != 1:
            return False
        return cell_len(about.plain) + cell_len(body[0].plain) + 2 <= min(self._width, _SHORT)

    @property
    def _width(self) -> int:
        return max(self.console.width - len(_INDENT), _LEAST_WIDTH)

    def _wrapped(self, text: Text) -> Iterator[Text]:
        for line in text.wrap(self.console, self._width) if text.plain else ():
            line.rstrip()
            yield line

    def _body(self, entry: Entry) -> Text:
        """All of an entry in one column."""
        text = self._runs([run for run in entry.runs if Shown.TOGETHER in run.shown])
        if entry.before is not None:
            text.append_text(self._piece(SpanOperation.REMOVED, entry.before))
        if entry.before is not None and entry.after is not None:
            text.append(" → ")
        if entry.after is not None:
            moved = entry.operation is Operation.MOVED
            text.append_text(self._piece(SpanOperation.EQUAL if moved else SpanOperation.ADDED, entry.after))
        for operation, lines in (
            (SpanOperation.REMOVED, entry.lines_before),
            (SpanOperation.ADDED, entry.lines_after),
        ):
            for line in lines:
                if text.plain:
                    text.append("\n")
                text.append_text(self._line(operation, line))
        return text

    def _line(self, operation: SpanOperation, line: Line) -> Text:
        label = Text().append(f"{printable(line.label)}: ", style="dim" if self.color else "")
        return label.append_text(self._piece(operation, line.text))

    def _beside(self, entry: Entry) -> Iterator[Text]:
        """All of an entry in two columns."""
        width = max((self._width - len(_GAP)) // 2, _LEAST_WIDTH // 2)
        left = self._runs([run for run in entry.runs if Shown.BEFORE in run.shown], notes=False)
        right = self._runs([run for run in entry.runs if Shown.AFTER in run.shown])
        if entry.before is not None:
            left.append_text(self._piece(SpanOperation.REMOVED, entry.before))
        if entry.after is not None:
            moved = entry.operation is Operation.MOVED
            right.append_text(self._piece(SpanOperation.EQUAL if moved else SpanOperation.ADDED, entry.after))
        left.append_text(self._column(SpanOperation.REMOVED, entry.lines_before, left))
        right.append_text(self._column(SpanOperation.ADDED, entry.lines_after, right))
        if entry.operation is Operation.ADDED:
            left = Text()
        elif entry.operation is Operation.REMOVED:
            right = Text()
        columns = [list(text.wrap(self.console, width)) if text.plain else [] for text in (left, right)]
        for one, other in zip_longest(*columns, fillvalue=Text()):
            one.rstrip()
            other.rstrip()
            line = one + Text(" " * (width - cell_len(one.plain)) + _GAP) + other
            line.rstrip()
            yield line

    def _column(self, operation: SpanOperation, lines: Sequence[Line], above: Text) -> Text:
        text = Text("\n" if above.plain and lines else "")
        return text + Text("\n").join(self._line(operation, line) for line in lines)

    def _runs(self, runs: Iterable[Run], *, notes: bool = True) -> Text:
        text = Text()
        for run in runs if self.color else _joined(runs):
            if run.left_out:
                left_out = f"⋯ {count(run.left_out, 'word')} ⋯"
                text.append_text(self._piece(run.operation, left_out, "dim"))
                continue
            text.append_text(self._piece(run.operation, run.text, _style_of(run)))
            if run.note and notes:
                text.append(f" ‹{printable(run.note)}›", style="dim" if self.color else "")
        return text

    def _piece(self, operation: SpanOperation, text: str, marks: str = "") -> Text:
        """A text with its colours or signs, line by line: signs are closed at the end of each line."""
        opening, closing = _BRACKETS[operation]
        lines = []
        for line in text.split("\n"):
            clean = printable(line)
            if self.color:
                lines.append(Text(clean, style=f"{_STYLES[operation]} {marks}".strip()))
            else:
                lines.append(Text(f"{opening}{clean}{closing}" if clean else ""))
        return Text("\n").join(lines)


def _joined(runs: Iterable[Run]) -> Iterator[Run]:
    """Join neighbours that differ only in their marks, which signs do not show."""
    last: Run | None = None
    for run in runs:
        is_plain = last is not None and not (last.note or run.note or last.left_out or run.left_out)
        if last is not None and is_plain and last.operation is run.operation:
            last = replace(last, text=last.text + run.text)
            continue
        if last is not None:
            yield last
        last = run
    if last is not None:
        yield last


def _style_of(run: Run) -> str:
    return " ".join(_MARKS[mark] for mark in sorted(run.marks) if mark in _MARKS)
