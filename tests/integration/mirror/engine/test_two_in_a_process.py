"""A process that opens one SQLite file twice loses nothing.

POSIX drops all locks of a process on a file when the process closes any descriptor of it. Then another process that
closes the database believes that it was the last one, and deletes the log into which this one writes.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from versionsync.mirror.database import Mirror
from versionsync.mirror.schema.migrate import current, upgrade

READ = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("PRAGMA user_version").fetchone()[0])
connection.close()
"""


def read_elsewhere(file: Path) -> int:
    """The number that another process reads; it opens the file and closes it."""
    ran = subprocess.run([sys.executable, "-c", READ, file], check=True, capture_output=True, text=True)
    return int(ran.stdout)


@pytest.mark.parametrize("opens", ["Mirror.open", "upgrade", "current"])
def test_a_second_opening_leaves_the_locks_of_the_first(opens: str, tmp_path: Path) -> None:
    file = tmp_path / "mirror.db"
    url = f"sqlite:///{file}"
    upgrade(url)
    with Mirror.open(url) as first:
        first.query(lambda connection: connection.scalar(text("SELECT count(*) FROM runs")))
        again = {"Mirror.open": lambda: Mirror.open(url).close(), "upgrade": lambda: upgrade(url)}
        again.get(opens, lambda: current(url))()
        assert read_elsewhere(file) == 0
        first.transact(lambda tx: tx.exec_driver_sql("PRAGMA user_version = 1"))
        assert read_elsewhere(file) == 1
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
