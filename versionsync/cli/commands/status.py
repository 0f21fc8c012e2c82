"""`versionsync status`: what is mirrored, how fresh it is, and what needs attention."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from versionsync.status.snapshot import SnapshotReader

__all__ = ["status"]

WATCH_SECONDS: Final = 2.0
MIN_WATCH_SECONDS: Final = 0.1
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")


def status(
    session: CliContext,
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="SOURCE", help="Sources to show; all of them if none is named.")
    ] = None,
    *,
    max_age: Annotated[
        float | None,
        typer.Option(
            "--max-age",
            metavar="SECONDS",
            min=1,
            help="How old a source may be. Without this option: a day, or with a daemon twice its max_staleness plus "
            "30 seconds.",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            metavar="[SECONDS]",
            help="Repeat every 2 seconds, or at this interval, until Ctrl-C. With --json: an object a line.",
        ),
    ] = False,
) -> None:
    """Show for each source what is mirrored, how fresh it is, how the last run went, and what needs attention.

    It reads only the database, never DatoCMS. Several sources are shown in a line each; name one to see all of it.

    The exit code is for monitoring. It is 0 if every source is mirrored and fresh and its last run succeeded. If the
    last run failed, it is the code that a sync would have ended with: 4 if DatoCMS refused, 5 if DatoCMS could not be
    reached, 6 if the database cannot be used, 2 for the settings, 1 for a bug in versionsync. It is 3 for anything else
    that needs attention (a line that begins with !, `attention` in JSON). The most severe code of several sources
    counts. A run in progress needs no attention, nor does a single failure that a daemon tries again.
    """
    from versionsync.cli.views.status import exit_code, lines_of, status_fields

    names = list(sources or ())
    age = None if max_age is None else timedelta(seconds=max_age)
    if watch:
        _watch(session, names, age)
        return
    with session.open_mirror() as mirror:
        snapshot = _reader(session, names, age).read(mirror)
    redact, output = session.redactor.redact, session.output
    session.verdict = exit_code(snapshot)
    if output.as_json:
        output.json(status_fields(snapshot, redact))
    else:
        output.live(lines_of(snapshot, output, redact=redact, in_full=bool(names) or None))
    if session.verdict is not ExitCode.OK:
        raise typer.Exit(session.verdict)


def _reader(session: CliContext, names: Sequence[str], max_age: timedelta | None) -> SnapshotReader:
    from versionsync.status.snapshot import SnapshotReader

    configuration = session.configuration
    settings = {source.name: source for source in configuration.sources}
    expected = list(settings) if configuration.file_names_sources and not names else []
    return SnapshotReader(
        settings, lambda mirror: session.known_sources(mirror, names), expected=expected, max_age=max_age
    )


def _watch(session: CliContext, names: Sequence[str], max_age: timedelta | None) -> None:
    from versionsync.cli.views.status_watch import watch

    numbers = [name for name in names if _NUMBER.fullmatch(name)]
    named = [name for name in names if name not in numbers]
    if len(numbers) > 1:
        raise typer.BadParameter("give one number of seconds", param_hint="--watch")
    seconds = float(numbers[0]) if numbers else WATCH_SECONDS
    if seconds < MIN_WATCH_SECONDS:
        raise typer.BadParameter(f"{MIN_WATCH_SECONDS} seconds is the minimum", param_hint="--watch")
    watch(session, _reader(session, named, max_age), seconds=seconds, in_full=bool(named) or None)
