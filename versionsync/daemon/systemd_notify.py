"""Reports to systemd: ready, the status, still alive. And finds activities that are stuck.

The protocol is one datagram of `NAME=value` lines to a socket whose address is in the environment
(https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html). Without that address nothing is sent.

The watchdog goes by what gets done, not by a timer. Each activity has a mark that changes whenever something got done.
One whose mark stays the same for too long is stuck: a run whose deadline could not end it, a database call that never
returns.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from versionsync.daemon.errors import CannotListen
from versionsync.daemon.worker_state import WorkerState, WorkerStatus

__all__ = ["Activity", "SystemdNotifier", "Watchdog", "inherited_socket", "is_ready", "summary"]

FIRST_INHERITED: Final = 3
"""The file descriptor of the first socket that a service inherits from its socket unit."""
START_SECONDS: Final = 60
"""How much longer a start may take from now on: a first backfill is slow."""
_STATUS_LENGTH: Final = 200


class SystemdNotifier:
    """Sends messages to the service manager that the environment names. A message that cannot be sent is dropped."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_seconds = _watchdog_seconds(environ)
        """How often systemd expects `alive`; None: never."""

    @property
    def is_present(self) -> bool:
        """Whether a service manager listens."""
        return bool(self._address)

    def starting(self, status: str) -> None:
        """Report that the start takes longer, and goes on."""
        self._send(STATUS=status, EXTEND_TIMEOUT_USEC=START_SECONDS * 1_000_000)

    def ready(self, status: str) -> None:
        """Report that the services that depend on it may start."""
        self._send(READY=1, STATUS=status)

    def reloading(self) -> None:
        """Report that the settings are read again; `ready` ends that."""
        self._send(RELOADING=1, MONOTONIC_USEC=time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)

    def alive(self, status: str) -> None:
        """Report progress. systemd restarts a service that does not do so every `watchdog_seconds`."""
        self._send(WATCHDOG=1, STATUS=status)

    def stopping(self) -> None:
        self._send(STOPPING=1, STATUS="stopping")

    def _send(self, **variables: str | int) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        lines = "\n".join(f"{name}={str(value).replace(chr(10), ' ')}" for name, value in variables.items())
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            notify.setblocking(False)
            notify.sendto(lines.encode(), address)


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that should get on. Its `mark` may stay the same for `timeout` seconds; None: it rests."""

    name: str
    mark: object | None
    timeout: float


class Watchdog:
    """Remembers since when each mark has been the same."""

    def __init__(self) -> None:
        self._seen: Mapping[str, tuple[object, float]] = {}

    def stuck(self, activities: Iterable[Activity], now: float) -> list[str]:
        """Return the names of the activities that are stuck; `now` is monotonic."""
        seen: dict[str, tuple[object, float]] = {}
        stuck: list[str] = []
        for activity in activities:
            if activity.mark is None:
                continue
            mark, since = self._seen.get(activity.name, (None, now))
            since = since if mark == activity.mark else now
            seen[activity.name] = activity.mark, since
            if now - since > activity.timeout:
                stuck.append(activity.name)
        self._seen = seen
        return stuck


def is_ready(states: Iterable[WorkerState]) -> bool:
    """Return whether the first run of every source has ended. One that failed is no reason to start again."""
    return all(state.status is not WorkerStatus.STARTING for state in states)


def summary(states: Iterable[WorkerState]) -> str:
    """Return one line: the states of all sources, and the error of the first one that fails."""
    states = list(states)
    parts = [
        f"{count} {status.value}" for status in WorkerStatus if (count := sum(one.status is status for one in states))
    ]
    failing = next((state for state in states if state.status is WorkerStatus.FAILING), None)
    reason = f"; {failing.name}: {failing.error}" if failing else ""
    return f"{', '.join(parts) or 'no sources'}{reason}"[:_STATUS_LENGTH]


def inherited_socket(environ: Mapping[str, str] = os.environ) -> socket.socket | None:
    """Return the listening socket that a socket unit opened for this process, if there is one. Raises CannotListen.

    The socket outlives the process: a client that connects during a restart waits instead of being refused.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()) or environ.get("LISTEN_FDS", "0") in ("", "0"):
        return None
    try:
        inherited = socket.socket(fileno=FIRST_INHERITED)
        if inherited.type != socket.SOCK_STREAM or not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError("it does not listen")
    except OSError as error:
        raise CannotListen(
            f"the inherited socket (LISTEN_FDS) cannot be used: {error.strerror or error}",
            hint="Its unit must have ListenStream=, and no Accept=yes; or start without LISTEN_FDS.",
        ) from None
    return inherited


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 1e6 or None
