"""Somebody sets the clock of a machine while a daemon runs on it."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.fixtures.restartable import Daemon, Project, eventually


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2], ids=["back", "ahead"])
def test_an_hour_back_or_ahead_puts_off_no_look(database_url: str, tmp_path: Path, number: signal.Signals) -> None:
    """What is edited then is mirrored as soon as ever, and the times of its events are upstream's."""
    project = Project(1)
    daemon = Daemon(tmp_path, database_url, {"website": project}, argv=("-m", "tests.fixtures.jumping_clock"))
    with daemon.living():
        try:
            eventually(lambda: project.is_mirrored(database_url, "website"), seconds=60)
            eventually(daemon.is_ready, seconds=10)
            daemon.send(number)
            project.edit()
            eventually(lambda: project.is_mirrored(database_url, "website"), seconds=20)
            eventually(lambda: daemon.said("clock.jumped"), seconds=10)
            eventually(daemon.is_ready, seconds=10)
            project.edit()
            eventually(lambda: project.is_mirrored(database_url, "website"), seconds=20)
            daemon.end()
        finally:
            project.stop()
    assert [abs(line["seconds"]) for line in daemon.said("clock.jumped")] == [pytest.approx(3600, abs=5)]  # type: ignore[arg-type]
    assert [line for line in daemon.said("source.failing") if line["level"] == "warning"] == []


def test_a_century_ahead_is_neither_counted_out_nor_remembered(tmp_path: Path, sqlite_template: Path) -> None:
    """A board without a battery begins in the past, until it hears the time: the daemon goes on, as small as before."""
    project = Project(1)
    url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'mirror.db')}"
    hours = str(24 * 365 * 100)
    daemon = Daemon(tmp_path, url, {"website": project}, argv=("-m", "tests.fixtures.jumping_clock", hours))
    with daemon.living():
        try:
            eventually(daemon.is_ready, seconds=60)
            daemon.look()
            daemon.send(signal.SIGUSR2)
            project.edit()
            eventually(lambda: project.is_mirrored(url, "website"), seconds=20)
            eventually(lambda: daemon.said("clock.jumped"), seconds=10)
            eventually(daemon.is_ready, seconds=10)
            daemon.look()
            daemon.end()
        finally:
            project.stop()
    assert daemon.samples[-1].memory - daemon.samples[0].memory < 50e6
    assert daemon.log.stat().st_size < 20_000
