"""What systemd is told of the daemon: ready, what it is at, still alive. Where nobody supervises, nothing is told.

The protocol is one datagram of `NAME=value` lines to a socket whose address is in the environment
(https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

from versionsync.daemon.errors import CannotListen
from versionsync.daemon.state import WorkerState, WorkerStatus

__all__ = ["SystemdNotifier", "inherited_socket", "is_ready", "summary"]

FIRST_INHERITED: Final = 3
"""The file descriptor of the first socket that a service inherits from its socket unit."""
START_SECONDS: Final = 60
"""How much longer a start may take from now on; a first backfill takes its time."""
_STATUS_LENGTH: Final = 200


class SystemdNotifier:
    """The service manager, as the environment names it. What cannot be told is not: that is no reason to stop."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_seconds = _watchdog_seconds(environ)
        """So often it wants to hear that all is well; None: it does not."""

    @property
    def is_present(self) -> bool:
        """Whether somebody listens."""
        return bool(self._address)

    def starting(self, status: str) -> None:
        """It takes a while until `ready`, and goes on."""
        self._send(STATUS=status, EXTEND_TIMEOUT_USEC=START_SECONDS * 1_000_000)

    def ready(self, status: str) -> None:
        """Everything that depends on it may begin."""
        self._send(READY=1, STATUS=status)

    def reloading(self) -> None:
        """The settings are read again; `ready` ends that."""
        self._send(RELOADING=1, MONOTONIC_USEC=time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)

    def status(self, status: str) -> None:
        """What it is at, for people."""
        self._send(STATUS=status)

    def alive(self, status: str) -> None:
        """It makes progress. Said less often than every `watchdog_seconds`, it is restarted."""
        self._send(WATCHDOG=1, STATUS=status)

    def stopping(self) -> None:
        """It ends."""
        self._send(STOPPING=1, STATUS="stopping")

    def _send(self, **variables: str | int) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        lines = "\n".join(f"{name}={str(value).replace(chr(10), ' ')}" for name, value in variables.items())
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            notify.setblocking(False)
            notify.sendto(lines.encode(), address)


def is_ready(states: Iterable[WorkerState]) -> bool:
    """Whether the first look at every source is over, however it ended: one that fails is no reason to start again."""
    return all(state.status is not WorkerStatus.STARTING for state in states)


def summary(states: Iterable[WorkerState]) -> str:
    """One line: how it stands with all sources, and what is wrong with the first that fails."""
    states = list(states)
    parts = [
        f"{count} {stance.value}" for stance in WorkerStatus if (count := sum(one.status is stance for one in states))
    ]
    failing = next((state for state in states if state.status is WorkerStatus.FAILING), None)
    reason = f"; {failing.name}: {failing.error}" if failing else ""
    return f"{', '.join(parts) or 'no sources'}{reason}"[:_STATUS_LENGTH]


def inherited_socket(environ: Mapping[str, str] = os.environ) -> socket.socket | None:
    """The listening socket that a socket unit opened for this process; None: there is none.

    It outlives the process, so that who calls during a restart waits instead of being refused. Raises CannotListen.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()) or environ.get("LISTEN_FDS", "0") in ("", "0"):
        return None
    try:
        inherited = socket.socket(fileno=FIRST_INHERITED)
        if inherited.type != socket.SOCK_STREAM or not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError("it does not listen")
    except OSError as error:
        raise CannotListen(
            f"the socket that was handed over (LISTEN_FDS) cannot be used: {error.strerror or error}",
            hint="Its unit must have ListenStream=, and no Accept=yes; or start without LISTEN_FDS.",
        ) from None
    return inherited


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 1e6 or None
