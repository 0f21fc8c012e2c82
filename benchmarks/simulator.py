"""What many projects in one simulator cost: CPU time and memory at the start, and CPU time for each answer."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from benchmarks.processes import cpu_seconds_of_server, memory_of
from benchmarks.tables import Table, megabytes, thousands

__all__ = ["measure"]

ANSWERS = 10_000


def measure(*, small: bool) -> list[Table]:
    """The table of projects: each row is a `versionsync simulator --projects N` of its own."""
    answers = ANSWERS // 10 if small else ANSWERS
    rows = []
    alone = 0
    for projects in (1, 10, 100) if small else (1, 100, 1_000):
        row, memory = _measured(projects, answers, alone)
        alone = alone or memory
        rows.append(row)
    return [
        Table(
            "Many projects in one simulator, 10 records with 6 versions each",
            ("projects", "CPU until up", "memory", "a project", f"after {thousands(answers)} answers", "CPU an answer"),
            rows,
            (
                "Memory is the resident size of the process; a project is what it grows by. The answers, to "
                "`GET /items`, go through the projects in turn.",
            ),
        )
    ]


def _measured(projects: int, answers: int, alone: int) -> tuple[list[str], int]:
    command = [sys.executable, "-m", "versionsync", "simulator", "--projects", str(projects)]
    with subprocess.Popen(
        [*command, "--port", "0", "--rate-limit", "none", "--json"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            started = json.loads(process.stdout.readline())
            until_up = cpu_seconds_of_server(process.pid)
            at_start = memory_of(process.pid)
            _ask(started["url"], [project["token"] for project in started["projects"]], answers)
            afterwards = memory_of(process.pid)
            answering = cpu_seconds_of_server(process.pid) - until_up
        finally:
            process.terminate()
    each = f"{(at_start - alone) / (projects - 1) / 1000:,.0f} KB" if alone else "-"
    cost = f"{1000 * answering / answers:.2f} ms"
    return [
        thousands(projects), f"{until_up:.1f} s", megabytes(at_start), each, megabytes(afterwards), cost
    ], at_start  # fmt: skip


def _ask(url: str, tokens: Sequence[str], answers: int) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    for number in range(answers):
        headers = {"Authorization": f"Bearer {tokens[number % len(tokens)]}", "Accept": "application/json"}
        connection.request("GET", "/items?version=current", headers=headers)
        response = connection.getresponse()
        response.read()
        assert response.status == 200
    connection.close()
