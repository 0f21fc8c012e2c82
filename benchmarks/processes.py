"""Each measured thing in a process of its own, and what the operating system says of a process."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from versionsync.__main__ import collect_garbage_rarely

__all__ = ["SPAWN", "cpu_seconds_of_server", "in_own_process", "memory_of", "peak_memory"]

P = ParamSpec("P")
T = TypeVar("T")

SPAWN = multiprocessing.get_context("spawn")  # nothing of the parent's memory is in the child's


def in_own_process(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work(*args, **kwargs)` returns in a fresh process, which collects garbage as the program does."""
    with ProcessPoolExecutor(1, mp_context=SPAWN, initializer=collect_garbage_rarely) as executor:
        return executor.submit(work, *args, **kwargs).result()


def peak_memory() -> int:
    """The most bytes of memory that this process has had so far."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage tells the parent's peak where that was higher
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def memory_of(pid: int) -> int:
    """The bytes of memory that a process has now. Linux only: 0 elsewhere."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def cpu_seconds_of_server(pid: int) -> float:
    """CPU seconds of a process, of its children, and of those children that have ended. Linux only: 0 elsewhere."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        parent, times = int(fields[1]), [int(field) for field in fields[11:15]]
        if stat.parent.name == str(pid):
            total += sum(times)
        elif parent == pid:
            total += sum(times[:2])
    return total / os.sysconf("SC_CLK_TCK")
