"""Answer one SQL query of a user. The database itself refuses everything that writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.types import POSTGRES
from versionsync.mirror.errors import QueryError
from versionsync.mirror.sql.answer import Answer

__all__ = ["Answer", "ask"]


@contextmanager
def ask(mirror: Mirror, query: str, *, seconds: float | None = None) -> Iterator[Answer]:
    """Run one query and yield its answer, whose rows are read as they are used.

    Args:
        mirror: The mirror. On PostgreSQL, its role may only read.
        query: One SQL statement that returns rows.
        seconds: How long the database may work. None: as long as it needs.

    Raises:
        QueryError: The query is wrong, would write, or takes too long. Also while rows are read.
        WritableRole: The role of the connection may write.
    """
    if "\0" in query or not _is_unicode(query):
        raise QueryError("the query has a character that no text has")
    if mirror.dialect.name == POSTGRES:
        from versionsync.mirror.sql.postgres import answer
    else:
        from versionsync.mirror.sql.sqlite import answer
    with answer(mirror, query, seconds=seconds) as found:
        yield found


def _is_unicode(text: str) -> bool:
    """Whether there is no half of a character in it, as in an argument of the command line that is not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
