"""What the size of a SQLite file tells of whether it is whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from versionsync.mirror.engine.sqlite_files import is_below_header_size, is_truncated


@pytest.fixture(params=["wal", "delete"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database of some forty pages, closed."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"PRAGMA journal_mode = {request.param}")
        database.execute("CREATE TABLE t (x)")
        database.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,)] * 150)
    return path


def test_a_whole_file_is_whole(file: Path) -> None:
    """However it keeps its log."""
    assert not is_truncated(file)


@pytest.mark.parametrize("missing", [1, 2048, 4096, 4096 * 20])
def test_a_file_without_its_end_is_told(file: Path, missing: int) -> None:
    """By a byte or by half of it."""
    whole = file.read_bytes()
    file.write_bytes(whole[:-missing])
    assert is_truncated(file)


def test_with_a_log_nobody_can_tell(file: Path) -> None:
    """Its pages may be in there; an empty one holds none."""
    file.write_bytes(file.read_bytes()[:-4096])
    log = file.with_name("x.db-wal")
    log.write_bytes(b"")
    assert is_truncated(file)
    log.write_bytes(b"something")
    assert not is_truncated(file)


@pytest.mark.parametrize("content", [b"", b"a letter", b"SQLite format 3\x00 and no more"])
def test_what_is_no_database_is_not_ours_to_judge(tmp_path: Path, content: bytes) -> None:
    """Whoever opens it says what it is."""
    (tmp_path / "x.db").write_bytes(content)
    assert not is_truncated(tmp_path / "x.db")
    assert not is_truncated(tmp_path / "nowhere.db")


def header(*, page: int, pages: int, agree: bool = True) -> bytes:
    """The first hundred bytes of a database, as far as its size is in them."""
    made = bytearray(b"SQLite format 3\x00".ljust(100, b"\x00"))
    made[16:18] = page.to_bytes(2)
    made[24:28] = (7).to_bytes(4)
    made[28:32] = pages.to_bytes(4)
    made[92:96] = (7 if agree else 6).to_bytes(4)
    return bytes(made)


@pytest.mark.parametrize(
    ("head", "size", "short"),
    [
        (header(page=4096, pages=3), 3 * 4096, False),
        (header(page=4096, pages=3), 2 * 4096, True),
        (header(page=4096, pages=3), 4 * 4096, False),
        (header(page=4096, pages=3, agree=False), 2 * 4096, False),
        (header(page=4096, pages=3, agree=False), 2 * 4096 + 7, True),
        (header(page=1, pages=2), 2 * 65536, False),
        (header(page=1, pages=2), 65536, True),
    ],
)
def test_the_header_says_how_long_it_must_be(head: bytes, size: int, short: bool) -> None:
    """Where its two counters agree that the last writer wrote it."""
    assert is_below_header_size(head, size) == short
