"""`versionsync status --watch`: a live view that survives an outage of its database, and restores the terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from uuid import uuid4

import pytest

from tests.fixtures.postgres_server import own_server
from tests.integration.cli.conftest import Cli
from tests.integration.cli.mirror_queries import rows
from tests.integration.cli.processes import PROGRAM, environment, running

ROWS, COLUMNS = 24, 80
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


class Terminal:
    """A terminal that runs the program, and all that was written to it."""

    def __init__(self, process: subprocess.Popen[bytes], end: int) -> None:
        self.process = process
        self.written = ""
        self._end = end

    def until(self, words: str, *, seconds: float = 120.0) -> None:
        """Read until `words` have been written since the last time."""
        start, deadline = len(self.written), time.monotonic() + seconds
        while words not in self.text(start):
            assert time.monotonic() < deadline, self.text(start)
            self._read()

    def end(self, number: int) -> None:
        """Send a signal and read to the end."""
        self.process.send_signal(number)
        while self._read():
            pass
        self.process.wait(60)

    def text(self, start: int = 0) -> str:
        """What was written from there on, without colours and movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.written[start:])

    def _read(self) -> bool:
        if not select.select([self._end], [], [], 1.0)[0]:
            return True
        try:
            piece = os.read(self._end, 65536)
        except OSError:  # Linux says so when the other end is closed
            return False
        self.written += piece.decode()
        return bool(piece)


@contextmanager
def terminal(*argv: str, cwd: Path, **environ: str) -> Iterator[Terminal]:
    """The program on a terminal of 80 columns while the block runs."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    env = environment(TERM="xterm-256color", **environ)
    with subprocess.Popen([*PROGRAM, *argv], cwd=cwd, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            process.kill()
            os.close(ours)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_terminal_shows_changes_until_the_end(
    cli: Cli, at: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    """On the alternate screen, without erasing it; with code 0."""
    cli("sync", **at)
    with terminal("status", "--watch", "0.2", cwd=tmp_path, **at) as shown:
        shown.until("#1 backfill, succeeded")
        cli("sync", **at)
        shown.until("#2 incremental, succeeded")
        shown.end(number)
        assert shown.process.returncode == 0
    assert shown.written.count(ENTER) == shown.written.count(LEAVE) == 1
    between = shown.written[shown.written.index(ENTER) + len(ENTER) : shown.written.index(LEAVE)]
    assert "\x1b[2J" not in between
    assert "\x1b[2K" not in between
    assert "Traceback" not in shown.written


def test_an_outage_of_the_database_is_shown_with_its_start(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """The last snapshot stays in view, and it goes on by itself."""
    cli("sync", **at)
    database, away = tmp_path / "versionsync.db", tmp_path / "away.db"
    with terminal("status", "--watch", "0.2", cwd=tmp_path, **at) as shown:
        shown.until("#1 backfill, succeeded")
        database.rename(away)
        shown.until("no answer from the database since 2")
        shown.until("#1 backfill, succeeded")
        away.rename(database)
        shown.until("succeeded")
        cli("sync", **at)
        shown.until("#2 incremental, succeeded")
        shown.end(signal.SIGINT)
        assert shown.process.returncode == 0


def test_a_pipe_gets_lines(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """Without control sequences."""
    cli("sync", **at)
    with running("status", "--watch", "0.2", cwd=tmp_path, **at) as process:
        assert process.stdout is not None
        heads = []
        while len(heads) < 3:
            line = process.stdout.readline()
            assert "\x1b" not in line
            heads += [line] if line.endswith(" UTC\n") and line.startswith("20") else []
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert process.returncode == 0


def test_programs_get_an_object_a_line(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """Also while the database is unavailable; another file in its place is opened."""
    cli("sync", **at)
    with running("status", "--watch", "0.2", "--json", cwd=tmp_path, **at) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["sources"][0]["source"] == "default"
        (tmp_path / "versionsync.db").rename(tmp_path / "away.db")
        while "error" not in (status := json.loads(process.stdout.readline())):
            pass
        assert set(status) == {"at", "away_since", "error"}
        shutil.copy(tmp_path / "away.db", tmp_path / "versionsync.db")
        while "error" in json.loads(process.stdout.readline()):
            pass
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert process.returncode == 0


@pytest.mark.postgres
def test_a_server_that_is_restarted_is_looked_at_again(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """By itself, and status meanwhile."""
    with own_server(Path(gettempdir()) / f"versionsync-pg-own-{uuid4().hex[:12]}") as server:
        at["VERSIONSYNC_DATABASE_URL"] = server.url
        cli("sync", "--upgrade", **at)
        with running("status", "--watch", "0.2", "--json", cwd=tmp_path, **at) as process:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["exit"] == 0
            server.stop("immediate")
            while "away_since" not in json.loads(process.stdout.readline()):
                pass
            server.start()
            while "away_since" in (status := json.loads(process.stdout.readline())):
                pass
            assert status["sources"][0]["counts"]["versions"] == 6
            process.send_signal(signal.SIGINT)
            process.wait(60)
        assert process.returncode == 0


def test_an_error_at_the_start_ends_it(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """As without --watch."""
    assert cli("status", "--watch", **at).code == 6
    cli("sync", **at)
    assert cli("status", "--watch", "0.01", **at).code == 2
    assert cli("status", "--watch", "1", "2", **at).code == 2
    assert cli("status", "--watch", "defalt", **at).code == 2
    rows(tmp_path / "versionsync.db", "update versionsync_schema set version_num = '9999'")
    newer = cli("status", "--watch", **at)
    assert newer.code == 6
    assert "newer than this program's" in newer.err
    assert cli("status", **at).code == 6
