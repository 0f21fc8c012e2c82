"""A diff as a page that stands alone: it can be printed, mailed and archived. It loads nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from versionsync.history.diff.model import Operation
from versionsync.history.render.heading import Heading
from versionsync.history.render.passages import Shown
from versionsync.history.render.terminal import summary_of
from versionsync.history.render.view import DiffView, Filter
from versionsync.text import count, printable

__all__ = ["SYMBOLS", "environment", "page_of"]

SYMBOLS: Final = {
    Operation.ADDED: "+",
    Operation.REMOVED: "−",
    Operation.CHANGED: "~",
    Operation.MOVED: "↕",
}
_FILTERS: Final = {
    Filter.ALL: "",
    Filter.WITHOUT_FORMATTING: "Formatting is hidden.",
    Filter.MEANING: "Only what changed the meaning is shown.",
}


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the templates of all pages. Everything that they show is escaped."""
    made = Environment(
        loader=PackageLoader("versionsync.history.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["visible"] = _visible
    made.filters["line"] = printable
    return made


def page_of(
    compared: Sequence[tuple[Heading, DiffView]], *, shows: Filter = Filter.ALL, side_by_side: bool = False
) -> str:
    """Return diffs as a page.

    Args:
        compared: What is compared, and what to show of it.
        shows: The filter that the views were made with.
        side_by_side: Whether to show the text before on the left and the text after on the right.
    """
    template = environment().get_template("diff.html.jinja")
    titles = [heading.title for heading, _ in compared]
    return template.render(
        compared=[(heading, view, summary_of(view)) for heading, view in compared],
        title=f"{titles[0]}: what changed" if len(titles) == 1 else f"{count(len(titles), 'record')} changed",
        filter=_FILTERS[shows],
        symbols=SYMBOLS,
        is_beside=side_by_side,
        Shown=Shown,
    )


def _visible(text: str) -> Markup:
    """Return a text with its line breaks, without what cannot be seen or changes its direction.

    A line break is an element, so that no line of a text begins a line of the page.
    """
    return Markup("<br>").join(printable(line) for line in text.split("\n"))
