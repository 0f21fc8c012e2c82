"""What a command writes: results on standard output, everything else on standard error.

All text for people goes through this module or through the log. Both replace what a terminal would obey. A table fits
the terminal; in a pipe it has no colours and no limit to its width. Rich is imported when something is drawn, not
before.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from itertools import islice
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
    "fit",
    "to_json",
    "truncate",
]

PIPE_WIDTH: Final = 10_000
MIN_WIDTH: Final = 4
WIDE: Final = 110
ROWS_FOR_WIDTHS: Final = 100

Cell: TypeAlias = str | tuple[str, str]
"""A cell of a table: a text in the style of its column, or with its own style."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its head, its alignment, its style, and whether it may be cut if space is short.

    The widest columns are cut first. `least`: how wide it stays if others can be cut instead.
    """

    head: str
    side: Literal["left", "right"] = "left"
    style: str = ""
    shrinks: bool = False
    least: int = MIN_WIDTH


class Output:
    """The output of one invocation. `as_json`: for programs. Without `color`: no colours and no styles."""

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
        """Standard error: progress, questions, decisions. Nothing that a program wants to read."""
        return self._console(stderr=True)

    def json(self, value: object) -> None:
        """Write one object on its own line, at once: the reader of a stream must not wait for a buffer."""
        text = to_json(value)
        sys.stdout.write((text if _is_utf(sys.stdout.encoding) else _escaped(text)) + "\n")
        sys.stdout.flush()

    def result(self, fields: Mapping[str, object], text: str) -> None:
        """Write a result: `fields` as JSON for programs, or the line `text` for people."""
        if self.as_json:
            self.json(fields)
        else:
            self.plain_line(text)

    def plain_line(self, text: str = "", *, style: str = "") -> None:
        """Write a line of results. Brackets in `text` are no markup, a line break becomes a space."""
        self.results.print(printable(text), style=style or None, markup=False, highlight=False, soft_wrap=True)

    def document(self, text: str) -> None:
        """Write a text that is a file of its own, such as a page, as it is. It is for a file, not for a terminal."""
        sys.stdout.write(text if _is_utf(sys.stdout.encoding) else text.encode("ascii", "xmlcharrefreplace").decode())
        sys.stdout.flush()

    def paragraph(self, *parts: str | tuple[str, str], hang: int = 0) -> None:
        """Write a line of results made of plain parts and of (text, style) parts.

        On a terminal it is wrapped between words. All lines but the first are indented by `hang` columns.
        """
        self.live(self.paragraph_lines(*parts, hang=hang))

    def paragraph_lines(self, *parts: str | tuple[str, str], hang: int = 0) -> list[Text]:
        from rich.text import Text

        whole = _clean(Text.assemble(*parts))
        lead, rest = (whole[:hang], whole[hang:]) if hang else (Text(), whole)
        wrapped = rest.wrap(self.results, max(self.results.width - hang, 20))
        for line in wrapped:
            line.rstrip()
        return [(Text(" " * hang) if number else lead) + line for number, line in enumerate(wrapped)]

    def live(self, lines: Iterable[Text]) -> None:
        """Write lines of results that fit already."""
        for line in lines:
            self.results.print(_clean(line), soft_wrap=True)

    def note(self, text: str, *, style: str = "") -> None:
        """Write a line for the person who waits; not under --json."""
        if not self.as_json:
            text = printable(self._redactor.redact(text))
            self.notes.print(text, style=style or None, markup=False, highlight=False)

    def warning(self, message: str) -> None:
        """Write a warning, on standard error; also under --json."""
        from rich.text import Text

        message = self._redactor.redact(message)
        self.notes.print(Text.assemble("versionsync: ", ("warning: ", "bold yellow"), message))

    def error(self, message: str, hint: str | None) -> None:
        """Write what is wrong, and what to do about it."""
        from rich.text import Text

        def safe(text: str) -> str:
            return printable(self._redactor.redact(text))

        self.notes.print(Text.assemble("versionsync: ", ("error: ", "bold red"), safe(message)))
        for number, line in enumerate((hint or "").splitlines()):
            # Further lines are indented, so that none of them looks like a line of this program.
            start = Text(" " * 6) if number else Text.assemble("versionsync: ", ("hint: ", "bold"))
            self.notes.print(start + safe(line))

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, indent: int = 0) -> None:
        """Write a table of results, indented by `indent` columns. If space is short, columns that may shrink do."""
        self.live(self.table_lines(columns, rows, indent=indent))

    def stream_table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, heads: bool = True) -> int:
        """Write a table of any length as its rows come, and return their number.

        The first rows decide the widths of the columns. A later row may need more, if there is room. Without `heads`
        each row is written at once.
        """
        rest = iter(rows)
        first = list(islice(rest, ROWS_FOR_WIDTHS)) if heads else []
        if heads:
            self.live(self.table_lines(columns, first))
        wanted = _widths(columns, [_heads(columns), *first] if heads else [])
        number = len(first)
        for row in rest:
            wanted = [max(pair) for pair in zip(wanted, _widths(columns, [row]), strict=True)]
            self.live(self._lines(columns, [row], fit(columns, wanted, self.results.width)))
            number += 1
        return number

    def table_lines(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, indent: int = 0) -> list[Text]:
        """Return the lines that `table` would write."""
        whole = [_heads(columns), *rows]
        return self._lines(columns, whole, fit(columns, _widths(columns, whole), self.results.width - indent), indent)

    def _lines(
        self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], widths: Sequence[int], indent: int = 0
    ) -> list[Text]:
        from rich.text import Text

        lines = []
        for row in rows:
            line = Text(" " * indent)
            for column, cell, width in zip(columns, row, widths, strict=True):
                text, style = _styled(cell, column)
                line.append(_aligned(text, width, column.side), style=style)
                line.append("  ")
            line.rstrip()
            lines.append(line)
        return lines

    @property
    def has_unicode(self) -> bool:
        """Whether results can be written in any script; otherwise in ASCII."""
        return _is_utf(self.results.encoding)

    @property
    def is_wide(self) -> bool:
        """Whether results may be wider than the usual terminal: on a wide one, and in a file."""
        return self.results.width >= WIDE

    @property
    def height(self) -> int | None:
        """How many lines of results fit on one screen. None: they are not for a screen."""
        return self.results.height if self.results.is_terminal else None

    def symbol(self, good: bool | None) -> str:
        """Return ✓, ✗ or ! (None), or ASCII if the terminal cannot show them."""
        if good is None:
            return "!"
        if not self.has_unicode:
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


def _heads(columns: Sequence[Column]) -> list[Cell]:
    return [(column.head, "bold") for column in columns]


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[int]:
    """Return how wide each column has to be for all of its cells."""
    from rich.cells import cell_len

    cells = [[_styled(cell, column)[0] for cell, column in zip(row, columns, strict=True)] for row in rows]
    return [max((cell_len(row[number]) for row in cells), default=0) for number in range(len(columns))]


def truncate(columns: Sequence[Column], cells: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return the width of each column: that of its cells, less in columns that may shrink if `room` is short."""
    return fit(columns, _widths(columns, cells), room)


