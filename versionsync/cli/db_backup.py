"""`versionsync db backup`: a checked copy of a SQLite mirror, while it is in use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from versionsync.cli.output import Output, count, size
from versionsync.cli.session import Session
from versionsync.cli.verbs import flag

if TYPE_CHECKING:
    from versionsync.mirror.backup import Copied

__all__ = ["backup"]


def backup(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to make.", show_default=False)],
    *,
    force: Annotated[bool, flag("--force", help="Replace FILE, once its successor is whole.")] = False,
) -> None:
    """Copy a SQLite mirror to FILE, while others read and write it, and check the copy.

    It holds one moment of the mirror, is read to its end and compared before it is called FILE, and only its owner can
    read it. To restore it, stop versionsync, put it where the database was, and start versionsync. For PostgreSQL this
    shows the command of pg_dump, and ends with code 2.
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
    session.output.prose(
        f"The backup is {made.path}: {count(versions, 'version')} of {count(records, 'record')} and "
        f"{count(events, 'event')} at schema {made.revision}, {size(made.size_bytes)}. "
        f"It was read again and compared, in {seconds:.1f} s."
    )


@contextmanager
def _progress(output: Output) -> Iterator[Copied | None]:
    """A bar on a terminal, as soon as there is something to wait for."""
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
