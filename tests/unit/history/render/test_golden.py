"""The examples look as the files in `golden` say: in a terminal, side by side, and as a page."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from rich.console import Console

from docs.images.diff import PICTURES, drawn
from tests.unit.history.render.examples import EXAMPLES, MODEL, NAMES, Example
from versionsync.history.diff import ContentDiff
from versionsync.history.render.heading import Heading, Side
from versionsync.history.render.html import page_of
from versionsync.history.render.terminal import lines_of, summary_of
from versionsync.history.render.view import DiffView, view_of

GOLDEN = Path(__file__).with_name("golden")
HEADING = Heading(
    title="The old fish market",
    about="article a1b2c3d4",
    before=Side(version_id="v1aaaaaa", made_at="2026-03-01 09:00 UTC", editor="Anna Editor", marks=("live",)),
    after=Side(version_id="v2bbbbbb", made_at="2026-03-03 12:00 UTC", editor="Ben Writer", marks=("current",)),
)
LONGEST = 4000


def view(example: Example) -> DiffView:
    diff: ContentDiff = example.diff
    return view_of(diff, NAMES, before=example.before, after=example.after, model_id=MODEL)


def terminal(example: Example, width: int, *, color: bool = False, side_by_side: bool = False) -> str:
    console = Console(width=width, color_system="standard", force_terminal=color, highlight=False, legacy_windows=False)
    with console.capture() as capture:
        for line in lines_of(view(example), console, color=color, side_by_side=side_by_side):
            console.print(line, soft_wrap=True)
        console.print(summary_of(view(example)), soft_wrap=True)
    return capture.get()


def check(name: str, text: str) -> None:
    """Compare a text with its file, or write it if VERSIONSYNC_TEST_WRITE is set."""
    shown = text if len(text) < 10 * LONGEST else text[:LONGEST] + "\n(and so on)\n"
    path = GOLDEN / name
    if os.environ.get("VERSIONSYNC_TEST_WRITE") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown)
    assert path.read_text() == shown


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_looks_in_a_terminal_as_its_file_says(name: str) -> None:
    example = EXAMPLES[name]
    parts = [terminal(example, 80), terminal(example, 120, side_by_side=True)]
    check(f"{name}.txt", "".join(re.sub(r" +$", "", part, flags=re.MULTILINE) + "\n" for part in parts))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_looks_on_a_page_as_its_file_says(name: str) -> None:
    page = page_of([(HEADING, view(EXAMPLES[name]))])
    main = page[page.index("<main") : page.index("</main>")]
    check(f"{name}.html", page if name == "text-edited" else main)


def test_the_pictures_of_the_documentation_are_what_is_shown_now() -> None:
    """`docs/images/diff.py` draws them."""
    for name, picture in drawn().items():
        if os.environ.get("VERSIONSYNC_TEST_WRITE") == "1":
            (PICTURES / name).write_text(picture)
        assert (PICTURES / name).read_text() == picture


@pytest.mark.parametrize("name", EXAMPLES)
def test_without_colour_what_was_added_and_removed_is_in_signs(name: str) -> None:
    """The texts are the same in colour and without; only the signs and the colours differ."""
    plain, colored = terminal(EXAMPLES[name], 10_000), terminal(EXAMPLES[name], 10_000, color=True)
    without_signs = re.sub(r"\{[+~]|[+~]\}|\[-|-\]", "", plain)
    assert without_signs == re.sub(r"\x1b\[[0-9;]*m", "", colored)
    assert "\x1b" not in plain


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("side_by_side", [False, True], ids=["one_column", "side_by_side"])
def test_no_line_is_wider_than_the_terminal(name: str, width: int, side_by_side: bool) -> None:
    shown = terminal(EXAMPLES[name], width, side_by_side=side_by_side)
    *lines, _ = shown.splitlines()
    assert all(len(line) <= width for line in lines)
