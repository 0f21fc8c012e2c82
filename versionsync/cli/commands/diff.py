"""`versionsync diff`: what changed between two versions, or between two moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.history_options import (
    VERSION_HELP,
    Ids,
    Model,
    Since,
    Sources,
    Until,
    Zone,
    echo_time,
    warn_unfilled,
)
from versionsync.cli.options import flag
from versionsync.errors import ErrorKind, VersionsyncError

if TYPE_CHECKING:
    from datetime import tzinfo

    from rich.text import Text

    from versionsync.api import Comparison, Filter
    from versionsync.cli.terminal.output import Output
    from versionsync.history.render.heading import Heading
    from versionsync.history.render.view import DiffView

__all__ = ["diff"]

READABLE_WIDTH = 120
"""How wide a diff is in a file."""


class OddComparison(VersionsyncError):
    """Options that do not fit together."""

    kind = ErrorKind.CONFIGURATION


class _Form(StrEnum):
    """How a diff is written."""

    TEXT = "text"
    HTML = "html"
    JSON_PATCH = "json patch"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """How a diff looks for people."""

    shows: Filter
    is_short: bool
    is_beside: bool
    ids: bool
    zone: tzinfo
    is_list: bool
    """Several records are compared: those that are there at one moment only are named, and not shown."""

    def view(self, comparison: Comparison) -> DiffView:
        view = comparison.view(self.shows, is_short=self.is_short)
        if self.is_list and self.is_short and (comparison.before is None or comparison.after is None):
            return replace(view, sections=(), notes=(*view.notes, "With --full you see it."))
        return view

    def heading(self, comparison: Comparison) -> Heading:
        return comparison.heading(self.zone, in_full=self.ids)


def diff(
    session: CliContext,
    version: Annotated[str | None, typer.Argument(metavar="A", help=VERSION_HELP)] = None,
    other: Annotated[str | None, typer.Argument(metavar="B", help="The version after A.")] = None,
    *,
    live: Annotated[bool, flag("--live", help="Compare A with the live version of its record.")] = False,
    current: Annotated[bool, flag("--current", help="Compare A with the newest version of its record.")] = False,
    since: Since = None,
    until: Until = None,
    model: Model = None,
    published: Annotated[
        bool, flag("--published", help="With --since: what was live; otherwise what was the newest version.")
    ] = False,
    hide_formatting: Annotated[bool, flag("--hide-formatting", help="Leave out bold, italics, links.")] = False,
    meaning: Annotated[
        bool, flag("--meaning", help="Only what changed the meaning: neither formatting nor moves, splits, merges.")
    ] = False,
    full: Annotated[bool, flag("--full", help="Show long passages without changes, too.")] = False,
    side_by_side: Annotated[bool, flag("--side-by-side", help="Before on the left, after on the right.")] = False,
    html: Annotated[bool, flag("--html", help="Write a page that you can print, mail and keep.")] = False,
    json_patch: Annotated[bool, flag("--json-patch", help="Write a JSON Patch (RFC 6902).")] = False,
    ids: Ids = False,
    source: Sources = None,
    zone: Zone = None,
) -> None:
    """Show what changed, by field, locale and block. A alone is compared with the version before it.

    What was added is green and underlined, what was removed is red and struck through; without colours they are in
    {+…+} and [-…-]. With --since you compare two moments: of a record, a model or the whole project.

    Examples:
        # What the newest version of a record changed.
        versionsync diff "The old fish market"

        # What waits to go live, as a page.
        versionsync diff article:the-night-bus --live --html

        # What changed on the site since yesterday.
        versionsync diff --since yesterday --published
    """
    from versionsync.api import Filter

    form = _Form.HTML if html else _Form.JSON_PATCH if json_patch else _Form.TEXT
    if json_patch and (html or side_by_side):
        raise OddComparison("--json-patch has no other form", hint="Leave out --html and --side-by-side.")
    _check(version, other, live=live, current=current, since=since, until=until, model=model, published=published)
    shows = Filter.MEANING if meaning else Filter.WITHOUT_FORMATTING if hide_formatting else Filter.ALL
    with session.open_history(sources=source or (), zone=zone) as history:
        if since is None:
            assert version is not None
            against = "live" if live else "current" if current else "previous"
            found: Iterable[Comparison] = [history.diff(version, other, against=against)]
        else:
            start, end = echo_time(session, history, "since", since), echo_time(session, history, "until", until)
            assert start is not None
            found = history.diffs(start, end, record=version, model=model, published=published)
        look = _Look(
            shows=shows,
            is_short=not full,
            is_beside=side_by_side,
            ids=ids,
            zone=history.zone,
            is_list=since is not None and version is None,
        )
        _write(session, found, form, look)
        if look.is_list:  # those of one record are computed if they have to be
            warn_unfilled(session, history, "changes", "intervals", "titles")


def _check(
    version: str | None,
    other: str | None,
    *,
    live: bool,
    current: bool,
    since: str | None,
    until: str | None,
    model: str | None,
    published: bool,
) -> None:
    """Refuse options that do not fit together."""
    if since is None and version is None:
        raise OddComparison("nothing is named to compare", hint="Name a version or a record, or a time with --since.")
    if since is None and (until is not None or model is not None or published):
        raise OddComparison("--until, --model and --published compare two moments", hint="Add --since TIME.")
    if since is not None and (other is not None or live or current):
        raise OddComparison(
            "--since compares two moments", hint="Name one record at most, without --live and --current."
        )
    if since is not None and version is not None and model is not None:
        raise OddComparison("--model and a record exclude one another", hint="Leave out one of them.")
    if (other is not None and (live or current)) or (live and current):
        raise OddComparison("there are three versions to compare", hint="Name B, or --live, or --current.")


def _write(session: CliContext, found: Iterable[Comparison], form: _Form, look: _Look) -> None:
    """Write all comparisons in one form."""
    output = session.output
    if form is _Form.HTML:
        from versionsync.history.render.html import page_of

        pairs = [(look.heading(one), look.view(one)) for one in found]
        output.document(page_of(pairs, shows=look.shows, side_by_side=look.is_beside))
        return
    number = 0
    for number, comparison in enumerate(found, start=1):
        if form is _Form.JSON_PATCH:
            output.json(comparison.json_patch())
        elif output.as_json:
            for row in comparison.rows(look.shows):
                output.json(row)
        else:
            if number > 1:
                output.plain_line()
                output.plain_line(("─" if output.has_unicode else "-") * min(output.results.width, READABLE_WIDTH))
            output.live(_lines(output, comparison, look))
    if not number:
        output.note("Nothing changed between the two moments.")


def _lines(output: Output, comparison: Comparison, look: _Look) -> Iterator[Text]:
    """Yield the lines of a comparison for a terminal."""
    from rich.console import Console
    from rich.text import Text

    from versionsync.history.render.terminal import heading_lines, lines_of, summary_of

    results = output.results
    color = results.color_system is not None and not results.no_color
    console = Console(width=results.width if results.is_terminal else min(results.width, READABLE_WIDTH))
    view = look.view(comparison)
    yield from heading_lines(look.heading(comparison), console, color=color)
    if view.sections or view.notes:
        yield Text()
        yield from lines_of(view, console, color=color, side_by_side=look.is_beside)
    yield Text()
    yield from Text(summary_of(view)).wrap(console, console.width)
