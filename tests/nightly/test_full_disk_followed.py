"""The disk of a mirror is full for a while: the daemon says so, and goes on when there is room (invariant 9)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.disk import disk
from tests.fixtures.restartable import Daemon, Project, eventually

MEGABYTES = 8
MOST_REQUESTS = 40
"""A few tries, and what each reads before there is something to write; not a look a second."""
PATIENCE_SECONDS = 40.0


def test_a_disk_that_is_full_and_gets_room_again(tmp_path: Path) -> None:
    """What was edited meanwhile is mirrored; nothing is started again, and nothing has to be cleaned up."""
    with disk(tmp_path / "small", megabytes=MEGABYTES) as small:
        if not small.is_own:
            pytest.skip("file systems cannot be mounted here")
        url = f"sqlite:///{small.folder / 'versionsync.db'}"
        project = Project(1)
        daemon = Daemon(tmp_path, url, {"website": project})
        try:
            with daemon.living():
                eventually(lambda: project.is_mirrored(url, "website"), seconds=PATIENCE_SECONDS)
                eventually(daemon.is_ready, seconds=PATIENCE_SECONDS)
                small.fill()
                asked = project.requests
                project.edit()
                eventually(lambda: warnings(daemon), seconds=PATIENCE_SECONDS)
                assert project.requests - asked < MOST_REQUESTS
                assert daemon.lives()

                small.empty()
                eventually(lambda: project.is_mirrored(url, "website"), seconds=PATIENCE_SECONDS)
                eventually(daemon.is_ready, seconds=PATIENCE_SECONDS)
                daemon.end()
        finally:
            project.stop()
    (told,) = warnings(daemon)
    assert "the disk is full; free some space" in str(told["reason"])
    assert len(daemon.said("source.recovered")) == 1


def warnings(daemon: Daemon) -> list[dict[str, object]]:
    """What its log has of the source that needs somebody."""
    return [line for line in daemon.said("source.failing") if line["level"] == "warning"]
