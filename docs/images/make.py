"""Make the picture of the demo in the README, for light and for dark pages, from what the demo really writes.

    .venv/bin/python docs/images/make.py

It runs `versionsync demo` on a pseudo-terminal, takes everything up to the end of the first question, and draws it.
The SVGs name no font or style of another host, since GitHub would not load it.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

HERE = Path(__file__).parent
COLUMNS = 96
PROMPT = "$ versionsync demo"

LIGHT = TerminalTheme(
    (255, 255, 255),
    (31, 35, 40),
    [
        (36, 41, 47),
        (207, 34, 46),
        (17, 99, 41),
        (130, 80, 0),
        (9, 105, 218),
        (130, 80, 223),
        (27, 124, 131),
        (87, 96, 106),
    ],
)
DARK = TerminalTheme(
    (13, 17, 23),
    (230, 237, 243),
    [
        (72, 79, 88),
        (255, 123, 114),
        (86, 211, 100),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (86, 212, 221),
        (177, 186, 196),
    ],
)

SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>What `versionsync demo` shows</title>
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; white-space: pre;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def main() -> None:
    """Run the demo, and write demo-light.svg and demo-dark.svg beside this file."""
    shown = first_part(run_demo())
    for name, theme in (("light", LIGHT), ("dark", DARK)):
        console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
        for line in shown.split("\n", allow_blank=True):
            console.print(line, overflow="fold")
        console.print()
        svg = console.export_svg(theme=theme, code_format=SVG, unique_id="demo", title="")
        svg = svg.replace("rgba(255,255,255,0.35)", "rgba(128,128,128,0.5)")  # the frame, seen on white too
        (HERE / f"demo-{name}.svg").write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")


def run_demo() -> str:
    """All that the demo writes to a terminal, progress left out."""
    ours, its = pty.openpty()
    environ = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    program = [sys.executable, "-m", "versionsync", "demo"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(program, cwd=folder, env=environ, stdout=its, stderr=subprocess.DEVNULL) as running,  # noqa: S603 our own program
    ):
        os.close(its)
        written = b"".join(iter(lambda: read(ours), b""))
    if running.returncode:
        sys.exit(f"the demo ended with exit code {running.returncode}")
    return written.decode().replace("\r\n", "\n")


def read(terminal: int) -> bytes:
    """What was written to the terminal since; nothing when its program has ended."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def first_part(written: str) -> Text:
    """From the prompt to the end of the first question's answer."""
    lines = written.strip("\n").split("\n")
    questions = next(number for number, line in enumerate(lines) if "4. " in line)
    asked = [number for number, line in enumerate(lines) if line.endswith("?\x1b[0m") and number > questions]
    return Text.from_ansi("\n".join([PROMPT, "", *lines[: asked[1] - 1]]))


if __name__ == "__main__":
    main()
