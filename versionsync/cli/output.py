"""What a command writes: results on standard output, anything else on standard error.

A table fits the terminal; in a pipe it has no colour, no frame and no limit to its width. Rich is loaded when something
is drawn, not before.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from versionsync.cli.redaction import Redactor

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Column", "Output", "count", "to_json", "when"]

PIPE_WIDTH = 10_000


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
        sys.stdout.write(to_json(value) + "\n")
        sys.stdout.flush()

    def line(self, text: str = "", *, style: str = "") -> None:
        """A line of results. `text` is written as it is: brackets in it are no markup."""
        self.results.print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)

    def note(self, text: str, *, style: str = "") -> None:
        """A line for the person who waits; left out under --json."""
        if not self.as_json:
            text = self._redactor.redact(text)
            self.notes.print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)

    def error(self, message: str, hint: str | None) -> None:
        """What is wrong, and what to do about it."""
        from rich.text import Text

        redact = self._redactor.redact
        self.notes.print(Text.assemble("versionsync: ", ("error: ", "bold red"), redact(message)), soft_wrap=True)
        if hint:
            self.notes.print(Text.assemble(" " * 13, ("hint: ", "bold"), redact(hint)), soft_wrap=True)

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
        """A table of results."""
        from rich.table import Table
        from rich.text import Text

        piped = not self.results.is_terminal
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_edge=False)
        for column in columns:
            table.add_column(
                column.head,
                justify=column.side,
                style=column.style,
                no_wrap=True,
                overflow="ellipsis",
                min_width=None if column.shrinks or piped else len(column.head),
            )
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        with self.results.capture() as drawn:
            self.results.print(table)
        for line in drawn.get().splitlines():
            sys.stdout.write(line.rstrip() + "\n")
        sys.stdout.flush()

    def symbol(self, good: bool | None) -> str:
        """✓, ✗ or ! (None), as far as the terminal can show them."""
        encoding = (self.results.encoding or "ascii").lower()
        plain = not encoding.startswith("utf")
        if good is None:
            return "!"
        if plain:
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
            width=PIPE_WIDTH if piped and "COLUMNS" not in os.environ else None,
        )


def to_json(value: object) -> str:
    """`value` as compact JSON; times in UTC with Z, enums by their value."""
    import msgspec

    return msgspec.json.encode(value, enc_hook=_plain).decode()


def when(time: datetime | None) -> str:
    """A time for people: UTC, to the second. None: a dash."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if time is not None else "–"


def count(number: int, noun: str) -> str:
    """`1 record`, `2 records`, `20,000 records`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _plain(value: Any) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, BaseException):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
