"""`versionsync service`: install, check and remove the systemd service. It shows first what it will do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from versionsync import __version__
from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ErrorReport, ExitCode, error_report, most_severe
from versionsync.cli.options import CommandGroup, add_command, flag, option
from versionsync.systemd.errors import ConfirmationRequired, ModifiedUnit, NotRoot, ServiceError
from versionsync.systemd.host import check_instance, execute, find_paths, installed_program, program_path, read
from versionsync.systemd.plan import Activity, Files, Installation, Paths, Plan, Write, files_of, removal
from versionsync.systemd.state import UnitStatus, activity_of, others_of, watch_start
from versionsync.systemd.systemctl import Systemd
from versionsync.systemd.units import DEFAULT_PROGRAM, UnitOptions

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from versionsync.cli.checks.service import ServiceSettings

__all__ = ["app"]

EXAMPLES: Final = """\
# Show what an installation would do, and what is in the way.
versionsync service install --dry-run

# Check the installed service.
versionsync service status
"""

app = typer.Typer(
    cls=CommandGroup,
    help="Install, check or remove the systemd service that runs the daemon.",
    epilog=EXAMPLES,
    no_args_is_help=True,
)

User = Annotated[bool, flag("--user", help="A service of your own user, instead of a system service.")]
Name = Annotated[
    str | None, option("--name", "NAME", "One of several services, each with its own settings in NAME.toml.")
]
Timer = Annotated[bool, flag("--timer", help="A sync every 15 minutes, instead of a daemon.")]
DryRun = Annotated[bool, flag("--dry-run", help="Show the plan in full, and what prevents it. Change nothing.")]
Yes = Annotated[bool, flag("-y", "--yes", help="Do not ask for confirmation.")]


def install(
    session: CliContext,
    *,
    user: User = False,
    name: Name = None,
    timer: Timer = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    force: Annotated[bool, flag("--force", help="Overwrite unit files that were changed by hand.")] = False,
) -> None:
    """Install the service, start it, and check that it runs. Or update an installed one to this version.

    It shows the plan first: the files, how they differ from the present ones, and the commands. The settings and the
    files with the secrets must exist; `versionsync init --config` writes them. If you have changed a unit file by hand,
    nothing happens without --force.

    The exit code is 3 if the service is installed but does not run.

    Examples:
        # Show the plan, and what is in the way.
        versionsync service install --dry-run

        # Install and start it.
        sudo versionsync service install

        # A second service, with the settings in /etc/versionsync/shop.toml.
        sudo versionsync service install --name shop
    """
    from versionsync.cli.checks.service import check_service, service_settings

    options, systemd = _unit_options(user, name, timer), Systemd(user=user)
    obstacles = _Obstacles(options, systemd, dry_run=dry_run)
    paths = find_paths(options, session.environ, systemd=systemd.version)
    program = DEFAULT_PROGRAM
    with obstacles.of_the_plan():
        program = program_path(options)
    for problem in check_service(session, options, paths, reads_secrets=user or os.geteuid() == 0):
        with obstacles.of_the_plan():
            raise problem
    settings = service_settings(options, paths)
    installation = _installation(options, program, paths, settings)
    plan = installation.plan(
        files_of(installation, read),
        force=force,
        activity=activity_of(systemd, options) if obstacles.has_systemd else Activity.STOPPED,
        enabled=obstacles.has_systemd and systemd.is_enabled(options.enabled),
        settings_mode=settings.mode,
    )
    _show(session, plan, in_full=dry_run, nothing=f"{options.service} is installed and up to date.")
    with obstacles.of_the_plan():
        _check_unmodified(plan)
    if dry_run:
        _finish_dry_run(session, options, plan, obstacles, {})
        return
    _confirm(session, plan, yes=yes)
    execute(plan, systemd)
    _report(session, options, plan, watch_start(systemd, options))


def uninstall(
    session: CliContext,
    *,
    user: User = False,
    name: Name = None,
    timer: Timer = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    force: Annotated[bool, flag("--force", help="Also remove unit files that were changed by hand.")] = False,
) -> None:
    """Stop the service and remove its unit files. The mirror, the settings and the secrets stay.

    It shows the plan first. If you have changed a unit file by hand, nothing happens without --force.

    Examples:
        # Show what would be removed.
        versionsync service uninstall --dry-run

        # Remove the service.
        sudo versionsync service uninstall
    """
    options, systemd = _unit_options(user, name, timer), Systemd(user=user)
    obstacles = _Obstacles(options, systemd, dry_run=dry_run)
    installation, files = _found(session, options, systemd)
    others = others_of(options, installation.paths, systemd)
    plan = removal(options, files, force=force, shared=bool(others))
    settings, state = installation.paths.settings / options.settings, installation.paths.state
    kept = {"kept": {"settings": str(settings), "state": str(state)}}
    _show(session, plan, in_full=dry_run, nothing=f"{options.service} is not installed.")
    with obstacles.of_the_plan():
        _check_unmodified(plan)
    if dry_run:
        _finish_dry_run(session, options, plan, obstacles, kept)
    else:
        _confirm(session, plan, yes=yes)
        execute(plan, systemd)
        if session.output.as_json:
            session.output.json(_fields(options, plan) | {"done": True} | kept)
        else:
            session.output.plain_line("Done." if plan.steps else "There was nothing to do.")
    if not session.output.as_json:
        if others:
            session.output.plain_line(f"The template stays, because {', '.join(others)} needs it, too.")
        session.output.plain_line(f"Kept: {settings}, the secrets beside it, and the mirror in {state}.")


def status(session: CliContext, *, user: User = False, name: Name = None, timer: Timer = False) -> None:
    """Show whether the service is installed, enabled and running, and whether its units are up to date.

    The exit code is 3 if something needs attention.

    Examples:
        # The system service.
        versionsync service status

        # The service with the settings in shop.toml.
        versionsync service status --name shop
    """
    from versionsync.cli.views.service import read_status, show

    options, systemd = _unit_options(user, name, timer), Systemd(user=user)
    systemd.require()
    installation, files = _found(session, options, systemd)
    seen = read_status(installation, files, systemd)
    if session.output.as_json:
        session.output.json(seen.to_fields())
    else:
        show(session.output, seen)
    if seen.attention:
        raise typer.Exit(ExitCode.PARTIAL)


class _Obstacles:
    """What prevents an installation or a removal. The first obstacle ends the command; a dry run collects them all."""

    def __init__(self, options: UnitOptions, systemd: Systemd, *, dry_run: bool) -> None:
        """Check first whether this user and this machine can have the service at all."""
        self._dry_run = dry_run
        self.found: list[ErrorReport] = []
        self.exit = ExitCode.OK
        self.has_systemd = False
        with self._of_this_host():
            _require_root(options)
        with self._of_this_host():
            systemd.require()
            self.has_systemd = True

    @contextmanager
    def of_the_plan(self) -> Iterator[None]:
        """Collect an error that a dry run exits with, too."""
        try:
            yield
        except Exception as error:
            if not self._dry_run or (report := error_report(error)).exit is ExitCode.UNEXPECTED:
                raise
            self.found.append(report)
            self.exit = most_severe([self.exit, report.exit])

    @contextmanager
    def _of_this_host(self) -> Iterator[None]:
        """Collect an error of this machine or user. A dry run succeeds: you may plan for another."""
        try:
            yield
        except ServiceError as error:
            if not self._dry_run:
                raise
            self.found.append(error_report(error))


def _finish_dry_run(
    session: CliContext, options: UnitOptions, plan: Plan, obstacles: _Obstacles, more: dict[str, Any]
) -> None:
    """Report what prevents the plan. End with the exit code of a real run if the plan itself is refused."""
    output, redact = session.output, session.redactor.redact
    found = [report.redacted(redact) for report in obstacles.found]
    if output.as_json:
        blockers = [report.to_fields() for report in found]
        output.json(_fields(options, plan) | {"done": False, "blockers": blockers} | more)
    else:
        if found:
            output.plain_line()
            output.plain_line("In the way:", style="bold")
        for report in found:
            output.paragraph((output.symbol(False), "bold red"), f" {report.message}", hang=2)
            output.paragraph(f"  {report.hint}", hang=2)
        output.plain_line("Nothing was done.")
    if obstacles.exit is not ExitCode.OK:
        raise typer.Exit(obstacles.exit)


def _unit_options(user: bool, name: str | None, timer: bool) -> UnitOptions:

    if name is not None:
        check_instance(name)
    return UnitOptions(user=user, timer=timer, instance=name)


def _require_root(options: UnitOptions) -> None:

    if not options.user and os.geteuid() != 0:
        raise NotRoot(
            "only root may change the machine's services",
            hint="Use sudo, or install a service of your own user: --user.",
        )


def _found(session: CliContext, options: UnitOptions, systemd: Systemd) -> tuple[Installation, Files]:
    """Return what this version would install for the installed program, and the files as they are."""
    from versionsync.cli.checks.service import service_settings

    paths = find_paths(options, session.environ, systemd=systemd.version)
    program = installed_program(options, paths, read)
    installation = _installation(options, program, paths, service_settings(options, paths))
    return installation, files_of(installation, read)


def _installation(
    options: UnitOptions, program: PurePosixPath, paths: Paths, settings: ServiceSettings
) -> Installation:
    from zipfile import is_zipfile

    return Installation(
        options=options,
        program=program,
        paths=paths,
        credentials=settings.credentials,
        address=settings.address,
        is_single_file=is_zipfile(program),
        version=__version__,
    )


def _show(session: CliContext, plan: Plan, *, in_full: bool, nothing: str) -> None:
    if session.output.as_json:
        return
    if not plan.steps and not plan.conflicts:
        session.output.plain_line(nothing)
    for line in plan.lines(in_full=in_full):
        session.output.plain_line(line)


def _check_unmodified(plan: Plan) -> None:

    if plan.conflicts:
        paths = ", ".join(str(write.path) for write in plan.conflicts)
        raise ModifiedUnit(
            f"nothing was done: changed by hand, or not installed by versionsync: {paths}",
            hint="Move your changes into a drop-in (`systemctl edit UNIT`), which stays as it is. Then use --force.",
        )


def _confirm(session: CliContext, plan: Plan, *, yes: bool) -> None:
    """Ask whether to execute the plan. A no ends the command."""
    if yes or not plan.steps:
        return
    if session.output.as_json or not sys.stdin.isatty():
        raise ConfirmationRequired("nothing was done: there is no terminal to ask on", hint="Use --yes.")
    if not typer.confirm("Do this?", err=True):
        session.output.plain_line("Nothing was done.")
        raise typer.Exit(ExitCode.OK)


def _report(session: CliContext, options: UnitOptions, plan: Plan, running: UnitStatus) -> None:
    output = session.output
    if output.as_json:
        result = {"done": True, "ready": running.is_ready, "status": running.status}
        output.json(_fields(options, plan) | result)
        return
    if options.timer:
        output.plain_line(f"Done: {options.starter} is active, and the first sync has begun.")
    else:
        state = "is up" if running.is_ready else "has begun its first run, which may take a while"
        output.plain_line(f"{options.service} {state}: {running.status or 'no status yet'}")
    user = " --user" if options.user else ""
    name = f" --name {options.instance}" if options.instance else ""
    output.plain_line(f"Its log:     journalctl{user} --unit={options.service}")
    output.plain_line(f"Its status:  versionsync service status{user}{name}{' --timer' if options.timer else ''}")


def _fields(options: UnitOptions, plan: Plan) -> dict[str, Any]:

    steps = [" ".join(next(step.lines()).split()) for step in plan.steps]
    files = {str(step.path): step.text for step in plan.steps if isinstance(step, Write)}
    return {"service": options.service, "steps": steps, "files": files}


for command in (install, status, uninstall):
    add_command(app, command)
