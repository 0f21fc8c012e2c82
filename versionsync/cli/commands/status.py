"""`versionsync status`: what is mirrored, how fresh it is, and what needs attention."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode
from versionsync.cli.options import option, sources_to

if TYPE_CHECKING:
    from versionsync.status.snapshot import SnapshotReader

__all__ = ["status"]


def status(
    session: CliContext,
    sources: Annotated[list[str] | None, sources_to("show")] = None,
    *,
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

    It reads the database only, never DatoCMS. Several sources get one line each; name one to see its details.

    Use the exit code for monitoring. 0: every source is fresh, and its last run succeeded. If the last run failed, you
    get the code of that run, such as 4 if DatoCMS refused it. 3: something else needs attention; it is on a line that
    begins with !, or in `attention` with --json. The most severe code of all sources wins. A run in progress is not
    a failure. With a daemon, a single failed run is not one either: the daemon tries again.

    Examples:
        # One line for each source.
        versionsync status

        # All details of one source.
        versionsync status website

        # In a monitoring check: fail if the mirror is older than an hour.
        versionsync status --max-age 3600 --json
    """
    from versionsync.cli.views.status import exit_code, lines_of, status_fields

    names = list(sources or ())
    age = None if max_age is None else timedelta(seconds=max_age)
    with session.open_mirror(reads_only=True) as mirror:
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
    expected = names or (list(settings) if configuration.file_names_sources else [])
    return SnapshotReader(
        settings, lambda mirror: session.all_sources(mirror, names), expected=expected, max_age=max_age
    )
