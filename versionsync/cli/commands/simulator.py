"""`versionsync simulator`: a local DatoCMS to try things on."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.history_options import Sources
from versionsync.cli.options import flag, option
from versionsync.text import count

if TYPE_CHECKING:
    from versionsync.simulator import FaultKind, RateLimit, Simulator, World
    from versionsync.simulator.http.control import ControlToken

__all__ = ["build_world", "simulator"]

CONTROL_TOKEN_VARIABLE: Final = "VERSIONSYNC_SIMULATOR_CONTROL_TOKEN"  # noqa: S105 - a name
MAX_PACE: Final = 6_000
"""A hundred acts a second in each project."""


def simulator(
    session: CliContext,
    *,
    host: Annotated[
        str,
        option(
            "--host",
            "ADDRESS",
            "Address to listen on. With any other than the default, other machines can use the API: its tokens "
            "are public.",
        ),
    ] = "127.0.0.1",
    port: Annotated[int, option("--port", "PORT", "Port to listen on. 0: any free port.", min=0, max=65535)] = 8080,
    news: Annotated[
        bool, flag("--news", help="Serve a small news site: five models, two locales, every kind of field.")
    ] = False,
    git: Annotated[
        Path | None,
        option(
            "--git",
            "PATH",
            "Serve the history of a Git repository: its files are records, its commits versions.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    from_mirror: Annotated[
        bool,
        flag("--from-mirror", help="Serve a copy of what the database has: every record with its complete history."),
    ] = False,
    source: Sources = None,
    with_deleted: Annotated[
        bool, flag("--with-deleted", help="With --from-mirror: load deleted records too, as deleted ones.")
    ] = False,
    records: Annotated[int | None, option("--records", "N", "Serve N invented records.", min=0)] = None,
    versions: Annotated[int, option("--versions", "N", "Give each invented record N versions.", min=1)] = 6,
    projects: Annotated[
        int | None,
        option(
            "--projects",
            "N",
            "Serve N projects, each with its own token. Each has 10 invented records, or as many as --records "
            "says. With --news each is a news site, which takes 5 MB and 0.2 s a project.",
            min=1,
        ),
    ] = None,
    live: Annotated[
        bool, flag("--live", help="Let simulated editors work in every project. -v shows what they do.")
    ] = False,
    pace: Annotated[
        float | None,
        option(
            "--pace",
            "N",
            "With --live: N actions a minute in each project, on average. Default: 12. An action is a save, a "
            "publication, a deletion and so on.",
        ),
    ] = None,
    seed: Annotated[
        int, option("--seed", "N", "The same seed makes the same project and, with --live, the same actions.")
    ] = 1,
    rate_limit: Annotated[str, option("--rate-limit", "N", 'Requests allowed in 3 seconds, or "none".')] = "60",
    latency: Annotated[float, option("--latency", "SECONDS", "Average time of each response.", min=0)] = 0.0,
    control_token: Annotated[
        str | None,
        option(
            "--control-token",
            "TOKEN",
            "Let other machines use the control endpoints (/_simulator/) with this token. Better set "
            f"{CONTROL_TOKEN_VARIABLE}: other users can read a command line.",
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        option(
            "--fault",
            "KIND=SHARE",
            "Make this share of requests fail: internal_error=0.05, … You can repeat the option.",
        ),
    ] = None,
) -> None:
    """Serve a local DatoCMS with the same API and an invented project.

    Without --git, --from-mirror, --records or --projects you get the news site. Its token is simulator-full-access;
    more projects have simulator-full-access-2, -3 and so on. Ctrl-C stops it.

    Examples:
        # Serve the news site. It prints the variables that you need.
        versionsync simulator

        # Let editors work in it, and show what they do.
        versionsync simulator --live -v

        # Serve a copy of what you mirrored, at another port.
        versionsync simulator --from-mirror --port 9000
    """
    from versionsync.simulator import FaultKind, Faults, serve
    from versionsync.simulator.scenarios.git import RepositoryUnreadable
    from versionsync.simulator.scenarios.live import PACE

    if sum(given for given in (news, git is not None, from_mirror, records is not None)) > 1:
        raise typer.BadParameter("choose one of --news, --git, --from-mirror and --records")
    if from_mirror and projects is not None:
        raise typer.BadParameter("a copy has the projects of the database", param_hint="--projects")
    if not from_mirror and (source or with_deleted):
        raise typer.BadParameter("needs --from-mirror", param_hint="--source" if source else "--with-deleted")
    if git is not None and projects is not None:
        raise typer.BadParameter("a Git history is one project: leave --projects out", param_hint="--projects")
    if pace is not None and not (live and 0 < pace <= MAX_PACE):
        why = f"more than 0, at most {MAX_PACE:,}" if live else "needs --live"
        raise typer.BadParameter(why, param_hint="--pace")
    try:
        if from_mirror:
            world, *others = _copied_worlds(session, source or (), with_deleted=with_deleted)
        elif projects is not None:
            world, *others = _build_worlds(projects, news=news, records=records, versions=versions, seed=seed)
        else:
            world, others = build_world(git=git, records=records, versions=versions, seed=seed), []
    except RepositoryUnreadable as error:
        raise typer.BadParameter(str(error), param_hint="--git") from error
    faults = Faults(seed=seed, rates=dict(map(_fault, fault or ())))
    if latency:
        faults.rates[FaultKind.SLOW], faults.slow_seconds = 1.0, (latency * 0.5, latency * 1.5)
    token = _control_token(control_token or session.environ.get(CONTROL_TOKEN_VARIABLE) or None)
    _warn_if_reachable(session, host, has_token=token is not None)
    try:
        serve(
            world,
            host=host,
            port=port,
            others=others,
            faults=faults,
            limits=_limits(rate_limit),
            pace=(PACE if pace is None else pace) if live else None,
            report=partial(_report_action, session, projects=projects or 1) if session.options.verbose else None,
            control_token=token,
            on_start=partial(_report, session, live=live, is_copy=from_mirror),
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = f"another program listens on {host}:{port} already; 0 takes a port that is free"
        else:
            why = f"cannot listen on {host}:{port}: {error.strerror}"
        raise typer.BadParameter(why, param_hint="--port") from error


def build_world(*, git: Path | None = None, records: int | None = None, versions: int = 1, seed: int = 1) -> World:
    """Return a project: from a Git repository, with a number of records, or the news site."""
    from versionsync.simulator import World
    from versionsync.simulator.scenarios.bulk import build_bulk
    from versionsync.simulator.scenarios.news.site import build_news

    world = World(seed=seed)
    if git is not None:
        from versionsync.simulator.scenarios.git import build_git

        build_git(world, git)
    elif records is not None:
        build_bulk(world, records=records, versions=versions)
    else:
        build_news(world)
    return world


def _build_worlds(projects: int, *, news: bool, records: int | None, versions: int, seed: int) -> list[World]:
    from versionsync.simulator import World
    from versionsync.simulator.scenarios.bulk import SMALL_RECORDS, bulk_worlds, filled_worlds
    from versionsync.simulator.scenarios.news.site import build_news

    first = World(seed=seed)
    if news:
        return list(filled_worlds(first, projects, lambda world, _: build_news(world)))
    return list(bulk_worlds(first, projects, records=SMALL_RECORDS if records is None else records, versions=versions))


def _copied_worlds(session: CliContext, names: Sequence[str], *, with_deleted: bool) -> list[World]:
    """Return a copy of each source of the database that is called one of `names`, or of all."""
    from versionsync.simulator.scenarios.bulk import token_of
    from versionsync.wiring.mirrored_world import world_from_mirror

    with session.open_mirror(reads_only=True) as mirror:
        sources = session.known_sources(mirror, names)
        if not sources:
            raise typer.BadParameter(f"nothing is mirrored in {mirror.where} yet", param_hint="--from-mirror")
        with mirror.read() as connection:
            return [
                world_from_mirror(connection, source, with_deleted=with_deleted, token=token_of(number))
                for number, source in enumerate(sources, start=1)
            ]


def _fault(text: str) -> tuple[FaultKind, float]:
    from versionsync.simulator import FaultKind

    kind, _, share = text.partition("=")
    try:
        return FaultKind(kind), float(share)
    except ValueError:
        kinds = ", ".join(known.value for known in FaultKind)
        message = f"{text} is not KIND=SHARE, with a share of requests from 0 to 1; there are {kinds}"
        raise typer.BadParameter(message, param_hint="--fault") from None


def _control_token(secret: str | None) -> ControlToken | None:
    from versionsync.simulator.http.control import ControlToken

    if secret is None:
        return None
    try:
        return ControlToken(secret)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=f"--control-token or {CONTROL_TOKEN_VARIABLE}") from None


def _warn_if_reachable(session: CliContext, host: str, *, has_token: bool) -> None:
    """Warn what other machines can do if they can reach *host*."""
    from versionsync.simulator.http.control import is_loopback

    if is_loopback(host):
        return
    who = "other machines need the control token" if has_token else "no other machine can use them"
    session.output.warning(
        f"--host {host}: each machine that reaches this one can read and change the simulated projects, for their "
        "tokens are no secret, and can let this machine call any address, by a webhook. The control endpoints "
        f"(/_simulator/) answer programs on this machine; {who}."
    )


def _limits(rate_limit: str) -> RateLimit | None:
    from versionsync.simulator import RateLimit

    if rate_limit == "none":
        return None
    if not rate_limit.isdecimal() or not int(rate_limit):
        raise typer.BadParameter('a whole number, 1 or more, or "none"', param_hint="--rate-limit")
    return RateLimit(int(rate_limit))


def _report_action(session: CliContext, world: World, action: str, *, projects: int) -> None:
    """Print an action of a live editor: its time, its project if there are several, and its description."""
    where = f"  {world.name}" if projects > 1 else ""
    session.output.note(f"{world.now():%H:%M:%S}{where}  {action}")


def _report(session: CliContext, running: Simulator, *, live: bool, is_copy: bool) -> None:
    """Print the address and how to use it. A program reads this to know that the simulator is ready."""
    output = session.output
    projects = [project.world for project in running.server.projects]
    first = projects[0]
    records = sum(len(world.primary.records) for world in projects)
    versions = sum(len(record.versions) for world in projects for record in world.primary.records.values())
    if output.as_json:
        listed = [{"id": world.project_id, "name": world.name, "token": world.token} for world in projects]
        output.json(
            {"url": running.url, "token": first.token, "records": records, "versions": versions, "projects": listed}
        )
        return
    what = first.name if len(projects) == 1 else count(len(projects), "project")
    output.plain_line(f"{what}: {count(records, 'record')}, {count(versions, 'version')}.")
    output.plain_line(f"It answers at {running.url}; Ctrl-C ends it. In another terminal:")
    output.plain_line()
    output.plain_line(f"  export DATOCMS_API_TOKEN={first.token}")
    output.plain_line(f"  export VERSIONSYNC_BASE_URL={running.url}")
    if is_copy:
        output.plain_line("  export VERSIONSYNC_DATABASE_URL=sqlite:///copy.db   # not the original's")
    output.plain_line("  versionsync sync")
    if live:
        output.plain_line("  versionsync run                # in a third: versionsync events --follow")
    if len(projects) > 1:
        output.plain_line()
        others = projects[1].token if len(projects) == 2 else f"{projects[1].token} to {projects[-1].token}"
        output.plain_line("This is the token of the first project. Those of the others are")
        output.plain_line(f"{others}.")
    if live and session.options.verbose:
        output.plain_line()
    sys.stdout.flush()
