"""`versionsync db`: upgrade, check, locate, back up, copy and rebuild the database, and let others read it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode
from versionsync.cli.options import CommandGroup, add_command, flag, option
from versionsync.cli.terminal.output import Output
from versionsync.config import FileProblem, SecretProblem
from versionsync.private_files import write_whole
from versionsync.text import count, size

if TYPE_CHECKING:
    from versionsync.mirror.backup import CopyProgress
    from versionsync.mirror.copy import Copied
    from versionsync.mirror.copy import CopyProgress as RowsCopied
    from versionsync.mirror.database import Mirror

__all__ = ["app", "backup"]

READER: Final = "versionsync_reader"
PASSWORD_BYTES: Final = 24


def backup(
    session: CliContext,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.", show_default=False)],
    *,
    force: Annotated[bool, flag("--force", help="Replace FILE after the new copy was checked.")] = False,
) -> None:
    """Copy a SQLite mirror to FILE while it is in use, and check the copy.

    The copy is consistent. It gets the name FILE only after it was read to its end and compared. Only you can read it.
    To restore it, stop versionsync, put the copy in the database's place, and start versionsync. For PostgreSQL you
    get the pg_dump command to run instead, and exit code 2.

    Examples:
        # Make a backup.
        versionsync db backup website.db

        # Replace yesterday's.
        versionsync db backup --force website.db
    """
    from versionsync.mirror.backup import back_up

    began = time.monotonic()
    with _progress(session.output) as copied:
        made = back_up(session.database_url(), file, replace=force, copied=copied)
    seconds = time.monotonic() - began
    if session.output.as_json:
        session.output.json(
            {
                "file": str(made.path),
                "size_bytes": made.size_bytes,
                "schema": made.revision,
                "rows": made.rows,
                "seconds": round(seconds, 3),
            }
        )
        return
    versions, records, events = (made.rows.get(table, 0) for table in ("versions", "records", "events"))
    session.output.paragraph(
        f"The backup is {made.path}: {count(versions, 'version')} of {count(records, 'record')} and "
        f"{count(events, 'event')} at schema {made.revision}, {size(made.size_bytes)}. "
        f"It was read again and compared, in {seconds:.1f} s."
    )


SETTINGS: Final = "settings"


def copy(
    session: CliContext,
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="The mirror to copy: a file, a URL or `settings`.", show_default=False)
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TO", help="The empty database to fill: a file, a URL or `settings`.", show_default=False
        ),
    ],
    *,
    restart: Annotated[bool, flag("--restart", help="Empty a copy that was stopped, and begin again.")] = False,
    verify_only: Annotated[bool, flag("--verify-only", help="Only compare FROM and TO.")] = False,
) -> None:
    """Copy the whole mirror into another database: from SQLite to PostgreSQL, back, or to another one of a kind.

    Stop versionsync first. Everything is copied: the history, the ids of events and runs, and the state of the daemon.
    Afterwards TO is read again and compared with FROM, row by row. Differences have exit code 8. FROM is only read.

    If the command is stopped, run it again: it continues. Until it has succeeded, no other command uses TO.

    FROM and TO are SQLite files or database URLs. The word `settings` stands for the database of the settings. A URL
    with a password belongs there, or into a PostgreSQL password file: others can read the command line.

    Examples:
        # Move the mirror of the settings to PostgreSQL.
        versionsync db copy settings postgresql://me@localhost/website

        # Copy a mirror into a file that does not exist yet.
        versionsync db copy settings website.db
    """
    from versionsync.mirror.copy import compare_mirrors, copy_mirror
    from versionsync.mirror.engine.sqlalchemy_urls import safe_url

    if restart and verify_only:
        raise typer.BadParameter("--verify-only copies nothing, so there is nothing to begin again")
    one, other = _named_database(session, source, "FROM"), _named_database(session, target, "TO")
    began = time.monotonic()
    try:
        with _copying(session.output) as progress:
            if verify_only:
                copied = compare_mirrors(one, other, progress=progress)
            else:
                copied = copy_mirror(one, other, restart=restart, progress=progress)
    except KeyboardInterrupt:
        if not verify_only:
            session.output.note("What is copied is kept: run the same command again to continue.")
        raise
    seconds = time.monotonic() - began
    _show_copied(session.output, copied, (safe_url(one), safe_url(other)), seconds=seconds, verify_only=verify_only)
    if copied.differences:
        raise typer.Exit(ExitCode.DIFFERENCES)


def _named_database(session: CliContext, name: str, argument: str) -> str:
    """Return the URL of FROM or TO. Raises a ConfigError, for a password too."""
    from versionsync.config.loading import check_command_line

    if name == SETTINGS:
        return session.database_url()
    check_command_line(name, where=argument)
    return name


def _show_copied(output: Output, copied: Copied, where: tuple[str, str], *, seconds: float, verify_only: bool) -> None:
    rows = sum(table.source.rows for table in copied.tables)
    damaged = sum(table.source.damaged for table in copied.tables)
    if output.as_json:
        output.json(
            {
                "from": where[0],
                "to": where[1],
                "copied": not verify_only,
                "resumed": copied.resumed,
                "is_same": not copied.differences,
                "rows": {table.name: table.source.rows for table in copied.tables},
                "hashes": {table.name: table.source.hex for table in copied.tables},
                "differences": [
                    {
                        "table": table.name,
                        "rows": [table.source.rows, table.target.rows],
                        "hashes": [table.source.hex, table.target.hex],
                        "keys": table.different,
                    }
                    for table in copied.differences
                ],
                "damaged_contents": damaged,
                "seconds": round(seconds, 3),
            }
        )
        return
    for table in copied.differences:
        output.plain_line(
            f"{table.name}: {count(table.source.rows, 'row')} in FROM, {count(table.target.rows, 'row')} in TO. "
            f"Not the same: {', '.join(table.different) or 'unknown'}."
        )
    if damaged:
        output.warning(
            f"{count(damaged, 'content')} in {where[0]} {'does' if damaged == 1 else 'do'} not have the hash stored "
            "with it: was the database changed by hand?"
        )
    if copied.differences:
        end = "" if verify_only else " TO is not a mirror yet: run it again with --restart."
        output.paragraph(f"{where[0]} and {where[1]} differ.{end}")
        return
    by_name = {table.name: table.source.rows for table in copied.tables}
    versions, records, events = (by_name[name] for name in ("versions", "records", "events"))
    verb = "was compared with" if verify_only else "is copied to"
    output.paragraph(
        f"{where[0]} {verb} {where[1]}: {count(versions, 'version')} of {count(records, 'record')} and "
        f"{count(events, 'event')}. All {rows:,} rows are the same. "
        f"It took {seconds:.1f} s ({rows / max(seconds, 0.001):,.0f} rows/s)."
    )


@contextmanager
def _copying(output: Output) -> Iterator[RowsCopied | None]:
    """Show a progress bar on a terminal, with the rate and the time left."""
    if output.as_json or not output.notes.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    words, rate = TextColumn("[bold]{task.description}"), TextColumn("{task.fields[rate]}")
    with Progress(words, BarColumn(), rate, TimeRemainingColumn(), console=output.notes, transient=True) as bars:
        bar: TaskID | None = None
        phase, began, first = "", time.monotonic(), 0

        def copied(stage: str, done: int, of: int) -> None:
            nonlocal bar, phase, began, first
            if bar is None or stage.partition(" ")[0] != phase:
                if bar is not None:
                    bars.remove_task(bar)
                phase, began, first = stage.partition(" ")[0], time.monotonic(), done
                bar = bars.add_task(stage, total=of, completed=done, rate="")
            seconds = time.monotonic() - began
            rate = f"{(done - first) / seconds:,.0f} rows/s" if seconds > 0.5 and done > first else ""
            bars.update(bar, description=stage, completed=done, total=of, rate=rate)

        yield copied


@contextmanager
def _progress(output: Output) -> Iterator[CopyProgress | None]:
    """Show a progress bar on a terminal."""
    if output.as_json or not output.notes.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    words = TextColumn("[bold]{task.description}")
    with Progress(words, BarColumn(), TimeRemainingColumn(), console=output.notes, transient=True) as bars:
        bar = bars.add_task("copying", total=None)

        def copied(pages: int, of: int) -> None:
            if pages < of:
                bars.update(bar, completed=pages, total=of)
            else:
                bars.update(bar, visible=False)
                bars.add_task("checking", total=None)

        yield copied


EXAMPLES: Final = """\
# Make a backup of a SQLite mirror.
versionsync db backup website.db

