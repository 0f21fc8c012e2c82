"""Who waits at a terminal sees how far it is; a pipe gets a line now and then."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
from pathlib import Path

from tests.integration.cli.processes import started
from tests.integration.cli.worlds import blog
from versionsync.simulator import FULL_ACCESS_TOKEN, RateLimit, SimulatorThread

ROWS, COLUMNS = 24, 80
DRAWN = re.compile(r"default +\S+ +(?P<settled>\d+)/120 records +(?P<new>\d+ new)?")


def test_a_terminal_shows_a_bar_that_grows(tmp_path: Path) -> None:
    """With what is settled of how much, how fast, and how long it will take; gone in the end, for the result."""
    with SimulatorThread(blog(records=120, versions=2), limits=RateLimit(60)) as simulator:
        shown = on_a_terminal("sync", tmp_path, DATOCMS_API_TOKEN=FULL_ACCESS_TOKEN, VERSIONSYNC_BASE_URL=simulator.url)
    frames = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", shown)]
    settled = [int(found["settled"]) for line in frames if (found := DRAWN.search(line))]
    assert len(set(settled)) > 3, frames
    assert settled == sorted(settled)
    assert any("/s" in line and "left" in line for line in frames)
    assert all(len(line) < COLUMNS for line in frames)
    assert "progress could not be shown" not in shown


def on_a_terminal(command: str, folder: Path, **environ: str) -> str:
    """All that the program writes to a terminal of 80 columns until it ends with success."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environ |= {"TERM": "xterm-256color"}
    process = started([command], cwd=folder, environ=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    pieces = []
    with process, os.fdopen(ours, "rb", buffering=0) as terminal:
        while True:
            try:
                piece = terminal.read(65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not piece:
                break
            pieces.append(piece)
    shown = b"".join(pieces).decode()
    assert process.returncode == 0, shown
    return shown
