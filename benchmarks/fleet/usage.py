"""What processes use, and what they used between two moments. Linux only: zeros elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import memory_of

__all__ = ["Meter", "Size", "cpu_seconds", "size_of"]


@dataclass(frozen=True, slots=True)
class Size:
    """What a process has at a moment; `memory` in bytes."""

    threads: int
    descriptors: int
    memory: int


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of one process, its children left out. 0: it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def size_of(pid: int) -> Size:
    """Return how many threads and descriptors a running process has, and its memory."""
    try:
        descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return Size(0, 0, 0)
    threads = next(line for line in status.splitlines() if line.startswith("Threads:"))
    return Size(int(threads.split()[1]), descriptors, memory_of(pid))


class Meter:
    """CPU seconds of some processes from its creation on. `processes`: what tells those of each so far, by its name."""

    def __init__(self, processes: Mapping[str, Callable[[], float]]) -> None:
        self._processes = processes
        self._began, self._own = time.monotonic(), time.process_time()
        self._before = {name: read() for name, read in processes.items()}

    @property
    def seconds(self) -> float:
        """How long it has measured."""
        return time.monotonic() - self._began

    def used(self) -> Mapping[str, float]:
        """Return the CPU seconds of each process so far."""
        return {name: read() - self._before[name] for name, read in self._processes.items()}

    def own_share(self) -> float:
        """Return the share of a core that this process itself has used, which measures."""
        return (time.process_time() - self._own) / self.seconds
