"""Every command of docs/tutorial.md runs, in its order, and its queries have answers."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.fixtures.pages import ROOT, blocks
from tests.integration.cli.processes import PROGRAM, environment, running

PAGE: Final = ROOT / "docs" / "tutorial.md"
ADDRESS: Final = "http://127.0.0.1:8080"
SIMULATOR, DAEMON, SHELL = "versionsync simulator ", "versionsync run", "sqlite3 -box "
BLOCKS: Final = [block.text.splitlines() for block in blocks(PAGE, "sh")]
EXPORTED: Final = dict(re.findall(r"^export (\w+)=(\S+)$", PAGE.read_text(), re.MULTILINE))
QUERIES: Final = [block.text for block in blocks(PAGE, "sql")]


@pytest.mark.nightly
def test_the_tutorial_runs_from_an_empty_folder(tmp_path: Path) -> None:
    """Each terminal of the page is a process here; only the port of the simulator differs."""
    with ExitStack() as stack:
        url, folder = ADDRESS, tmp_path / "newsroom"
        for commands in BLOCKS:
            (first, *_) = commands
            if first.startswith(SIMULATOR):
                words = [*first.split()[1:], "--port", "0", "--json"]
                simulator = stack.enter_context(running(*words, cwd=tmp_path))
                assert simulator.stdout
                url = json.loads(simulator.stdout.readline())["url"]
            elif first == DAEMON:
                stack.enter_context(running("run", cwd=folder, **EXPORTED, VERSIONSYNC_HTTP_PORT="0"))
                _wait_for_events(folder / "versionsync.db")
            elif first.startswith(SHELL):
                _ask(folder, first)
            else:
                script = "\n".join(commands).replace(ADDRESS, url)
                # A terminal that begins with `cd` or `mkdir` is a new one; the others go on in the folder.
                if first.startswith(("cd ", "mkdir ")):
                    _run(script, tmp_path)
                else:
                    _run(script, folder, **EXPORTED)
    assert (folder / "versionsync.toml").exists()


def _wait_for_events(database: Path) -> None:
    """Wait until the daemon has written an event of its own; the editors act about once a second."""
    with sqlite3.connect(database) as connection:
        for _ in range(120):
            (runs,) = connection.execute("SELECT count(*) FROM runs WHERE events_written > 0").fetchone()
            if runs >= 2:
                return
            time.sleep(0.5)
    pytest.fail("the daemon found nothing in a minute")


def _ask(folder: Path, command: str) -> None:
    """Run each query, and all of them through the program that the page names if it is installed."""
    with sqlite3.connect(folder / "versionsync.db") as connection:
        for query in QUERIES:
            assert connection.execute(query).fetchall(), query
    if shutil.which("sqlite3"):
        subprocess.run(command.split(), cwd=folder, input="".join(QUERIES), text=True, check=True, capture_output=True)


def _run(script: str, folder: Path, **environ: str) -> None:
    """Run commands in a shell, with `versionsync` as this program; they must succeed."""
    bash = shutil.which("bash")
    assert bash
    program = " ".join(f"'{word}'" for word in PROGRAM)
    ran = subprocess.run(
        [bash, "-c", f'set -e\nversionsync() {{ {program} "$@"; }}\n{script}'],
        cwd=folder,
        env=environment(**environ),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
