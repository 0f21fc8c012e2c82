"""Which process holds a lease, and whether it is known to be dead.

A process id alone says little: it is used again after a while, and in another container it is somebody else. Linux
names the running kernel (boot id), the container (pid namespace) and the process's start; only where all of these are
ours and the process is not there, it is dead. Anywhere else nobody can tell, and its lease has to expire. That it is
not seen in /proc proves nothing: the processes of other users and services may be hidden there.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

__all__ = ["Holder"]

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process. `start` is its kernel's count of ticks at its start; the last three are None where not known."""

    host: str
    pid: int
    start: int | None = None
    boot_id: str | None = None
    pid_namespace: str | None = None

    @classmethod
    def of_this_process(cls) -> Self:
        """The process that asks."""
        pid = os.getpid()
        return cls(
            host=socket.gethostname(), pid=pid, start=_start(pid), boot_id=_boot_id(), pid_namespace=_pid_namespace()
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """As `leases.holder` keeps it."""
        return json.dumps(asdict(self))

    def is_known_dead(self) -> bool:
        """Whether this very process ran on this kernel, in this container, and is no more."""
        if self.start is None or self.boot_id is None or self.pid_namespace is None:
            return False
        if (self.host, self.boot_id, self.pid_namespace) != (socket.gethostname(), _boot_id(), _pid_namespace()):
            return False
        return not _lives(self.pid, self.start)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def _lives(pid: int, start: int) -> bool:
    """Whether the process that had this id at that start may still be there; not: all but its exit status is gone."""
    words = _stat(pid)
    if words is None:
        return _is_used(pid)
    return words[0] not in "ZX" and int(words[19]) == start


def _is_used(pid: int) -> bool:
    """Whether there is a process of that id, seen or hidden. No signal is sent."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _start(pid: int) -> int | None:
    """When a process of this container started; None: it is not to be seen."""
    words = _stat(pid)
    return None if words is None else int(words[19])


def _stat(pid: int) -> list[str] | None:
    """What the kernel says of a process, from its state on; None: it is not there, or hidden."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold anything; behind it the state comes first, and the start as the 20th.
    words = stat.rpartition(")")[2].split()
    return words if len(words) >= 20 else None


def _boot_id() -> str | None:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _pid_namespace() -> str | None:
    try:
        return str((PROC / "self/ns/pid").readlink())
    except OSError:
        return None
