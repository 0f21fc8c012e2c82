"""A result: a table with a title and what is to be known about it, for the terminal and for Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table as RichTable

__all__ = ["Table", "megabytes", "seconds_at", "share", "thousands", "times"]


EXACT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Table:
    """The first column names its row, the others hold figures as text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def show(self, console: Console) -> None:
        """Draw it on a terminal."""
        drawn = RichTable(title=self.title, title_justify="left")
        for place, name in enumerate(self.columns):
            drawn.add_column(name, justify="right" if place else "left")
        for row in self.rows:
            drawn.add_row(*row)
        console.print(drawn)
        for note in self.notes:
            console.print(f"  {note}")
        console.print()

    def markdown(self) -> str:
        """The same for a page."""
        lines = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        notes = "".join(f"\n{note}\n" for note in self.notes)
        return f"**{self.title}**\n\n{table}{notes}"


def thousands(number: float) -> str:
    """A whole number that can be read: 12,345."""
    return f"{number:,.0f}"


def share(part: float, whole: float) -> str:
    """A percentage with two digits, `-` of nothing."""
    return f"{100 * part / whole:.2f} %" if whole else "-"


def times(one: float, other: float) -> str:
    """How many times `other` fits into `one`."""
    return f"{one / other:.3f}" if other else "-"


def megabytes(size: float) -> str:
    """Bytes in MB of 1,000,000."""
    return f"{size / 1e6:,.0f} MB"


def seconds_at(seconds: Sequence[float], quantile: float) -> str:
    """That quantile (1.0: the most) of some durations: `0.42 s`, `12 s`, `-` of none."""
    if not seconds:
        return "-"
    value = abs(round(sorted(seconds)[max(math.ceil(quantile * len(seconds)) - 1, 0)], 2))  # -0.00 is nothing, too
    return f"{value:.2f} s" if value < EXACT_SECONDS else f"{value:,.0f} s"
