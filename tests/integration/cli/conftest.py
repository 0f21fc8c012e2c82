"""Runs command lines as a user would, in this process and in an empty folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.worlds import blog
from versionsync.cli.context import CliContext
from versionsync.cli.main import run
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread


@dataclass(frozen=True)
class Ran:
    """What a command line came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on standard output."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The objects on standard output, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def written(self) -> str:
        """Everything that was written."""
        return self.out + self.err


Cli = Callable[..., Ran]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command line in the test's folder; keywords are environment variables."""
    monkeypatch.chdir(tmp_path)

    def cli(*argv: str, **environ: str) -> Ran:
        capsys.readouterr()
        code = run(argv, CliContext(environ=environ))
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return cli


@pytest.fixture
def upstream() -> Iterator[SimulatorThread]:
    """A simulated project: a blog of three posts with two versions each."""
    with SimulatorThread(blog()) as simulator:
        yield simulator


@pytest.fixture
def at(upstream: SimulatorThread) -> dict[str, str]:
    """The environment variables with which commands find `upstream`."""
    return {
        "DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN,
        "VERSIONSYNC_BASE_URL": upstream.url,
        "VERSIONSYNC_RATE_LIMIT": "none",
    }
