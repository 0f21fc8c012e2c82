"""Make the picture of a diff in docs/history.md, for light and for dark pages, from an example of the tests.

.venv/bin/python docs/images/diff.py
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console

from docs.images.make import DARK, LIGHT, SVG
from tests.unit.history.render.examples import EXAMPLES, MODEL, NAMES
from versionsync.history.render.heading import Heading, Side
from versionsync.history.render.terminal import heading_lines, lines_of, summary_of
from versionsync.history.render.view import view_of

__all__ = ["PICTURES", "drawn"]

PICTURES: Final = Path(__file__).parent
COLUMNS: Final = 96
PROMPT: Final = '$ versionsync diff "The fish market at dawn"'
HEADING: Final = Heading(
    title="The fish market at dawn",
    about="article tuKwOa9V",
    before=Side(version_id="ssg9tvmb", made_at="2026-03-01 09:00 UTC", editor="Cleo Editor", marks=("live",)),
    after=Side(version_id="zQXOnKPo", made_at="2026-03-03 12:00 UTC", editor="Ben Writer", marks=("current",)),
)


def drawn() -> dict[str, str]:
    """Return the pictures by the names of their files."""
    example = EXAMPLES["much-at-once"]
    view = view_of(example.diff, NAMES, before=example.before, after=example.after, model_id=MODEL)
    pictures = {}
    for name, theme in (("light", LIGHT), ("dark", DARK)):
        console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
        console.print(PROMPT, highlight=False)
        for line in [*heading_lines(HEADING, console, color=True), "", *lines_of(view, console, color=True)]:
            console.print(line)
        console.print(f"\n{summary_of(view)}\n", highlight=False)
        title = "What `versionsync diff` shows"
        code_format = SVG.replace("What `versionsync demo` shows", title)
        svg = console.export_svg(theme=theme, code_format=code_format, unique_id="diff", title="")
        svg = svg.replace("rgba(255,255,255,0.35)", "rgba(128,128,128,0.5)")  # the frame, seen on white too
        pictures[f"diff-{name}.svg"] = "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"
    return pictures


if __name__ == "__main__":
    for file, picture in drawn().items():
        (PICTURES / file).write_text(picture)
