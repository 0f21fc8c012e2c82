"""The log of a daemon: every line says what it is about, INFO is a few lines a run, and nothing secret is in it."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from tests.integration.cli.processes import ran, running
from versionsync.cli.logging.journal import ADDRESS
from versionsync.simulator import FULL_ACCESS_TOKEN, FaultKind, SimulatorThread

SECRET = "a title that is nobody's business"


def log_of(upstream: SimulatorThread, folder: Path, *options: str, until: str) -> list[dict[str, object]]:
    """The lines of a daemon from its start to its end, which comes when the event `until` was told."""
    with running(
        "run",
        *options,
        cwd=folder,
        DATOCMS_API_TOKEN=FULL_ACCESS_TOKEN,
        VERSIONSYNC_BASE_URL=upstream.url,
        VERSIONSYNC_RATE_LIMIT="none",
        VERSIONSYNC_HTTP_PORT="0",
    ) as process:
        assert process.stderr is not None
        text = ""
        while f'"{until}"' not in text:
            line = process.stderr.readline()
            assert line, text
            text += line
        process.send_signal(signal.SIGTERM)
        text += process.communicate(timeout=60)[1]
    assert process.returncode == 0
    for secret in (FULL_ACCESS_TOKEN, SECRET):
        assert secret not in text
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def busy(upstream: SimulatorThread) -> SimulatorThread:
    """One whose records have something to hide."""
    upstream.act(lambda world: world.create(world.user, "post", {"title": SECRET}))
    return upstream


def test_every_line_says_what_it_is_about(busy: SimulatorThread, tmp_path: Path) -> None:
    """With -v each request does: of which source, in which run, for which record."""
    lines = log_of(busy, tmp_path, "-v", until="run.finished")
    requests = [line for line in lines if line["event"] == "request.finished"]
    assert {line["source"] for line in requests} == {"default"}
    assert {line["run"] for line in requests if str(line["request"]).endswith("/items")} == {1}
    of_records = [line for line in requests if str(line["request"]).endswith("/versions")]
    assert of_records
    for line in of_records:
        assert line["request"] == f"GET /items/{line['record']}/versions"
        assert line["run"] == 1
    (finished,) = [line for line in lines if line["event"] == "run.finished"]
    assert (finished["source"], finished["run"], finished.get("record")) == ("default", 1, None)


def test_info_is_a_few_lines_a_run_whatever_happens(busy: SimulatorThread, tmp_path: Path) -> None:
    """An upstream that is slow and stumbles is no flood."""
    for nth in range(1, 4):
        busy.simulator.faults.plant(FaultKind.UNAVAILABLE, path="/versions", nth=nth)
        busy.simulator.faults.plant(FaultKind.THROTTLED, path="/items", nth=nth)
    lines = log_of(busy, tmp_path, until="run.finished")
    assert {line["level"] for line in lines} == {"info"}
    told = [line["event"] for line in lines[: [line["event"] for line in lines].index("run.finished") + 1]]
    assert len(told) <= 5, told


def test_no_secret_and_no_content_even_in_debugging(busy: SimulatorThread, tmp_path: Path) -> None:
    """Of our own lines and of those of the libraries."""
    assert log_of(busy, tmp_path, "-vv", until="run.finished")


@pytest.mark.skipif(Path(ADDRESS).exists(), reason="the journal of this machine would take the lines")
def test_a_service_whose_journal_takes_no_entries_marks_its_lines(at: dict[str, str], tmp_path: Path) -> None:
    """Standard error leads to the journal, says the environment: each line begins with its priority there."""
    path = tmp_path / "stream"
    with path.open("w") as stream:
        status = os.fstat(stream.fileno())
        journal = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        ran("sync", "-v", cwd=tmp_path, stderr=stream, **at, **journal)
    lines = path.read_text().splitlines()
    assert any(re.match(r"<6>run\.finished source=default run=1 .*outcome=succeeded", line) for line in lines), lines
    assert FULL_ACCESS_TOKEN not in "".join(lines)