# Upgrade the schema of a PostgreSQL mirror.
versionsync db upgrade
"""

app = typer.Typer(
    cls=CommandGroup,
    help="Upgrade, check, locate, back up, copy or rebuild the database, or let others read it.",
    epilog=EXAMPLES,
    no_args_is_help=True,
)


def upgrade(session: CliContext) -> None:
    """Create the database's schema, or upgrade it to this version.

    It changes or removes nothing that is mirrored. Several processes may run it at once: one upgrades, the others wait.

    Examples:
        # The database of the settings.
        versionsync db upgrade
    """
    from versionsync.mirror.schema import migrate

    before, after = migrate.upgrade(session.database_url())
    if before == after:
        text = f"The database is at schema {after} already."
    else:
        text = f"The database is now at schema {after}{f', it was at {before}' if before else ''}."
    session.output.result({"before": before, "after": after, "changed": before != after}, text)


def current(session: CliContext) -> None:
    """Show the schema revision of the database, and the one that this version needs.

    Examples:
        # For a script.
        versionsync db current --json
    """
    from versionsync.mirror.schema import migrate

    now, head = migrate.current(session.database_url()), migrate.HEAD
    fields = {"current": now, "head": head, "is_current": now == head}
    session.output.result(fields, f"{now or 'none'} (this version needs {head})")


def check(session: CliContext) -> None:
    """Check that the database has the schema of this version. If not, the exit code is 6.

    Examples:
        # In a start script.
        versionsync db check
    """
    from versionsync.mirror.schema import migrate

    migrate.check(session.database_url())
    session.output.result(
        {"current": migrate.HEAD, "is_current": True}, f"The database is at schema {migrate.HEAD}, as it should be."
    )


def url(session: CliContext) -> None:
    """Show the database's URL without its password.

    Examples:
        # The database of the settings.
        versionsync db url
    """
    from versionsync.mirror.engine.sqlalchemy_urls import safe_url

    shown = safe_url(session.database_url())
    session.output.result({"url": shown}, shown)


def reader(
    session: CliContext,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The name of the role. Default: versionsync_reader.")
    ] = READER,
    *,
    url_file: Annotated[
        Path | None,
        option("--url-file", "FILE", "Write the URL with the password to this file, which only you can read."),
    ] = None,
    password_file: Annotated[
        Path | None, option("--password-file", "FILE", "Read the password from this file. Default: a new random one.")
    ] = None,
    new_password: Annotated[bool, flag("--new-password", help="Give an existing role another password.")] = False,
    revoke_public: Annotated[
        bool,
        flag(
            "--revoke-public",
            help="Also take from all roles the right to create temporary tables in this database, "
            "and tables in the mirror's schema and in `public`.",
        ),
    ] = False,
) -> None:
    """Make a role of PostgreSQL that may read the mirror, and nothing else.

    It may read all tables and views of the mirror's schema, also those that come later. Use it for `versionsync sql`
    and for other programs. You see its password once. Run it again to grant the same rights; the password stays, unless
    you ask for another one or for a file.

    The role of the database URL must own the mirror, and may create roles. SQLite has no roles.

    Examples:
        # Make it, and keep its URL for `versionsync sql`.
        versionsync db reader --url-file reader_url

        # One for Metabase. Its password is shown once.
        versionsync db reader metabase
    """
    from versionsync.mirror.sql.reader import make_reader, reader_url

    if url_file is not None and (url_file.exists() or url_file.is_symlink()):
        raise FileProblem(f"{url_file} is there already", hint="Name another file, or remove it.")
    given = session.configuration.secrets.read_file(password_file).strip() if password_file is not None else None
    if given == "":
        raise SecretProblem(f"the password in {password_file} is empty", hint="Write one into it.")
    password = given or secrets.token_urlsafe(PASSWORD_BYTES)
    with session.open_mirror() as mirror:
        made = make_reader(
            mirror,
            name,
            password=password,
            is_new_password=new_password or given is not None or url_file is not None,
            revoke_public=revoke_public,
        )
    url = reader_url(session.database_url(), name, password) if made.has_this_password else None
    if url_file is not None and url is not None:
        write_whole(url_file, f"{url}\n", mode=0o600)
    shown = url if url_file is None else None
    if session.output.as_json:
        session.output.json(
            {
                "role": made.name,
                "database": made.database,
                "schema": made.schema,
                "is_new": made.is_new,
                "url": shown,
                "url_file": url_file and str(url_file),
                "public_rights": made.public_rights,
            }
        )
        return
    session.output.paragraph(
        f"The role {made.name} {'is made' if made.is_new else 'was there already'}. It may read everything in the "
        f"schema {made.schema} of the database {made.database}, and nothing else."
    )
    if shown is not None:
        session.output.plain_line("Its URL, with the password that is not shown again:")
        session.output.plain_line(shown)
    elif url_file is not None:
        session.output.paragraph(f"Its URL is in {url_file}. For `versionsync sql`, name that file in reader_url_file.")
    if made.public_rights:
        session.output.warning(
            f"every role of this database may write, so this one too: {'; '.join(made.public_rights[:3])}. "
            "`versionsync sql` refuses it. --revoke-public takes away what PostgreSQL allows by default."
        )


def rebuild(
    session: CliContext,
    projections: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="What to rebuild: changes, intervals, links, titles, search. Default: all.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Empty the projections, and fill them again from the versions and events.

    Projections are tables that versionsync derives from the others, so that questions are answered at once. You need
    this only if someone changed them by hand. If a daemon runs a source, the daemon fills them again; otherwise this
    command does. A sync may run at the same time.

    Examples:
        # All of them.
        versionsync db rebuild

        # Only the titles.
        versionsync db rebuild titles
    """
    from versionsync.mirror.tables.projection_cursors import PROJECTIONS

    names = list(dict.fromkeys(projections or PROJECTIONS))
    if unknown := [name for name in names if name not in PROJECTIONS]:
        raise typer.BadParameter(
            f"there is no projection {unknown[0]!r}: choose from {', '.join(PROJECTIONS)}", param_hint="NAME"
        )
    with session.open_mirror() as mirror:
        for source, filled_by, versions in rebuild_projections(session, mirror, names):
            if session.output.as_json:
                session.output.json(
                    {"source": source, "projections": names, "filled_by": filled_by, "versions": versions}
                )
            elif filled_by == "command":
                session.output.plain_line(f"{source}: {count(versions or 0, 'version')} computed again.")
            else:
                who = "the daemon" if filled_by == "daemon" else "another process writes to it, and the next sync"
                session.output.plain_line(f"{source}: {who} fills them again. Until then they answer only in part.")


