"""`versionsync sql`: ask the mirror with SQL. The database itself refuses everything that writes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.history_options import Limit
from versionsync.cli.options import flag, option
from versionsync.config import FileProblem

if TYPE_CHECKING:
    from versionsync.mirror.database import Mirror

__all__ = ["sql"]

SECONDS: Final = 300.0
LONGEST_FILE: Final = 1_000_000


def sql(
    session: CliContext,
    query: Annotated[
        str | None,
        typer.Argument(metavar="QUERY", help="One SQL query. Default: from standard input.", show_default=False),
    ] = None,
    *,
    file: Annotated[Path | None, option("--file", "FILE", "Read the query from this file.")] = None,
    csv: Annotated[bool, flag("--csv", help="Write CSV, with the names of the columns in the first line.")] = False,
    limit: Limit = None,
    timeout: Annotated[
        float, option("--timeout", "SECONDS", "End the query after this time. 0: no limit.", min=0)
    ] = SECONDS,
) -> None:
    """Ask the mirror one SQL query. It only reads: the database itself refuses everything else.

    It writes a table, and with many columns one value a line. --csv and --json write values in full. --json
    writes one object for each row. Times are UTC.

    SQLite allows reading alone on this connection. On PostgreSQL, `versionsync db reader` makes a role that may only
    read; set reader_url to its URL. A role that may write is refused.

    Examples:
        # Who saved how many versions?
        versionsync sql \\
          "SELECT editor_name, count(*) FROM version_timeline GROUP BY 1"

        # The live articles, for a spreadsheet.
        versionsync sql --csv "SELECT * FROM website_article_published"

        # The last runs, for a program.
        versionsync sql --json --limit 5 "SELECT * FROM runs ORDER BY id DESC"
    """
    from versionsync.cli.views.sql import show_answer
    from versionsync.mirror.sql.query import ask

    if csv and session.output.as_json:
        raise typer.BadParameter("leave one of --csv and --json out", param_hint="--csv")
    text = _query(query, file)
    with _open(session) as mirror, ask(mirror, text, seconds=timeout or None) as answer:
        show_answer(session.output, answer, as_csv=csv, limit=limit)


def _query(query: str | None, file: Path | None) -> str:
    if query is not None and file is not None:
        raise typer.BadParameter("leave QUERY or --file out", param_hint="--file")
    if query is not None:
        return query
    if file is None and sys.stdin.isatty():
        raise typer.BadParameter("there is no query: write one in quotes, or name a file with --file")
    try:
        with sys.stdin.buffer if file is None else file.open("rb") as source:
            raw = source.read(LONGEST_FILE + 1)
    except OSError as error:
        raise FileProblem(f"the query cannot be read from {file or 'standard input'}: {error.strerror}") from error
    if len(raw) > LONGEST_FILE:
        raise typer.BadParameter("the query is longer than a million characters")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise typer.BadParameter("the query is not UTF-8 text") from None


def _open(session: CliContext) -> Mirror:
    from versionsync.wiring.mirror import open_mirror

    return open_mirror(session.reader_url() or session.database_url(), outage_seconds=0.0, reads_only=True)
