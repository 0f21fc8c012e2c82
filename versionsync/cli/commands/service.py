"""`versionsync service`: installs, shows and removes the service of systemd, and shows first what it will do."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from versionsync import __version__
from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode
from versionsync.cli.options import CommandGroup, add_command, flag

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from versionsync.cli.checks.service import ServiceSettings
    from versionsync.systemd.plan import Files, Installation, Paths, Plan
    from versionsync.systemd.state import UnitStatus
    from versionsync.systemd.systemctl import Systemd
    from versionsync.systemd.units import UnitOptions

__all__ = ["app"]

app = typer.Typer(
    cls=CommandGroup, help="The service: systemd starts it, watches it, and starts it again.", no_args_is_help=True
)

User = Annotated[bool, flag("--user", help="A service of your own user, instead of the machine's.")]
Name = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="One of several services, each with settings of its own: NAME.toml."),
]
Timer = Annotated[bool, flag("--timer", help="A sync every quarter of an hour, instead of a daemon.")]
DryRun = Annotated[bool, flag("--dry-run", help="Show what would be done, new files in full, and do nothing.")]
Yes = Annotated[bool, flag("-y", "--yes", help="Do it without asking.")]


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
    """Install the service, start it, and see that it runs; or bring one that is there to this version.

    Shows first what it will do: files, how they differ from what is there, commands. The settings must be there
    already, and the files with the secrets that they name. Unit files that somebody has changed are kept, and nothing
    is done, unless --force says otherwise.

    Ends with code 3 where it is installed and does not run.
    """
    from versionsync.cli.checks.service import check_service
    from versionsync.systemd.host import execute, paths, read
    from versionsync.systemd.plan import Activity, files_of
    from versionsync.systemd.program import program_path
    from versionsync.systemd.state import activity_of, watch_start
    from versionsync.systemd.systemctl import Systemd

    form, systemd = _unit_options(user, name, timer), Systemd(user=user)
    _require_root(form, dry_run=dry_run)
    is_there = _is_there(systemd, must=not dry_run)
    places = paths(form, session.environ, systemd=systemd.version)
    program = program_path(form)
    checked = check_service(session, form, places, reads_secrets=user or os.geteuid() == 0)
    installation = _installation(form, program, places, checked.asked)
    plan = installation.plan(
        files_of(installation, read),
        force=force,
        activity=activity_of(systemd, form) if is_there else Activity.STOPPED,
        enabled=is_there and systemd.is_enabled(form.enabled),
        settings_mode=checked.settings_mode,
    )
    _show(session, plan, whole=dry_run, done=f"{form.service} is installed, and as it should be.")
    _refuse_changed(plan)
    if dry_run:
        return _report(session, form, plan, None)
    _confirm(session, plan, yes=yes)
    execute(plan, systemd)
    return _report(session, form, plan, watch_start(systemd, form))


def uninstall(
    session: CliContext,
    *,
    user: User = False,
    name: Name = None,
    timer: Timer = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    force: Annotated[bool, flag("--force", help="Remove unit files that were changed by hand, too.")] = False,
) -> None:
    """Stop the service and remove its unit files. What is mirrored, the settings and the secrets stay.

    Shows first what it will do. Unit files that somebody has changed are kept, and nothing is done, unless --force says
    otherwise.
    """
    from versionsync.systemd.host import execute
    from versionsync.systemd.plan import removal
    from versionsync.systemd.state import others_of
    from versionsync.systemd.systemctl import Systemd

    form, systemd = _unit_options(user, name, timer), Systemd(user=user)
    _require_root(form, dry_run=dry_run)
    if not dry_run:
        systemd.require()
    installation, files = _found(session, form, systemd)
    others = others_of(form, installation.paths, systemd)
    plan = removal(form, files, force=force, shared=bool(others))
    _show(session, plan, whole=dry_run, done=f"{form.service} is not installed.")
    _refuse_changed(plan)
    if not dry_run:
        _confirm(session, plan, yes=yes)
        execute(plan, systemd)
    settings = installation.paths.settings / form.settings
    if session.output.as_json:
        kept = {"settings": str(settings), "state": str(installation.paths.state)}
        session.output.json(_fields(form, plan) | {"done": not dry_run, "kept": kept})
        return
    session.output.plain_line("Nothing was done." if dry_run else "Done." if plan.steps else "There was nothing to do.")
    if others:
        session.output.plain_line(f"The template stays: it is also that of {', '.join(others)}.")
    session.output.plain_line(
        f"Kept: {settings}, the secrets beside it, and {installation.paths.state} with what is mirrored."
    )


def status(session: CliContext, *, user: User = False, name: Name = None, timer: Timer = False) -> None:
    """Show whether the service is installed, enabled and running, since when, and whether its unit is this version's.

    Ends with code 3 where something of that needs attention.
    """
    from versionsync.cli.views.service import read_status, show
    from versionsync.systemd.systemctl import Systemd

    form, systemd = _unit_options(user, name, timer), Systemd(user=user)
    systemd.require()
    installation, files = _found(session, form, systemd)
    seen = read_status(installation, files, systemd)
    if session.output.as_json:
        session.output.json(seen.fields())
    else:
        show(session.output, seen)
    if seen.attention:
        raise typer.Exit(ExitCode.PARTIAL)


def _unit_options(user: bool, name: str | None, timer: bool) -> UnitOptions:
    from versionsync.systemd.host import check_instance
    from versionsync.systemd.units import UnitOptions

    if name is not None:
        check_instance(name)
    return UnitOptions(user=user, timer=timer, instance=name)


def _require_root(form: UnitOptions, *, dry_run: bool) -> None:
    from versionsync.systemd.errors import NotRoot

    if not form.user and not dry_run and os.geteuid() != 0:
        raise NotRoot(
            "only root may change the machine's services",
            hint="Run it with sudo; or --user for a service of your own; --dry-run shows what would be done.",
        )


def _is_there(systemd: Systemd, *, must: bool) -> bool:
    """Whether there is a systemd that answers. Raises NoSystemd where there `must` be one."""
    from versionsync.systemd.errors import NoSystemd

    try:
        systemd.require()
    except NoSystemd:
        if must:
            raise
        return False
    return True


def _found(session: CliContext, form: UnitOptions, systemd: Systemd) -> tuple[Installation, Files]:
    """What is installed, and how it stands to what this version would install for the program and settings there."""
    from versionsync.cli.checks.service import service_settings
    from versionsync.systemd.host import paths, read
    from versionsync.systemd.plan import files_of
    from versionsync.systemd.program import installed_program

    places = paths(form, session.environ, systemd=systemd.version)
    program = installed_program(form, places, read)
    installation = _installation(form, program, places, service_settings(form, places))
    return installation, files_of(installation, read)


def _installation(form: UnitOptions, program: PurePosixPath, places: Paths, asked: ServiceSettings) -> Installation:
    from zipfile import is_zipfile

    from versionsync.systemd.plan import Installation

    return Installation(
        options=form,
        program=program,
        paths=places,
        credentials=asked.credentials,
        address=asked.address,
        is_single_file=is_zipfile(program),
        version=__version__,
    )


def _show(session: CliContext, plan: Plan, *, whole: bool, done: str) -> None:
    if session.output.as_json:
        return
    if not plan.steps and not plan.conflicts:
        session.output.plain_line(done)
    for line in plan.lines(whole=whole):
        session.output.plain_line(line)
    for write in plan.conflicts:
        session.output.plain_line(f"keep    {write.path}, which was changed by hand:")
        for line in write.differences():
            session.output.plain_line(f"        {line}")


def _refuse_changed(plan: Plan) -> None:
    from versionsync.systemd.errors import ModifiedUnit

    if plan.conflicts:
        paths = ", ".join(str(write.path) for write in plan.conflicts)
        raise ModifiedUnit(
            f"nothing was done: changed by hand, or not installed by versionsync: {paths}",
            hint="Put your changes into a drop-in (`systemctl edit UNIT`), which every version leaves alone; then "
            "--force.",
        )


def _confirm(session: CliContext, plan: Plan, *, yes: bool) -> None:
    """Ask whether it shall be done; a no ends the command. Raises Unconfirmed where there is nobody to ask."""
    from versionsync.systemd.errors import ConfirmationRequired

    if yes or not plan.steps:
        return
    if session.output.as_json or not sys.stdin.isatty():
        raise ConfirmationRequired("nothing was done: nobody is there to ask", hint="--yes does it without asking.")
    if not typer.confirm("Shall this be done?", err=True):
        session.output.plain_line("Nothing was done.")
        raise typer.Exit(ExitCode.OK)


def _report(session: CliContext, form: UnitOptions, plan: Plan, running: UnitStatus | None) -> None:
    if session.output.as_json:
        told: dict[str, Any] = {"done": running is not None}
        if running is not None:
            told |= {"ready": running.is_ready, "status": running.status}
        session.output.json(_fields(form, plan) | told)
        return
    if running is None:
        session.output.plain_line("Nothing was done.")
    elif form.timer:
        session.output.plain_line(f"Done: {form.starter} is active, and the first sync has begun.")
    else:
        state = "is up" if running.is_ready else "has begun its first look, which may take a while"
        session.output.plain_line(f"{form.service} {state}: {running.status or 'no status yet'}")
    if running is not None:
        user = " --user" if form.user else ""
        name = f" --name {form.instance}" if form.instance else ""
        session.output.plain_line(f"Its log:          journalctl{user} --unit={form.service}")
        session.output.plain_line(
            f"How it stands:    versionsync service status{user}{name}{' --timer' if form.timer else ''}"
        )


def _fields(form: UnitOptions, plan: Plan) -> dict[str, Any]:
    from versionsync.systemd.plan import Write

    steps = [" ".join(next(step.lines()).split()) for step in plan.steps]
    files = {str(step.path): step.text for step in plan.steps if isinstance(step, Write)}
    return {"service": form.service, "steps": steps, "files": files}


for verb in (install, status, uninstall):
    add_command(app, verb)
