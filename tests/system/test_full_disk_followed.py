"""The disk of a mirror is full for a while: the daemon says so, and goes on when there is room (invariant 9)."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.fixtures.comparing import differences
from tests.fixtures.disk import disk
from tests.fixtures.gateways import unused_port
from tests.fixtures.newsroom import Newsroom
from tests.fixtures.programs import Program
from versionsync.mirror.database import Mirror
from versionsync.mirror.errors import MirrorError
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread, World
from versionsync.simulator.truth import truth

MEGABYTES = 8
MOST_REQUESTS = 40
"""A few tries, and what each reads before there is something to write; not a look a second."""


def eventually(what: Callable[[], object], *, seconds: float = 40.0) -> None:
    """Wait until it is so. A mirror that is not there yet is not."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(MirrorError):
            if what():
                return
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
        time.sleep(0.1)


def test_a_disk_that_is_full_and_gets_room_again(tmp_path: Path) -> None:
    """What was edited meanwhile is mirrored; nothing is started again, and nothing has to be cleaned up."""
    newsroom, port = Newsroom(1), unused_port()
    with disk(tmp_path / "small", megabytes=MEGABYTES) as small, SimulatorThread(World(seed=1)) as simulator:
        if not small.is_own:
            pytest.skip("file systems cannot be mounted here")
        url = f"sqlite:///{small.folder / 'versionsync.db'}"
        simulator.act(lambda world: newsroom.open(world, records=10))

        def is_mirrored() -> bool:
            expected = simulator.act(lambda world: truth(world.journal, "main"))
            with Mirror.open(url) as mirror:
                return not differences(mirror, expected)

        (tmp_path / "versionsync.toml").write_text(
            f"""
            [[sources]]
            name = "website"
            base_url = "{simulator.url}"
            rate_limit = "none"
            max_staleness = 1
            [http]
            port = {port}
            """
        )
        environment = {"VERSIONSYNC_DATABASE_URL": url, "DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN}
        daemon = Program("daemon", tmp_path, environment, port=port)
        daemon.start()
        try:
            eventually(is_mirrored)
            eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200)
            small.fill()
            asked = simulator.simulator.requests.total
            for _ in range(5):
                simulator.act(newsroom.act)
            eventually(lambda: [line for line in daemon.said("source.failing") if line["level"] == "warning"])
            assert simulator.simulator.requests.total - asked < MOST_REQUESTS
            assert httpx.get(f"http://127.0.0.1:{port}/livez").status_code == 200

            small.empty()
            eventually(is_mirrored)
            eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200)
            daemon.end()
        finally:
            daemon.bury()
    (told,) = [line for line in daemon.said("source.failing") if line["level"] == "warning"]
    assert "the disk is full; free some space" in str(told["reason"])
    assert len(daemon.said("source.recovered")) == 1
    assert "Traceback" not in daemon.log.read_text()
