"""Which process holds a lease, and whether it is known to be dead.

A process id alone says little: it is used again after a while, and means another process in another container. Linux
names the running kernel (boot id), the container (pid namespace) and the process's start. Only if kernel and container
are our own and the process does not exist, it is dead. Otherwise its lease has to expire. Absence from /proc proves
nothing: processes of other users and services may be hidden there.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

__all__ = ["Holder", "this_user"]

PROC = Path("/proc")


def this_user() -> str:
    """Return who runs this process, and where: `ben@desk`."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # in a container, a user may have no name
        name = str(os.geteuid())
    return f"{name}@{socket.gethostname()}"


@dataclass(frozen=True, slots=True)
class Holder:
    """A process. `start` is its start in kernel ticks. The last three are None if unknown."""

    host: str
    pid: int
    start: int | None = None
    boot_id: str | None = None
    pid_namespace: str | None = None

    @classmethod
    def of_this_process(cls) -> Self:
        pid = os.getpid()
        return cls(
            host=socket.gethostname(), pid=pid, start=_start(pid), boot_id=_boot_id(), pid_namespace=_pid_namespace()
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Return the form for `leases.holder`."""
        return json.dumps(asdict(self))

    def is_known_dead(self) -> bool:
        """Return whether it ran on this kernel, in this container, and has ended."""
        if self.start is None or self.boot_id is None or self.pid_namespace is None:
            return False
        if (self.host, self.boot_id, self.pid_namespace) != (socket.gethostname(), _boot_id(), _pid_namespace()):
            return False
        return not _lives(self.pid, self.start)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def _lives(pid: int, start: int) -> bool:
    """Return whether the process with this id and start may still run. A zombie does not."""
    words = _stat(pid)
    if words is None:
        return _is_used(pid)
    return words[0] not in "ZX" and int(words[19]) == start


def _is_used(pid: int) -> bool:
    """Return whether a process has that id, visible or hidden. This sends no signal."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _start(pid: int) -> int | None:
    """Return when a process of this container started, or None if it is not visible."""
    words = _stat(pid)
    return None if words is None else int(words[19])


def _stat(pid: int) -> list[str] | None:
    """Return the fields of a process's `stat` from its state on, or None if it does not exist or is hidden."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may contain anything. After it, the state is the first field and the start the 20th.
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
