"""`versionsync simulator`: a local DatoCMS, to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from versionsync.cli.session import Session
from versionsync.cli.verbs import flag

if TYPE_CHECKING:
    from versionsync.simulator import Simulator, World

__all__ = ["simulator"]


def simulator(
    session: Session,
    *,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Port to listen on; 0: a free one.")
    ] = 8080,
    news: Annotated[
        bool, flag("--news", help="A small news site: five models, two locales, every kind of field.")
    ] = False,
    git: Annotated[
        Path | None,
        typer.Option(
            "--git",
            metavar="PATH",
            exists=True,
            file_okay=False,
            help="The history of a Git repository: its files are records, its commits versions.",
        ),
    ] = None,
    records: Annotated[
        int | None, typer.Option("--records", metavar="N", min=0, help="So many records, made up.")
    ] = None,
    versions: Annotated[
        int, typer.Option("--versions", metavar="N", min=1, help="So many versions of each of them.")
    ] = 6,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same seed makes the same project.")] = 1,
    rate_limit: Annotated[
        str,
        typer.Option("--rate-limit", metavar="N", help='Requests in 3 seconds, or "none".'),
    ] = "60",
    latency: Annotated[
        float, typer.Option("--latency", metavar="SECONDS", min=0, help="How long each answer takes, on average.")
    ] = 0.0,
) -> None:
    """Serve a local DatoCMS: the same API, an invented project.

    Without --git or --records it is the news site. Its token is simulator-full-access. Ctrl-C ends it.
    """
    from versionsync.simulator import Faults, RateLimit, serve
    from versionsync.simulator.faults import FaultKind

    if sum(given for given in (news, git is not None, records is not None)) > 1:
        raise typer.BadParameter("choose one of --news, --git and --records")
    world = _world(git=git, records=records, versions=versions, seed=seed)
    faults = Faults(seed=seed)
    if latency:
        faults.rates[FaultKind.SLOW], faults.slow_seconds = 1.0, (latency * 0.5, latency * 1.5)
    serve(
        world,
        host,
        port,
        faults=faults,
        limits=None if rate_limit == "none" else RateLimit(_limit(rate_limit)),
        on_start=lambda running: _tell(session, running),
    )
