"""Ctrl-C and SIGTERM: the first one stops cleanly within a second, the second one at once; the next run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from sqlite3 import OperationalError

import pytest

from tests.integration.cli.conftest import Cli
from tests.integration.cli.mirror_queries import rows, version_count
from tests.integration.cli.processes import running
from tests.integration.cli.worlds import blog
from versionsync.simulator import FULL_ACCESS_TOKEN, RateLimit, SimulatorThread


@pytest.fixture
def project() -> Iterator[SimulatorThread]:
    """One whose backfill takes some seconds, because of the rate limit."""
    with SimulatorThread(blog(records=120, versions=2), limits=RateLimit(60)) as simulator:
        yield simulator


@pytest.fixture
def slow(project: SimulatorThread) -> dict[str, str]:
    """The environment variables with which commands find it."""
    return {"DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN, "VERSIONSYNC_BASE_URL": project.url}


def versions(folder: Path) -> int:
    return version_count(folder / "versionsync.db")


def wait_for_versions(folder: Path) -> None:
    """Until the backfill has committed something."""
    for _ in range(1200):
        time.sleep(0.1)
        try:
            if versions(folder):
                return
        except OperationalError:
            continue
    raise AssertionError("nothing was mirrored within two minutes")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly_and_says_what_is_kept(
    slow: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    with running("sync", cwd=tmp_path, **slow) as process:
        wait_for_versions(tmp_path)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted. What was committed is kept (" in err
    assert "Traceback" not in err
    assert rows(tmp_path / "versionsync.db", "select outcome from runs") == [("interrupted",)]


def test_two_signals_stop_it_at_once(slow: dict[str, str], tmp_path: Path) -> None:
    with running("sync", cwd=tmp_path, **slow) as process:
        wait_for_versions(tmp_path)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130


def test_json_says_that_it_was_interrupted(slow: dict[str, str], tmp_path: Path) -> None:
    with running("sync", "--json", cwd=tmp_path, **slow) as process:
        wait_for_versions(tmp_path)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert '"outcome":"interrupted"' in out
    assert err == ""


def test_the_next_run_goes_on_from_there(
    cli: Cli, project: SimulatorThread, slow: dict[str, str], tmp_path: Path
) -> None:
    with running("sync", cwd=tmp_path, **slow) as process:
        wait_for_versions(tmp_path)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    kept = versions(tmp_path)
    project.simulator.limits = None
    (source,) = cli("sync", "--json", **slow, VERSIONSYNC_RATE_LIMIT="none").json["sources"]
    assert source["outcome"] == "succeeded"
    assert source["counts"]["versions_inserted"] == 240 - kept
    assert versions(tmp_path) == 240


LOADING = """
import os, signal, sys, weakref

class Thing: ...

class Finder:
    def find_spec(name, path=None, target=None):
        if name == sys.argv[1]:
            thing = Thing()
            seen = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGINT))
            del thing

from versionsync.__main__ import main
sys.meta_path.insert(0, Finder)
sys.exit(main(["sync"]))
"""


@pytest.mark.parametrize("loaded", ["versionsync.cli.context", "versionsync.sync.report"])
def test_ctrl_c_while_it_loads_ends_it(loaded: str, slow: dict[str, str], tmp_path: Path) -> None:
    """Also where Python drops the exception that it is, as here."""
    command = [sys.executable, "-c", LOADING, loaded]
    ran = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **slow}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


def test_a_signal_before_anything_began_ends_it_too(tmp_path: Path, slow: dict[str, str]) -> None:
    with running("sync", cwd=tmp_path, is_fresh=True, **slow) as process:
        time.sleep(0.15)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    if "Could not import runpy module" in err:
        return  # on a busy machine Python itself has not begun: nothing of ours runs yet
    assert process.returncode in (130, -signal.SIGINT), err
    assert "Traceback" not in err or process.returncode == -signal.SIGINT
