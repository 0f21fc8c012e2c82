"""`versionsync diff`: what changed between two versions, or between two moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.history_options import VERSION_HELP, Ids, Model, Since, Sources, Until, Zone, echo_time
from versionsync.cli.options import flag
from versionsync.errors import ErrorKind, VersionsyncError

if TYPE_CHECKING:
    from datetime import tzinfo

    from rich.text import Text

    from versionsync.api import Comparison, Filter, Mirror

__all__ = ["diff"]

READABLE_WIDTH = 120
"""How wide a diff is in a file."""


class OddComparison(VersionsyncError):
    """Options that do not fit together."""

    kind = ErrorKind.CONFIGURATION


class _Form(StrEnum):
    """How a diff is written."""

    TEXT = "text"
    SIDE_BY_SIDE = "side by side"
    HTML = "html"
    JSON_PATCH = "json patch"


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

    form = _form(side_by_side=side_by_side, html=html, json_patch=json_patch)
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
        _write(session, history, found, form, shows, is_short=not full, ids=ids)


def _form(*, side_by_side: bool, html: bool, json_patch: bool) -> _Form:
    if json_patch and (html or side_by_side):
        raise OddComparison("--json-patch has no other form", hint="Leave out --html and --side-by-side.")
    if html:
        return _Form.HTML
    return _Form.JSON_PATCH if json_patch else _Form.SIDE_BY_SIDE if side_by_side else _Form.TEXT


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


def _write(
    session: CliContext,
    history: Mirror,
    found: Iterable[Comparison],
    form: _Form,
    shows: Filter,
    *,
    is_short: bool,
    ids: bool,
) -> None:
    """Write all comparisons in one form."""
    output = session.output
    number = 0
    for number, comparison in enumerate(found, start=1):
        if form is _Form.JSON_PATCH:
            output.json(comparison.json_patch())
        elif output.as_json:
            for row in comparison.rows(shows):
                output.json(row)
        elif form is _Form.HTML:
            _page(session, comparison, history.zone, shows, is_short=is_short, ids=ids)
        else:
            if number > 1:
                output.plain_line()
                output.plain_line("─" * min(output.results.width, READABLE_WIDTH) if output.has_unicode else "---")
            output.live(_lines(session, comparison, history.zone, form, shows, is_short=is_short, ids=ids))
    if not number:
        output.note("Nothing changed between the two moments.")


def _page(
    session: CliContext, comparison: Comparison, zone: tzinfo, shows: Filter, *, is_short: bool, ids: bool
) -> None:
    from versionsync.history.render.html import page_of

    view = comparison.view(shows, is_short=is_short)
    session.output.document(page_of(view, comparison.heading(zone, in_full=ids), shows=shows))


def _lines(
    session: CliContext,
    comparison: Comparison,
    zone: tzinfo,
    form: _Form,
    shows: Filter,
    *,
    is_short: bool,
    ids: bool,
) -> Iterator[Text]:
    """Yield the lines of a comparison for a terminal."""
    from rich.console import Console
    from rich.text import Text

    from versionsync.history.render.terminal import heading_lines, lines_of, summary_of

    output = session.output
    color = output.results.color_system is not None and not output.results.no_color
    console = Console(
        width=min(output.results.width, READABLE_WIDTH * 2 if output.results.is_terminal else READABLE_WIDTH)
    )
    view = comparison.view(shows, is_short=is_short)
    yield from heading_lines(comparison.heading(zone, in_full=ids), console, color=color)
    if view.sections or view.notes:
        yield Text()
        yield from lines_of(view, console, color=color, side_by_side=form is _Form.SIDE_BY_SIDE)
    yield Text()
    yield Text(summary_of(view))
