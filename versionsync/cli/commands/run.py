"""`versionsync run`: keep the mirror up to date until it is stopped."""

from __future__ import annotations

import asyncio
from typing import Annotated

from versionsync.cli.context import CliContext
from versionsync.cli.options import Options, flag, sources_to

__all__ = ["run"]


def run(
    session: CliContext,
    sources: Annotated[list[str] | None, sources_to("mirror")] = None,
    *,
    upgrade: Annotated[
        bool, flag("--upgrade", help="Upgrade a PostgreSQL schema first. (A SQLite file is always upgraded.)")
    ] = False,
) -> None:
    """Keep the mirror up to date: a daemon that mirrors each change soon after it happens.

    Ctrl-C or SIGTERM stops it within two seconds; the next start continues. SIGHUP reloads the settings. Several on
    one PostgreSQL database divide the sources. On SQLite a second one waits, and takes over when the first one ends.

    Examples:
        # Mirror all sources until you press Ctrl-C.
        versionsync run

        # Mirror one source, and log everything.
        versionsync run website -vv
    """
    from versionsync.cli.tracing_setup import tracing
    from versionsync.daemon.stop_signals import prepared
    from versionsync.wiring.daemon import THREADS_BESIDES_RUNS, DaemonSettings, run_daemon

    session.also(Options(verbose=1))  # a service logs what it does
    settings = DaemonSettings(
        session.configuration,
        sources or (),
        reload=session.load_settings,
        redactor=session.redactor,
        log=session.log,
    )
    threads = settings.max_runs + THREADS_BESIDES_RUNS
    with prepared(), tracing(session), session.open_mirror(create=True, upgrade=upgrade, threads=threads) as mirror:
        asyncio.run(run_daemon(mirror, settings, log=session.log, redactor=session.redactor))
