"""What a daemon needs is gone for a while: it says so, hammers nobody, and goes on by itself (invariant 9).

The real program, with real outages of VERSIONSYNC_TEST_OUTAGE_SECONDS; that of ten minutes is a command, not a test.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import gettempdir
from typing import Final
from uuid import uuid4

import pytest

from tests.fixtures.postgres_server import own_server
from tests.fixtures.restartable import Daemon, Project, eventually
from versionsync.mirror.schema.migrate import upgrade
from versionsync.simulator import FaultKind

OUTAGE_SECONDS: Final = float(os.environ.get("VERSIONSYNC_TEST_OUTAGE_SECONDS", "34"))
NOTICED_SECONDS: Final = 60.0
"""What is a second old at the most counts as stale after half a minute."""
RECOVERED_SECONDS: Final = 150.0
"""The longest wait between two tries is two minutes."""
MOST_REQUESTS: Final = 12 + OUTAGE_SECONDS / 6

pytestmark = pytest.mark.timeout(OUTAGE_SECONDS + NOTICED_SECONDS + RECOVERED_SECONDS + 120)


def outlast(since: float) -> None:
    """Wait for the end of an outage that began then."""
    time.sleep(max(since + OUTAGE_SECONDS - time.monotonic(), 0.0))


def assert_told_once(daemon: Daemon, *names: str) -> None:
    """That they fail, and that it has passed; what never came to its end within one run is told not at all."""
    for name in names:
        failing, recovered = (
            [line for line in daemon.said(event) if (line["source"], line["level"]) == (name, level)]
            for event, level in (("source.failing", "warning"), ("source.recovered", "info"))
        )
        assert len(failing) <= 1, failing
        assert len(recovered) == len(failing), (failing, recovered)


def test_datocms_is_gone_and_comes_back(tmp_path: Path) -> None:
    """Nobody listens, 503, or no answer ever: each is told, the source beside them is followed as ever."""
    url = f"sqlite:///{tmp_path / 'versionsync.db'}"
    names = ("well", "gone", "refusing", "silent")
    with ExitStack() as stack:
        projects = {name: Project(seed) for seed, name in enumerate(names)}
        for project in projects.values():
            stack.callback(project.stop)
        daemon = Daemon(tmp_path, url, projects)
        stack.enter_context(daemon.living())
        eventually(lambda: all(project.is_mirrored(url, name) for name, project in projects.items()), seconds=60)
        eventually(daemon.is_ready, seconds=10)

        began = time.monotonic()
        projects["gone"].stop()
        projects["refusing"].faults.rates = {FaultKind.UNAVAILABLE: 1.0}
        projects["silent"].faults.rates = {FaultKind.STALL: 1.0}
        asked = projects["refusing"].requests
        for project in projects.values():
            project.edit()
        eventually(lambda: projects["well"].is_mirrored(url, "well"), seconds=15)
        eventually(lambda: all(name in daemon.ask("/readyz")[1] for name in names[1:]), seconds=NOTICED_SECONDS)
        noticed = time.monotonic() - began
        code, reason = daemon.ask("/readyz")
        assert code == 503
        assert "well" not in reason
        assert daemon.lives()
        outlast(began)
        assert projects["refusing"].requests - asked <= MOST_REQUESTS
        assert daemon.ask("/readyz")[0] == 503

        ended = time.monotonic()
        projects["gone"].start()
        for name in ("refusing", "silent"):
            projects[name].faults.clear()
        eventually(
            lambda: all(project.is_mirrored(url, name) for name, project in projects.items()), seconds=RECOVERED_SECONDS
        )
        eventually(daemon.is_ready, seconds=10)
        print(
            f"DatoCMS gone for {ended - began:.0f} s: noticed after {noticed:.0f} s, ready again after "
            f"{time.monotonic() - ended:.0f} s; {projects['refusing'].requests - asked} requests were refused"
        )
        assert_told_once(daemon, *names[1:])
        assert [line for line in daemon.said("source.failing") if line["source"] == "well"] == []
        daemon.end()


@pytest.mark.postgres
def test_postgresql_is_stopped_and_started(tmp_path: Path) -> None:
    """Webhooks that come meanwhile are refused, and what they told is mirrored afterwards."""
    # Not in the folder of the test: the server's own user may not look into that.
    with own_server(Path(gettempdir()) / f"versionsync-outage-{uuid4().hex[:8]}") as server, ExitStack() as stack:
        url = server.url.replace("postgresql://", "postgresql+psycopg://")
        upgrade(url)
        project = Project(1)
        stack.callback(project.stop)
        daemon = Daemon(tmp_path, url, {"website": project})
        stack.enter_context(daemon.living())
        outlasts(daemon, project, url, gone=lambda: server.stop("fast"), back=server.start)
        daemon.end()


def test_the_folder_of_a_sqlite_mirror_goes_and_comes_back(tmp_path: Path) -> None:
    """As a volume that was not mounted for a while: no other mirror is begun meanwhile in its place."""
    folder, away = tmp_path / "volume", tmp_path / "away"
    folder.mkdir()
    url = f"sqlite:///{folder / 'versionsync.db'}"

    def back() -> None:
        assert not folder.exists(), sorted(folder.iterdir())
        away.rename(folder)

    project = Project(1)
    daemon = Daemon(tmp_path, url, {"website": project})
    with daemon.living():
        try:
            outlasts(daemon, project, url, gone=lambda: folder.rename(away), back=back)
            daemon.end()
        finally:
            project.stop()


def outlasts(
    daemon: Daemon, project: Project, url: str, *, gone: Callable[[], object], back: Callable[[], object]
) -> None:
    """The database goes, editors go on, and it comes back."""
    eventually(lambda: project.is_mirrored(url, "website"), seconds=60)
    eventually(daemon.is_ready, seconds=10)
    project.call(f"http://127.0.0.1:{daemon.port}/webhooks/website")
    began, asked = time.monotonic(), project.requests
    gone()
    project.edit()
    eventually(lambda: daemon.ask("/readyz")[0] == 503, seconds=NOTICED_SECONDS)
    noticed = time.monotonic() - began
    assert "website: " in daemon.ask("/readyz")[1]
    assert daemon.lives()
    outlast(began)
    assert daemon.ask("/readyz")[0] == 503
    assert project.requests - asked <= MOST_REQUESTS

    ended = time.monotonic()
    back()
    eventually(lambda: project.is_mirrored(url, "website"), seconds=RECOVERED_SECONDS)
    eventually(daemon.is_ready, seconds=30)
    print(
        f"the database gone for {ended - began:.0f} s: noticed after {noticed:.0f} s, ready again after "
        f"{time.monotonic() - ended:.0f} s; {project.requests - asked} requests meanwhile"
    )
    assert_told_once(daemon, "website")
    project.edit()
    eventually(lambda: project.is_mirrored(url, "website"), seconds=15)
