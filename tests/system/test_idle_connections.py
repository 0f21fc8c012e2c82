"""Strangers take hold of the daemon's port, as many as they can. The daemon does its work."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fixtures.idle_clients import strangers
from tests.fixtures.restartable import Daemon, Project, eventually

DESCRIPTORS = 256
SECONDS = 20
WITH_FEW_DESCRIPTORS = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}))
from versionsync.__main__ import main
sys.exit(main(["run"]))
"""


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param({"idle": 1100}, marks=pytest.mark.nightly),
        {"idle": 200, "half a head": 200, "garbage": 100, "a long head": 50, "a slow body": 50, "no reader": 50},
    ],
    ids=["idle", "of every kind"],
)
def test_no_number_of_connections_stops_the_work(
    tmp_path: Path, sqlite_template: Path, numbers: dict[str, int]
) -> None:
    """It mirrors, answers who asks, and says little; its memory and its descriptors stay what they were."""
    project = Project(1)
    url = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'mirror.db')}"
    daemon = Daemon(tmp_path, url, {"website": project}, argv=("-c", WITH_FEW_DESCRIPTORS))
    with daemon.living():
        try:
            eventually(daemon.is_ready, seconds=60)
            daemon.look()
            with strangers(daemon.port, seconds=SECONDS, numbers=numbers):
                before = project.requests
                for _ in range(3):
                    project.edit()
                    eventually(lambda: project.is_mirrored(url, "website"), seconds=20)
                    eventually(daemon.is_ready, seconds=60)
                    daemon.look()
                assert project.requests > before + 3
            assert daemon.lives()
            log = daemon.log.stat().st_size
            daemon.end()
        finally:
            project.stop()
    assert max(sample.files for sample in daemon.samples) < DESCRIPTORS / 2
    assert daemon.samples[-1].memory - daemon.samples[0].memory < 30e6
    assert log < 50_000
    assert len(daemon.said("http.crowded")) == 1
    assert daemon.said("library.failed") == daemon.said("source.failing") == []
