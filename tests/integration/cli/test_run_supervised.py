"""`versionsync run` as a service: what systemd hears of it, and the socket that outlives it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.fixtures.datagrams import datagrams
from tests.integration.cli.processes import PROGRAM, environment, running
from versionsync.daemon.systemd_notify import FIRST_INHERITED


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Who hears what the service says."""
    with datagrams(tmp_path / "notify", patience=120) as listening:
        yield listening


def heard(manager: socket.socket, what: str) -> list[str]:
    """Everything that is said, until `what` is."""
    said: list[str] = []
    while not said or what not in said[-1].splitlines():
        said.append(manager.recv(4096).decode())
    return said


def test_it_says_when_it_is_ready_what_it_is_at_and_that_it_gets_on(
    at: dict[str, str], tmp_path: Path, manager: socket.socket
) -> None:
    told = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "600000", "VERSIONSYNC_HTTP_PORT": "0"}
    with running("run", cwd=tmp_path, **at, **told) as process:
        said = heard(manager, "READY=1")
        assert all("EXTEND_TIMEOUT_USEC" in before for before in said[:-1])
        assert "STATUS=1 active" in said[-1]
        for _ in range(4):
            heard(manager, "WATCHDOG=1")
        process.send_signal(signal.SIGHUP)
        heard(manager, "RELOADING=1")
        heard(manager, "READY=1")
        process.send_signal(signal.SIGTERM)
        heard(manager, "STOPPING=1")


def test_one_that_is_stopped_says_nothing_more(at: dict[str, str], tmp_path: Path, manager: socket.socket) -> None:
    """So that its watchdog notices."""
    told = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "300000", "VERSIONSYNC_HTTP_PORT": "0"}
    with running("run", cwd=tmp_path, **at, **told) as process:
        heard(manager, "WATCHDOG=1")
        process.send_signal(signal.SIGSTOP)
        manager.settimeout(0.9)  # three times as long as its watchdog waits
        with pytest.raises(TimeoutError):
            while True:
                manager.recv(4096)


@contextmanager
def inheriting(listening: socket.socket, cwd: Path, at: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The daemon with a socket that was opened for it."""
    script = 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'
    with subprocess.Popen(
        ["/bin/sh", "-c", script, "sh", *PROGRAM, "run"],
        cwd=cwd,
        env=environment(**at),
        stderr=subprocess.DEVNULL,
        pass_fds=[FIRST_INHERITED],
        preexec_fn=lambda: os.dup2(listening.fileno(), FIRST_INHERITED),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_call_during_a_restart_waits_for_the_next_one(at: dict[str, str], tmp_path: Path) -> None:
    """The socket is the manager's: nobody is refused while the daemon is away."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/livez"
        with inheriting(listening, tmp_path, at):
            first = httpx.get(url, timeout=120).json()["pid"]
        with inheriting(listening, tmp_path, at):
            assert httpx.get(url, timeout=120).json()["pid"] != first