def fit(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    """Return the widths of columns, with less for those that may shrink if `room` is short: the widest first."""
    fitting = list(widths)
    excess = sum(fitting) + 2 * (len(columns) - 1) - room
    shrinking = [number for number, column in enumerate(columns) if column.shrinks]
    for least in ([column.least for column in columns], [MIN_WIDTH] * len(columns)):
        while excess > 0 and (wide := [number for number in shrinking if fitting[number] > least[number]]):
            fitting[max(wide, key=lambda number: (fitting[number], number))] -= 1
            excess -= 1
    return fitting


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
    """Replace what a terminal would obey in `line`, character by character, so that styles stay in their places."""
    line.plain = printable(line.plain)
    return line


def to_json(value: object) -> str:
    """Return `value` as compact JSON: times in UTC with Z, enums by value. What a terminal would obey is escaped."""
    import msgspec

    try:
        text = msgspec.json.encode(value, enc_hook=_plain).decode()
    except UnicodeEncodeError:  # a path or an argument that is not UTF-8
        text = json.dumps(msgspec.to_builtins(value, enc_hook=_plain), separators=(",", ":"))
    return text if text.isprintable() else "".join(char if char.isprintable() else _in_utf16(char) for char in text)


def _is_utf(encoding: str | None) -> bool:
    return (encoding or "ascii").lower().startswith("utf")


def _escaped(text: str) -> str:
    """Return the same JSON in ASCII."""
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
