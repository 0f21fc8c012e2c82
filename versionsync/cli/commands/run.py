"""`versionsync run`: follow the sources, for as long as it is let."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from versionsync.cli.context import CliContext, Options
from versionsync.cli.options import flag

__all__ = ["run"]


def run(
    session: CliContext,
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="SOURCE", help="Sources to follow; all of them if none is named.")
    ] = None,
    *,
    upgrade: Annotated[
        bool, flag("--upgrade", help="Bring a PostgreSQL to this schema first. (A SQLite file is, always.)")
    ] = False,
) -> None:
    """Follow the sources: mirror what changes soon after it has, until it is stopped.

    Ctrl-C or SIGTERM stops it within two seconds, whatever it is at; the next start goes on from there. SIGHUP makes it
    read its settings again. A second one on the same database stands by, and takes over when the first one ends.
    """
    from versionsync.cli.tracing import tracing
    from versionsync.daemon.signals import prepared
    from versionsync.wiring.daemon import DaemonSettings, run_daemon

    session.also(Options(verbose=1))  # a service logs what it does
    settings = DaemonSettings(
        session.configuration,
        sources or (),
        reload=session.load_settings,
        redactor=session.redactor,
        log=session.log,
    )
    with prepared(), tracing(session), session.open_mirror(create=True, upgrade=upgrade) as mirror:
        asyncio.run(run_daemon(mirror, settings, log=session.log, redactor=session.redactor))
