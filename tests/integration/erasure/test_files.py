"""The files of a SQLite database, byte by byte."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from tests.integration.erasure.conftest import NAME, ErasureEnv, now
from versionsync import open_mirror
from versionsync.erasure.carry_out import clean, erase, plan_erasure
from versionsync.mirror.backup import back_up
from versionsync.mirror.database import Mirror


@pytest.fixture
def file(erasing: ErasureEnv, database_url: str) -> Path:
    """The file of the mirror."""
    if not database_url.startswith("sqlite"):
        pytest.skip("PostgreSQL's files belong to its server")
    return Path(str(make_url(database_url).database))


def files_with(path: Path, words: Sequence[bytes]) -> list[str]:
    """The files of a SQLite database that hold one of these words in any byte."""
    return [
        file.name
        for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm"))
        if file.exists() and any(word in file.read_bytes() for word in words)
    ]


def test_no_byte_of_the_files_has_it(erasing: ErasureEnv, file: Path) -> None:
    words = [NAME.encode(), b"Quackenbush", *(part.encode() for part in NAME.split())]
    assert files_with(file, words), "or this test shows nothing"
    erasing.erase()
    assert files_with(file, words) == []


def test_the_full_text_index_keeps_no_word(erasing: ErasureEnv, file: Path) -> None:
    """It has words in lower case. FTS5 would keep those of deleted rows until it merges its segments."""
    words = [part.lower().encode() for part in NAME.split()]
    assert files_with(file, words), "or this test shows nothing"
    erasing.erase()
    assert files_with(file, [*words, *(word[2:] for word in words)]) == []
    with open_mirror(f"sqlite:///{file}") as mirror:
        assert list(mirror.grep("quackenbush")) == []
        assert len(list(mirror.grep("fish market"))) > 3, "all else is found as before"


def test_a_reader_of_an_old_state_keeps_the_files_from_being_clean(erasing: ErasureEnv, file: Path) -> None:
    with (
        Mirror.open(f"sqlite:///{file}?timeout=0.05") as mirror,
        Mirror.open(f"sqlite:///{file}", reads_only=True) as other,
        other.read() as connection,
    ):
        connection.execute(text("SELECT count(*) FROM versions")).all()
        plan = plan_erasure(mirror, (), erasing.person.id)
        erase(mirror, plan.target, reason=None, now=now, wait_seconds=0)
        assert not clean(mirror, 1, now=now)
    assert erasing.tables()["erasures"][1,]["cleaned_at"] is None
    erasing.erase()
    assert files_with(file, [NAME.encode()]) == []


def test_a_backup_from_before_still_has_it(erasing: ErasureEnv, file: Path, tmp_path: Path) -> None:
    back_up(f"sqlite:///{file}", tmp_path / "backup.db")
    erasing.erase()
    assert NAME.encode() in (tmp_path / "backup.db").read_bytes()


def test_statistics_keep_no_title(erasing: ErasureEnv, file: Path) -> None:
    """An index that was analyzed leaves samples of its keys."""
    erasing.env.mirror.transact(lambda tx: tx.exec_driver_sql("ANALYZE"))
    erasing.erase()
    assert files_with(file, [NAME.encode()]) == []
