"""`versionsync status`: what is mirrored, how fresh it is, and what needs attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode
from versionsync.cli.options import flag, option

if TYPE_CHECKING:
    from versionsync.status.snapshot import SnapshotReader

__all__ = ["status"]


def status(
    session: CliContext,
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE", help="Sources to show, or patterns such as 'shop-*'. Default: all."),
    ] = None,
    *,
    failing: Annotated[bool, flag("--failing", help="Only sources whose last run failed.")] = False,
    stale: Annotated[
        bool, flag("--stale", help="Only sources that are older than they may be, or were never complete.")
    ] = False,
    max_age: Annotated[
        float | None,
        option(
            "--max-age",
            "SECONDS",
            "How old the mirror may be. Default: a day; with a daemon, twice max_staleness plus 30 seconds.",
            min=1,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show what is mirrored, how fresh it is, how the last run went, and what needs attention.

    It reads the database only, never DatoCMS. Several sources get one line each, the worst first; name one to see its
    details. A terminal shows as many as fit. A pipe and --json get all. --failing and --stale together show both kinds.

    Use the exit code for monitoring. 0: every source is fresh, and its last run succeeded. If the last run failed, you
    get the code of that run, such as 4 if DatoCMS refused it. 3: something else needs attention; it is on a line that
    begins with !, or in `attention` with --json. The most severe code of all sources wins. A run in progress is not
    a failure. With a daemon, a single failed run is not one either: the daemon tries again.

    Examples:
        # One line for each source.
        versionsync status

        # Only what is wrong, of many sources.
        versionsync status --failing --stale

        # In a monitoring check: fail if the mirror is older than an hour.
        versionsync status --max-age 3600 --json
    """
    from versionsync.cli.views.status import exit_code, fitting, full_lines, status_fields, table_lines
    from versionsync.status.ranking import HealthState, is_pattern

    names = list(sources or ())
    states = [state for state, asked in ((HealthState.FAILING, failing), (HealthState.STALE, stale)) if asked]
    redact, output = session.redactor.redact, session.output
    with session.open_mirror(reads_only=True) as mirror:
        reader = _reader(session, names, None if max_age is None else timedelta(seconds=max_age))
        snapshot = reader.read(mirror)
        if states:
            snapshot = snapshot.only(states)
        session.verdict = exit_code(snapshot)
        is_named = bool(names) and not states and not any(map(is_pattern, names))
        if output.as_json:
            snapshot = replace(snapshot, sources=reader.with_details(mirror, snapshot.sources))
            output.json(status_fields(snapshot, redact))
        elif is_named or (len(snapshot.sources) == 1 and not states):
            snapshot = replace(snapshot, sources=reader.with_details(mirror, snapshot.sources))
            output.live(full_lines(snapshot, output, redact=redact))
        else:
            snapshot = snapshot.worst_first()
            shown = snapshot.sources[: fitting(snapshot, output, redact=redact)]
            shown = reader.with_details(mirror, shown)
            output.live(table_lines(snapshot, shown, output, redact=redact))
    if session.verdict is not ExitCode.OK:
        raise typer.Exit(session.verdict)


def _reader(session: CliContext, names: Sequence[str], max_age: timedelta | None) -> SnapshotReader:
    from versionsync.status.ranking import is_pattern
    from versionsync.status.snapshot import SnapshotReader

    configuration = session.configuration
    settings = {source.name: source for source in configuration.sources}
    expected = list(settings) if configuration.file_names_sources else []
    if names:
        expected = [] if any(map(is_pattern, names)) else list(names)
    return SnapshotReader(
        settings, lambda mirror: session.matching_sources(mirror, names), expected=expected, max_age=max_age
    )
