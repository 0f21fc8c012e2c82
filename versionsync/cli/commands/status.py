"""`versionsync status`: what is mirrored, how fresh it is, and what needs attention."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Final

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode

__all__ = ["status"]

WATCH_SECONDS: Final = 2.0
LEAST_WATCH_SECONDS: Final = 0.1
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
            help="How old a source may be. Otherwise a day; where a daemon follows it, twice its max_staleness and "
            "30 seconds.",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            metavar="[SECONDS]",
            help="Look again every 2 seconds, or as often as that, until Ctrl-C. With --json: an object a line.",
        ),
    ] = False,
) -> None:
    """Show for each source what is mirrored, how fresh it is, how the last run went, and what needs attention.

    It asks the database alone, never DatoCMS. Several sources are shown in a line each; name one to see all of it.

    Its exit code is for monitoring: 0 if every source is mirrored and fresh and its last run succeeded. Where the last
    run failed it is the code that a sync would have ended with: 4 if DatoCMS refused, 5 if it could not be reached, 6
    if the database could not be used (or cannot be asked now), 2 for the settings, 1 for a fault of versionsync's own.
    It is 3 for all else that needs attention (a line that begins with !, `attention` in JSON). The worst
    of several sources is told. A run that is under way is no trouble; nor is a
    single failure where a daemon follows the source and tries again.
    """
    from versionsync.cli.snapshot import SnapshotReader
    from versionsync.cli.status_fields import fields_of
    from versionsync.cli.views.status import lines_of

    names = list(sources or ())
    age = None if max_age is None else timedelta(seconds=max_age)
    if watch:
        _watch(session, names, age)
        return
    with session.open_mirror() as mirror:
        snapshot = SnapshotReader(session, names, max_age=age).read(mirror)
    redact, output = session.redactor.redact, session.output
    session.verdict = snapshot.exit
    if output.as_json:
        output.json(fields_of(snapshot, redact))
    else:
        output.live(lines_of(snapshot, output, redact=redact, in_full=bool(names) or None))
    if snapshot.exit is not ExitCode.OK:
        raise typer.Exit(snapshot.exit)


def _watch(session: CliContext, names: Sequence[str], max_age: timedelta | None) -> None:
    from versionsync.cli.snapshot import SnapshotReader
    from versionsync.cli.views.status_watch import watch

    numbers = [name for name in names if _NUMBER.fullmatch(name)]
    named = [name for name in names if name not in numbers]
    if len(numbers) > 1:
        raise typer.BadParameter("one number of seconds will do", param_hint="--watch")
    seconds = float(numbers[0]) if numbers else WATCH_SECONDS
    if seconds < LEAST_WATCH_SECONDS:
        raise typer.BadParameter(f"{LEAST_WATCH_SECONDS} seconds is the least", param_hint="--watch")
    watch(session, SnapshotReader(session, named, max_age=max_age), seconds=seconds, in_full=bool(named) or None)
