"""`versionsync service`: installs, shows and removes the service of systemd, and shows first what it will do."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from versionsync import __version__
from versionsync.cli.context import Session
from versionsync.cli.exit_codes import Exit
from versionsync.cli.options import Verbs, add_verb, flag

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from versionsync.cli.checks.service import Asked
    from versionsync.systemd.plan import Files, Installation, Places, Plan
    from versionsync.systemd.state import Running
    from versionsync.systemd.systemctl import Systemd
    from versionsync.systemd.units import Form

__all__ = ["app"]

app = typer.Typer(
    cls=Verbs, help="The service: systemd starts it, watches it, and starts it again.", no_args_is_help=True
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
    session: Session,
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
    from versionsync.systemd.host import carry_out, places_of, read
    from versionsync.systemd.plan import Activity, files_of
    from versionsync.systemd.program import program_path
    from versionsync.systemd.state import activity_of, watch_start
    from versionsync.systemd.systemctl import Systemd

    form, systemd = _form(user, name, timer), Systemd(user=user)
    _require_root(form, dry_run=dry_run)
    is_there = _is_there(systemd, must=not dry_run)
    places = places_of(form, session.environ, systemd=systemd.version)
    program = program_path(form)
    checked = check_service(session, form, places, reads_secrets=user or os.geteuid() == 0)
    installation = _installation(form, program, places, checked.asked)
    plan = installation.plan(
        files_of(installation, read),
        force=force,
        activity=activity_of(systemd, form) if is_there else Activity.RESTS,
        enabled=is_there and systemd.is_enabled(form.enabled),
        settings_mode=checked.settings_mode,
    )
    _show(session, plan, whole=dry_run, done=f"{form.service} is installed, and as it should be.")
    _refuse_changed(plan)
    if dry_run:
        return _tell(session, form, plan, None)
    _confirm(session, plan, yes=yes)
    carry_out(plan, systemd)
    return _tell(session, form, plan, watch_start(systemd, form))


def uninstall(
    session: Session,
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
    from versionsync.systemd.host import carry_out
    from versionsync.systemd.plan import removal
    from versionsync.systemd.state import others_of
    from versionsync.systemd.systemctl import Systemd

    form, systemd = _form(user, name, timer), Systemd(user=user)
    _require_root(form, dry_run=dry_run)
    if not dry_run:
        systemd.require()
    installation, files = _found(session, form, systemd)
    others = others_of(form, installation.places, systemd)
    plan = removal(form, files, force=force, shared=bool(others))
    _show(session, plan, whole=dry_run, done=f"{form.service} is not installed.")
    _refuse_changed(plan)
    if not dry_run:
        _confirm(session, plan, yes=yes)
        carry_out(plan, systemd)
    settings = installation.places.settings / form.settings
    if session.output.as_json:
        kept = {"settings": str(settings), "state": str(installation.places.state)}
        session.output.json(_fields(form, plan) | {"done": not dry_run, "kept": kept})
        return
    session.output.line("Nothing was done." if dry_run else "Done." if plan.steps else "There was nothing to do.")
    if others:
        session.output.line(f"The template stays: it is also that of {', '.join(others)}.")
    session.output.line(
        f"Kept: {settings}, the secrets beside it, and {installation.places.state} with what is mirrored."
    )


def status(session: Session, *, user: User = False, name: Name = None, timer: Timer = False) -> None:
    """Show whether the service is installed, enabled and running, since when, and whether its unit is this version's.

    Ends with code 3 where something of that needs attention.
    """
    from versionsync.cli.views.service import look, show
    from versionsync.systemd.systemctl import Systemd

    form, systemd = _form(user, name, timer), Systemd(user=user)
    systemd.require()
    installation, files = _found(session, form, systemd)
    seen = look(installation, files, systemd)
    if session.output.as_json:
        session.output.json(seen.fields())
    else:
        show(session.output, seen)
    if seen.attention:
        raise typer.Exit(Exit.PARTIAL)


def _form(user: bool, name: str | None, timer: bool) -> Form:
    from versionsync.systemd.host import check_instance
    from versionsync.systemd.units import Form

    if name is not None:
        check_instance(name)
    return Form(user=user, timer=timer, instance=name)


def _require_root(form: Form, *, dry_run: bool) -> None:
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


def _found(session: Session, form: Form, systemd: Systemd) -> tuple[Installation, Files]:
    """What is installed, and how it stands to what this version would install for the program and settings there."""
    from versionsync.cli.checks.service import asked_by_settings
    from versionsync.systemd.host import places_of, read
    from versionsync.systemd.plan import files_of
    from versionsync.systemd.program import installed_program

    places = places_of(form, session.environ, systemd=systemd.version)
    program = installed_program(form, places, read)
    installation = _installation(form, program, places, asked_by_settings(form, places))
    return installation, files_of(installation, read)


def _installation(form: Form, program: PurePosixPath, places: Places, asked: Asked) -> Installation:
    from zipfile import is_zipfile

    from versionsync.systemd.plan import Installation

    return Installation(
        form=form,
        program=program,
        places=places,
        credentials=asked.credentials,
        address=asked.address,
        is_single_file=is_zipfile(program),
        version=__version__,
    )


def _show(session: Session, plan: Plan, *, whole: bool, done: str) -> None:
    if session.output.as_json:
        return
    if not plan.steps and not plan.in_the_way:
        session.output.line(done)
    for line in plan.lines(whole=whole):
        session.output.line(line)
    for write in plan.in_the_way:
        session.output.line(f"keep    {write.path}, which was changed by hand:")
        for line in write.differences():
            session.output.line(f"        {line}")


def _refuse_changed(plan: Plan) -> None:
    from versionsync.systemd.errors import ChangedByHand

    if plan.in_the_way:
        paths = ", ".join(str(write.path) for write in plan.in_the_way)
        raise ChangedByHand(
            f"nothing was done: changed by hand, or not installed by versionsync: {paths}",
            hint="Put your changes into a drop-in (`systemctl edit UNIT`), which every version leaves alone; then "
            "--force.",
        )


def _confirm(session: Session, plan: Plan, *, yes: bool) -> None:
    """Ask whether it shall be done; a no ends the command. Raises Unconfirmed where there is nobody to ask."""
    from versionsync.systemd.errors import Unconfirmed

    if yes or not plan.steps:
        return
    if session.output.as_json or not sys.stdin.isatty():
        raise Unconfirmed("nothing was done: nobody is there to ask", hint="--yes does it without asking.")
    if not typer.confirm("Shall this be done?", err=True):
        session.output.line("Nothing was done.")
        raise typer.Exit(Exit.DONE)


def _tell(session: Session, form: Form, plan: Plan, running: Running | None) -> None:
    if session.output.as_json:
        told: dict[str, Any] = {"done": running is not None}
        if running is not None:
            told |= {"ready": running.is_ready, "status": running.status}
        session.output.json(_fields(form, plan) | told)
        return
    if running is None:
        session.output.line("Nothing was done.")
    elif form.timer:
        session.output.line(f"Done: {form.starter} is active, and the first sync has begun.")
    else:
        state = "is up" if running.is_ready else "has begun its first look, which may take a while"
        session.output.line(f"{form.service} {state}: {running.status or 'no status yet'}")
    if running is not None:
        user = " --user" if form.user else ""
        name = f" --name {form.instance}" if form.instance else ""
        session.output.line(f"Its log:          journalctl{user} --unit={form.service}")
        session.output.line(
            f"How it stands:    versionsync service status{user}{name}{' --timer' if form.timer else ''}"
        )


def _fields(form: Form, plan: Plan) -> dict[str, Any]:
    from versionsync.systemd.plan import Write

    steps = [" ".join(next(step.lines()).split()) for step in plan.steps]
    files = {str(step.path): step.text for step in plan.steps if isinstance(step, Write)}
    return {"service": form.service, "steps": steps, "files": files}


for verb in (install, status, uninstall):
    add_verb(app, verb)
