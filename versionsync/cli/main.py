"""The command line as a whole: its commands, their shared options, and how an error is reported."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from versionsync import __version__
from versionsync.cli.commands import db, service, webhook
from versionsync.cli.commands.as_of import as_of
from versionsync.cli.commands.blame import blame
from versionsync.cli.commands.changes import changes
from versionsync.cli.commands.deleted import deleted
from versionsync.cli.commands.demo import demo
from versionsync.cli.commands.diff import diff
from versionsync.cli.commands.doctor import doctor
from versionsync.cli.commands.erase import erase
from versionsync.cli.commands.events import events
from versionsync.cli.commands.export import export
from versionsync.cli.commands.grep import grep
from versionsync.cli.commands.health import health
from versionsync.cli.commands.init import init
from versionsync.cli.commands.log import log
from versionsync.cli.commands.pending import pending
from versionsync.cli.commands.restore import restore
from versionsync.cli.commands.run import run as run_daemon
from versionsync.cli.commands.show import show
from versionsync.cli.commands.simulator import simulator
from versionsync.cli.commands.sql import sql
from versionsync.cli.commands.status import status
from versionsync.cli.commands.sync import sync
from versionsync.cli.commands.usage import usage
from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import OUTPUT, ExitCode, error_report
from versionsync.cli.options import CommandGroup, add_command, flag, shared_options
from versionsync.cli.terminal.output import to_json
from versionsync.cli.terminal.streams import discard_output
from versionsync.text import printable_lines

__all__ = ["app", "run"]

PROGRAM: Final = "versionsync"
EXAMPLES: Final = """\
# See what it does, on a simulated site. You need no account.
versionsync demo

# Set it up for your own project, step by step.
versionsync init

# Copy the whole history. Later runs read only what changed.
versionsync sync
"""

app = typer.Typer(
    name=PROGRAM,
    cls=CommandGroup,
    help="Keep every version of every DatoCMS record in your own database, with an event for each change.",
    epilog=EXAMPLES,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _root(
    session: CliContext,
    *,
    version: Annotated[bool, flag("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        session.output.plain_line(f"{PROGRAM} {__version__}")
        raise typer.Exit


app.callback(invoke_without_command=True)(shared_options(_root))
for command in (
    init,
    doctor,
    demo,
    sync,
    run_daemon,
    status,
    health,
    log,
    show,
    diff,
    blame,
    usage,
    grep,
    changes,
    pending,
    as_of,
    deleted,
    events,
    export,
    restore,
    sql,
    erase,
):
    add_command(app, command)
app.add_typer(webhook.app, name="webhook")
app.add_typer(service.app, name="service")
app.add_typer(db.app, name="db")
add_command(app, simulator)


def run(argv: Sequence[str], session: CliContext) -> ExitCode:
    """Run one command line and return its exit code. An error is written to standard error, never raised."""
    for argument in argv:  # an error may repeat a refused or mistyped argument
        session.redactor.learn_url(argument)
    try:
        command = typer.main.get_command(app)
        code = command.main(args=list(argv) or ["--help"], prog_name=PROGRAM, standalone_mode=False, obj=session)
    except SystemExit as ended:
        # Typer exits by itself for completion, and when a reader such as `| head` has enough.
        return session.verdict if isinstance(ended.__context__, BrokenPipeError) else ExitCode(int(ended.code or 0))
    except BaseException as error:  # no error may show people a traceback
        return _report(error, argv, session)
    return ExitCode(code or 0)


def _report(error: BaseException, argv: Sequence[str], session: CliContext) -> ExitCode:
    # The command line itself may be wrong, and its options unread.
    if "--debug" in argv:
        trace = session.redactor.redact("".join(traceback.format_exception(error)))
        sys.stderr.write(printable_lines(trace, indent="    ") + "\n")
    problem = error_report(error).redacted(session.redactor.redact)
    if problem.kind == OUTPUT:
        discard_output()
    if "--json" in argv:
        sys.stderr.write(to_json({"error": problem.to_fields()}) + "\n")
    elif problem.exit is ExitCode.INTERRUPTED:
        session.output.note("")  # the terminal has written ^C
        session.output.note("Interrupted.")
    elif problem.message:  # a group without a command has shown its help already
        session.output.error(problem.message, problem.hint)
    return problem.exit
