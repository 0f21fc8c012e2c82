"""What the service manager is told, over a real socket, and what is inherited from it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fixtures.datagrams import datagrams
from versionsync.daemon.state import WorkerState, WorkerStatus
from versionsync.daemon.systemd_notify import SystemdNotifier, inherited_socket, is_ready, summary


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The other end."""
    with datagrams(tmp_path / "notify") as listening:
        yield listening


def state(name: str, stance: WorkerStatus, error: str | None = None) -> WorkerState:
    """A source that stands so."""
    return WorkerState(name=name, max_staleness=60, since=datetime.now(UTC), status=stance, error=error)


def test_each_message_is_one_datagram_of_variables(manager: socket.socket) -> None:
    supervisor = SystemdNotifier({"NOTIFY_SOCKET": manager.getsockname()})
    supervisor.starting("1 starting")
    assert manager.recv(1000) == b"STATUS=1 starting\nEXTEND_TIMEOUT_USEC=60000000"
    supervisor.ready("1 following")
    assert manager.recv(1000) == b"READY=1\nSTATUS=1 following"
    supervisor.alive("website: a line\nand another")
    assert manager.recv(1000) == b"WATCHDOG=1\nSTATUS=website: a line and another"
    supervisor.reloading()
    assert manager.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    supervisor.stopping()
    assert manager.recv(1000) == b"STOPPING=1\nSTATUS=stopping"


def test_an_abstract_address_is_understood() -> None:
    name = f"versionsync-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(5)
        SystemdNotifier({"NOTIFY_SOCKET": f"@{name}"}).status("well")
        assert listening.recv(1000) == b"STATUS=well"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_where_nobody_listens_nothing_happens(environ: dict[str, str]) -> None:
    SystemdNotifier(environ).ready("1 following")


def test_a_manager_is_there_where_an_address_is_given() -> None:
    """Only then is anything measured for it."""
    assert SystemdNotifier({"NOTIFY_SOCKET": "/run/notify"}).is_present
    assert not SystemdNotifier({}).is_present
    assert not SystemdNotifier({"NOTIFY_SOCKET": ""}).is_present


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_a_watchdog_is_somebodys(environ: dict[str, str], seconds: float | None) -> None:
    """The environment is inherited by children, for which it is not meant."""
    assert SystemdNotifier(environ).watchdog_seconds == seconds


def test_ready_is_who_has_looked_once_however_that_ended() -> None:
    """A token that does not work yet is no reason to be started again and again."""
    assert is_ready(
        [state("a", WorkerStatus.ACTIVE), state("b", WorkerStatus.STANDBY), state("c", WorkerStatus.FAILING)]
    )
    assert not is_ready([state("a", WorkerStatus.ACTIVE), state("b", WorkerStatus.STARTING)])


def test_the_summary_counts_and_names_what_fails() -> None:
    assert summary([]) == "no sources"
    assert summary([state("a", WorkerStatus.ACTIVE), state("b", WorkerStatus.ACTIVE)]) == "2 following"
    failing = state("shop", WorkerStatus.FAILING, "the token was refused")
    assert summary([state("a", WorkerStatus.ACTIVE), failing]) == "1 following, 1 failing; shop: the token was refused"
    assert len(summary([state("shop", WorkerStatus.FAILING, "x" * 1000)])) == 200


def test_a_socket_is_inherited_by_the_process_it_is_meant_for_only() -> None:
    assert inherited_socket({}) is None
    assert inherited_socket({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None
    assert inherited_socket({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"}) is None


@pytest.mark.parametrize("kind", ["a file", "a datagram socket", "one that does not listen"])
def test_what_is_no_listening_socket_is_refused_in_a_line(kind: str) -> None:
    """As a socket unit may hand it over, or a shell."""
    made = {
        "a file": lambda: os.open(os.devnull, os.O_RDONLY),
        "a datagram socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(),
        "one that does not listen": lambda: socket.socket().detach(),
    }[kind]()
    script = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid())\n"
        "from versionsync.daemon.systemd_notify import inherited_socket\n"
        "try: inherited_socket()\n"
        "except Exception as error: print(type(error).__name__)\n"
    )
    try:
        ran = subprocess.run(
            [sys.executable, "-c", script, str(made)],
            env=os.environ | {"LISTEN_FDS": "1", "PYTHONPATH": str(Path(__file__).parents[3])},
            pass_fds=(made,),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    finally:
        os.close(made)
    assert ran.stdout == "CannotListen\n", ran.stderr
