"""Several daemons on one database, as people start them: `versionsync run`, each a program with its own settings."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from benchmarks.daemon.process import STOP_SECONDS, free_port
from benchmarks.fleet.upstream import token_of

__all__ = ["Daemon", "Fleet", "fleet", "name_of", "settings_of"]

MAX_STALENESS = 120
PASSWORD = "of the benchmark, long"
READY_SECONDS = 120.0
PROBE_SECONDS = 0.5
ANSWER_SECONDS = 5.0


def name_of(project: int) -> str:
    """Return the name of the source for the project in a place, counted from 0."""
    return f"source-{project + 1:04}"


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running daemon. `number` is its place in the fleet, which a restarted one keeps."""

    number: int
    port: int
    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self.process.pid


class Fleet:
    """Starts and stops daemons that all have all sources.

    Attributes:
        running: The running daemons by their numbers.
        numbers: The number of each daemon that ever ran, by its process id.
        killed: When each killed process ended, by its id.
    """

    def __init__(self, folder: Path, *, upstream: str, database: str, sources: Sequence[int]) -> None:
        """Start nothing yet. `sources`: the places of the projects."""
        self._folder = folder
        self._upstream = upstream
        self._database = database
        self._sources = sources
        self.running: dict[int, Daemon] = {}
        self.numbers: dict[int, int] = {}
        self.killed: dict[int, float] = {}
        self._listening: set[int] = set()

    async def start(self, number: int) -> Daemon:
        """Start the daemon with this number; it may have run before."""
        port = free_port()
        file = self._folder / f"{number}.toml"
        file.touch(mode=0o600)  # it holds tokens
        file.write_text(
            settings_of(number, port=port, upstream=self._upstream, database=self._database, sources=self._sources)
        )
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("VERSIONSYNC_", "DATOCMS_"))}
        with self.log_of(number).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "versionsync", "--config", str(file), "run"),
                stdout=log,
                stderr=log,
                env={**ours, "BENCHMARK_PASSWORD": PASSWORD},
            )
        daemon = self.running[number] = Daemon(number, port, process)
        self.numbers[daemon.pid] = number
        return daemon

    async def stop(self, number: int) -> float:
        """End a daemon cleanly; return how many seconds that took."""
        began, daemon = time.monotonic(), self._pop(number)
        with suppress(ProcessLookupError):
            daemon.process.terminate()
        try:
            await asyncio.wait_for(daemon.process.wait(), STOP_SECONDS)
        except TimeoutError:
            await self._kill(daemon)
        return time.monotonic() - began

    async def kill(self, number: int) -> None:
        """End a daemon with SIGKILL."""
        await self._kill(self._pop(number))

    def listening(self) -> Mapping[int, int]:
        """Return the ports of the running daemons that have answered `probe`, by their numbers."""
        return {number: daemon.port for number, daemon in self.running.items() if daemon.pid in self._listening}

    async def probe(self, http: aiohttp.ClientSession) -> None:
        """Ask new daemons whether they live until they say so, without an end, as a balancer of load does."""
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            for daemon in list(self.running.values()):
                if daemon.pid not in self._listening and await _answers(http, daemon, "/livez"):
                    self._listening.add(daemon.pid)

    async def is_ready(self, http: aiohttp.ClientSession, number: int) -> bool:
        """Wait until a daemon says that it is ready. Return False if it does not within READY_SECONDS."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if await _answers(http, self.running[number], "/readyz"):
                return True
            await asyncio.sleep(PROBE_SECONDS)
        return False

    def log_of(self, number: int) -> Path:
        """Return the log of the daemon with this number, of all of its lives."""
        return self._folder / f"{number}.log"

    def problems(self) -> Counter[str]:
        """Return how many lines of all logs are errors or warnings, by what they say."""
        lines = (
            line
            for number in sorted(set(self.numbers.values()))
            for line in self.log_of(number).read_text(errors="replace").splitlines()
        )
        return Counter(problem for line in lines if (problem := _problem_of(line)) is not None)

    def _pop(self, number: int) -> Daemon:
        daemon = self.running.pop(number)
        self._listening.discard(daemon.pid)
        return daemon

    async def _kill(self, daemon: Daemon) -> None:
        with suppress(ProcessLookupError):
            daemon.process.send_signal(signal.SIGKILL)
        self.killed[daemon.pid] = time.time()
        await daemon.process.wait()


def settings_of(number: int, *, port: int, upstream: str, database: str, sources: Sequence[int]) -> str:
    """Return the settings file of the daemon with this number. `sources`: the places of the projects."""
    lines = [f'database_url = "{database}"', "[http]", f"port = {port}"]
    for place in sources:
        lines += [
            "[[sources]]",
            f'name = "{name_of(place)}"',
            f'base_url = "{upstream}"',
            f'api_token = "{token_of(place, number)}"',
            f"max_staleness = {MAX_STALENESS}",
            'webhook_password_env = "BENCHMARK_PASSWORD"',
        ]
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def fleet(*, upstream: str, database: str, sources: Sequence[int]) -> AsyncIterator[Fleet]:
    """A fleet without daemons yet; those that run at the end are stopped."""
    with TemporaryDirectory(prefix="versionsync-bench-") as folder:
        made = Fleet(Path(folder), upstream=upstream, database=database, sources=sources)
        try:
            yield made
        finally:
            await asyncio.gather(*(made.stop(number) for number in list(made.running)))


async def _answers(http: aiohttp.ClientSession, daemon: Daemon, path: str) -> bool:
    """Return whether a daemon answers with 200."""
    url = f"http://127.0.0.1:{daemon.port}{path}"
    try:
        async with http.get(url, timeout=aiohttp.ClientTimeout(ANSWER_SECONDS)) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


def _problem_of(line: str) -> str | None:
    """Return what a line of the log says if it is an error or a warning; also of what is not in the log's form."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None if not line.strip() or line[0].isspace() else f"(not logged) {line.partition(':')[0]}"
    kind = f" ({entry['error_kind']})" if "error_kind" in entry else ""
    return f"{entry['event']}{kind}" if entry["level"] in {"warning", "error", "critical"} else None
