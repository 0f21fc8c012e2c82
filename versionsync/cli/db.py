"""`versionsync db`: the database's schema, where the database is, and its backup."""

from __future__ import annotations

import typer

from versionsync.cli.db_backup import backup
from versionsync.cli.session import Session
from versionsync.cli.verbs import Verbs, add_verb

__all__ = ["app"]

app = typer.Typer(cls=Verbs, help="The database: its schema, where it is, and its backup.", no_args_is_help=True)


def upgrade(session: Session) -> None:
    """Create the database's schema, or bring it to this version.

    Nothing that the mirror holds is changed or removed. Several processes may do it at once: one does, the others wait.
    """
    from versionsync.mirror import migrate

    before, after = migrate.upgrade(session.database_url())
    if session.output.as_json:
        session.output.json({"before": before, "after": after, "changed": before != after})
    elif before == after:
        session.output.line(f"The database is at schema {after} already.")
    else:
        session.output.line(f"The database is now at schema {after}{f', it was at {before}' if before else ''}.")


def current(session: Session) -> None:
    """Show at which schema the database is, and which one this version needs."""
    from versionsync.mirror import migrate

    now, head = migrate.current(session.database_url()), migrate.head()
    if session.output.as_json:
        session.output.json({"current": now, "head": head, "is_current": now == head})
    else:
        session.output.line(f"{now or 'none'} (this version needs {head})")


def check(session: Session) -> None:
    """Check that the database is at the schema of this version; otherwise exit with code 6."""
    from versionsync.mirror import migrate

    migrate.check(session.database_url())
    if session.output.as_json:
        session.output.json({"current": migrate.head(), "is_current": True})
    else:
        session.output.line(f"The database is at schema {migrate.head()}, as it should be.")


def url(session: Session) -> None:
    """Show the database's URL, without its password."""
    from versionsync.mirror.urls import safe_url

    shown = safe_url(session.database_url())
    if session.output.as_json:
        session.output.json({"url": shown})
    else:
        session.output.line(shown)


for verb in (upgrade, current, check, url, backup):
    add_verb(app, verb)
