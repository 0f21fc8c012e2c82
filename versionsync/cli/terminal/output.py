"""What a command writes: results on standard output, anything else on standard error.

All that people read goes through here, or through the log: both let nothing pass that a terminal would obey. A table
fits the terminal; in a pipe it has no colour, no frame and no limit to its width. Rich is loaded when something is
drawn, not before.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from versionsync.redaction import Redactor
from versionsync.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = [
    "Cell",
    "Column",
    "Output",
    "to_json",
    "truncate",
]

PIPE_WIDTH: Final = 10_000
MIN_WIDTH: Final = 4

Cell: TypeAlias = str | tuple[str, str]
"""What stands in a table: a text, in its column's style or with a style of its own."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its head, on which side it stands, and whether it may be cut where space is short."""

    head: str
    side: Literal["left", "right"] = "left"
    style: str = ""
    shrinks: bool = False


class Output:
    """Where one invocation writes to. `as_json`: for programs; `color` off: neither colours nor styles."""

    def __init__(self, *, as_json: bool, color: bool, redactor: Redactor) -> None:
        self.as_json = as_json
        self.color = color
        self._redactor = redactor

    @cached_property
    def results(self) -> Console:
        """Standard output."""
        return self._console(stderr=False)

    @cached_property
    def notes(self) -> Console:
        """Standard error: progress, questions, what was decided. Nothing that a program would want to read."""
        return self._console(stderr=True)

    def json(self, value: object) -> None:
        """One object on a line of its own, at once: a reader of a stream shall not wait for a buffer."""
        text = to_json(value)
        sys.stdout.write((text if _is_utf(sys.stdout.encoding) else _escaped(text)) + "\n")
        sys.stdout.flush()

    def plain_line(self, text: str = "", *, style: str = "") -> None:
        """A line of results. Brackets in `text` are no markup, a line break in it is a space."""
        self.results.print(printable(text), style=style or None, markup=False, highlight=False, soft_wrap=True)

    def paragraph(self, *parts: str | tuple[str, str], hang: int = 0) -> None:
        """A line of results made of plain and of (text, style) parts.

        On a terminal it is wrapped between words, all lines but the first `hang` columns from the left.
        """
        self.live(self.paragraph_lines(*parts, hang=hang))

    def paragraph_lines(self, *parts: str | tuple[str, str], hang: int = 0) -> list[Text]:
        """As `prose`, for whoever draws them."""
        from rich.text import Text

        whole = _clean(Text.assemble(*parts))
        lead, rest = (whole[:hang], whole[hang:]) if hang else (Text(), whole)
        wrapped = rest.wrap(self.results, max(self.results.width - hang, 20))
        for line in wrapped:
            line.rstrip()
        return [(Text(" " * hang) if number else lead) + line for number, line in enumerate(wrapped)]

    def live(self, lines: Iterable[Text]) -> None:
        """Lines of results that fit already."""
        for line in lines:
            self.results.print(_clean(line), soft_wrap=True)

    def note(self, text: str, *, style: str = "") -> None:
        """A line for the person who waits; left out under --json."""
        if not self.as_json:
            text = printable(self._redactor.redact(text))
            self.notes.print(text, style=style or None, markup=False, highlight=False)

    def warning(self, message: str) -> None:
        """What a person should know who starts something; on standard error under --json, too."""
        from rich.text import Text

        message = self._redactor.redact(message)
        self.notes.print(Text.assemble("versionsync: ", ("warning: ", "bold yellow"), message))

    def error(self, message: str, hint: str | None) -> None:
        """What is wrong, and what to do about it."""
        from rich.text import Text

        def told(text: str) -> str:
            return printable(self._redactor.redact(text))

        self.notes.print(Text.assemble("versionsync: ", ("error: ", "bold red"), told(message)))
        if hint:
            self.notes.print(Text.assemble("versionsync: ", ("hint: ", "bold"), told(hint)))

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, indent: int = 0) -> None:
        """A table of results, `indent` columns from the left; where space is short, columns that may shrink do."""
        self.live(self.table_lines(columns, rows, indent=indent))

    def table_lines(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, indent: int = 0) -> list[Text]:
        """As `table`, for whoever draws them."""
        from rich.text import Text

        heads: Sequence[Cell] = [(column.head, "bold") for column in columns]
        cells = [[_styled(cell, column) for cell, column in zip(row, columns, strict=True)] for row in (heads, *rows)]
        widths = truncate(columns, [[text for text, _ in row] for row in cells], self.results.width - indent)
        lines = []
        for row in cells:
            line = Text(" " * indent)
            for column, (cell, style), width in zip(columns, row, widths, strict=True):
                line.append(_aligned(cell, width, column.side), style=style)
                line.append("  ")
            line.rstrip()
            lines.append(line)
        return lines

    def symbol(self, good: bool | None) -> str:
        """✓, ✗ or ! (None), as far as the terminal can show them."""
        if good is None:
            return "!"
        if not _is_utf(self.results.encoding):
            return "ok" if good else "x"
        return "✓" if good else "✗"

    def _console(self, *, stderr: bool) -> Console:
        from rich.console import Console

        stream = sys.stderr if stderr else sys.stdout
        piped = not stream.isatty()
        return Console(
            stderr=stderr,
            color_system="auto" if self.color else None,
            no_color=not self.color,
            highlight=False,
            width=PIPE_WIDTH if piped else None,
        )


def truncate(columns: Sequence[Column], cells: Sequence[Sequence[str]], room: int) -> list[int]:
    """How wide each column is drawn: as wide as its cells, but what shrinks makes room for what does not."""
    from rich.cells import cell_len

    widths = [max(cell_len(row[number]) for row in cells) for number in range(len(columns))]
    excess = sum(widths) + 2 * (len(columns) - 1) - room
    for number in reversed(range(len(columns))):
        if excess > 0 and columns[number].shrinks:
            narrower = max(widths[number] - excess, min(widths[number], MIN_WIDTH))
            excess -= widths[number] - narrower
            widths[number] = narrower
    return widths


def _aligned(cell: str, width: int, side: Literal["left", "right"]) -> str:
    from rich.cells import cell_len, set_cell_size

    missing = width - cell_len(cell)
    if missing < 0:
        return set_cell_size(cell, width - 1) + "…"
    return " " * missing + cell if side == "right" else cell + " " * missing


def _styled(cell: Cell, column: Column) -> tuple[str, str]:
    text, style = (cell, column.style) if isinstance(cell, str) else cell
    return printable(text), style


def _clean(line: Text) -> Text:
    """`line` with what a terminal would obey replaced, each character by one: the styles stay where they are."""
    line.plain = printable(line.plain)
    return line


def to_json(value: object) -> str:
    """`value` as compact JSON; times in UTC with Z, enums by their value. What a terminal would obey is escaped."""
    import msgspec

    try:
        text = msgspec.json.encode(value, enc_hook=_plain).decode()
    except UnicodeEncodeError:  # a path or an argument that is not UTF-8
        text = json.dumps(msgspec.to_builtins(value, enc_hook=_plain), separators=(",", ":"))
    return text if text.isprintable() else "".join(char if char.isprintable() else _in_utf16(char) for char in text)


def _is_utf(encoding: str | None) -> bool:
    return (encoding or "ascii").lower().startswith("utf")


def _escaped(text: str) -> str:
    """The same JSON in ASCII."""
    return re.sub(r"[^\x00-\x7f]", lambda found: _in_utf16(found[0]), text)


def _in_utf16(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


def _plain(value: Any) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, BaseException):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
