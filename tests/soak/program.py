"""A daemon as a process that is started, killed, suspended and watched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["Program", "Sample"]

CHECKOUT = Path(__file__).parents[2]
PATIENCE_SECONDS = 30.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Sample:
    """What the operating system says of a process: resident bytes, open files and sockets, threads."""

    at: float
    age: float
    memory: int
    files: int
    threads: int


class Program:
    """`versionsync run`, again and again, with one log for all its lives."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str], *, port: int) -> None:
        self.name = name
        self.port = port
        self.log = folder / f"{name}.log"
        self.samples: list[Sample] = []
        self.is_suspended = False
        self._folder = folder
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._environment = kept | {"PYTHONPATH": str(CHECKOUT)} | dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._born = 0.0

    @property
    def pid(self) -> int:
        """Of the process that lives now; 0: none does."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Begin a life."""
        self._output = self.log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "versionsync", "run"],
            cwd=self._folder,
            env=self._environment,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        self._born = time.monotonic()

    def kill(self) -> None:
        """SIGKILL: nothing can be put in order before."""
        self._send(signal.SIGKILL)
        self._bury()

    def suspend(self) -> None:
        """SIGSTOP: as a machine that sleeps."""
        self.is_suspended = True
        self._send(signal.SIGSTOP)

    def wake(self) -> None:
        """SIGCONT: it does not know that it slept."""
        self._send(signal.SIGCONT)
        self.is_suspended = False

    def end(self) -> float:
        """SIGTERM; returns the seconds until it had ended, with exit code 0."""
        begun = time.monotonic()
        self._send(signal.SIGTERM)
        assert self._bury() == 0, f"{self.name} ended with an error: see {self.log}"
        return time.monotonic() - begun

    def bury(self) -> None:
        """Make sure that it does not live any more."""
        if self._process is not None:
            self.kill()

    def look(self) -> None:
        """Note what it takes now; it must be alive."""
        process = self._process
        if process is None or self.is_suspended:
            return
        assert process.poll() is None, f"{self.name} has ended by itself ({process.returncode}): see {self.log}"
        seen, now = Path("/proc") / str(process.pid), time.monotonic()
        try:
            memory = int((seen / "statm").read_text().split()[1]) * PAGE_BYTES
            files, threads = len(list((seen / "fd").iterdir())), len(list((seen / "task").iterdir()))
        except (FileNotFoundError, ProcessLookupError):
            return  # it was killed at this moment
        self.samples.append(Sample(now, now - self._born, memory, files, threads))

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _bury(self) -> int:
        assert self._process is not None
        assert self._output is not None
        process, self._process = self._process, None
        try:
            return process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
            self._output.close()