def rebuild_projections(
    session: CliContext, mirror: Mirror, names: Sequence[str]
) -> Iterator[tuple[str, str, int | None]]:
    """Rebuild projections of all sources. Yield each source, who fills it, and how many versions were computed."""
    from versionsync.history.projections.filling import FillState, ProjectionFiller, request_rebuild
    from versionsync.mirror.tables.daemons import active_daemon

    known = session.known_sources(mirror, ())
    for source in known:
        with mirror.write() as tx:
            request_rebuild(tx, source.id, names)
    for source in known:
        with mirror.read() as connection:
            daemon = active_daemon(connection, source.id)
        if daemon is not None and not daemon.is_expired:
            yield source.name, "daemon", None
            continue
        filler, versions, indexed = ProjectionFiller(mirror, source.id), 0, 0
        with _filling(session.output, source.name) as progressed:
            while (filled := filler.fill_batch()).state is FillState.MORE:
                versions, indexed = versions + filled.versions, indexed + filled.indexed
                progressed(filled.event_id, filled.last_event_id)
        if filled.state is FillState.BUSY:
            yield source.name, "sync", None
        else:
            yield source.name, "command", max(versions, indexed)


@contextmanager
def _filling(output: Output, source: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal."""
    if output.as_json or not output.notes.is_terminal:
        yield lambda done, of: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    words = TextColumn("[bold]{task.description}")
    with Progress(words, BarColumn(), TimeRemainingColumn(), console=output.notes, transient=True) as bars:
        bar = bars.add_task(source, total=None)
        yield lambda done, of: bars.update(bar, completed=done, total=of)


for verb in (upgrade, current, check, url, backup, copy, reader, rebuild):
    add_command(app, verb)
