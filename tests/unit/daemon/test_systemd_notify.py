"""The messages to systemd over a real socket, the socket inherited from it, and the watchdog."""

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
from versionsync.daemon.systemd_notify import (
    Activity,
    SystemdNotifier,
    Watchdog,
    inherited_socket,
    is_ready,
    summary,
)
from versionsync.daemon.worker_state import WorkerState, WorkerStatus


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The other end."""
    with datagrams(tmp_path / "notify") as listening:
        yield listening


def state(name: str, status: WorkerStatus, error: str | None = None) -> WorkerState:
    """Return a source in this state."""
    return WorkerState(name=name, max_staleness=60, since=datetime.now(UTC), status=status, error=error)


def test_each_message_is_one_datagram_of_variables(manager: socket.socket) -> None:
    notifier = SystemdNotifier({"NOTIFY_SOCKET": manager.getsockname()})
    notifier.starting("1 starting")
    assert manager.recv(1000) == b"STATUS=1 starting\nEXTEND_TIMEOUT_USEC=60000000"
    notifier.ready("1 active")
    assert manager.recv(1000) == b"READY=1\nSTATUS=1 active"
    notifier.alive("website: a line\nand another")
    assert manager.recv(1000) == b"WATCHDOG=1\nSTATUS=website: a line and another"
    notifier.reloading()
    assert manager.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    notifier.stopping()
    assert manager.recv(1000) == b"STOPPING=1\nSTATUS=stopping"


def test_an_abstract_address_is_understood() -> None:
    name = f"versionsync-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(60)
        SystemdNotifier({"NOTIFY_SOCKET": f"@{name}"}).ready("well")
        assert listening.recv(1000) == b"READY=1\nSTATUS=well"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_without_a_listener_nothing_happens(environ: dict[str, str]) -> None:
    SystemdNotifier(environ).ready("1 active")


def test_systemd_is_present_if_the_environment_has_its_address() -> None:
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
def test_a_watchdog_belongs_to_one_process(environ: dict[str, str], seconds: float | None) -> None:
    """Children inherit the environment, but not the watchdog."""
    assert SystemdNotifier(environ).watchdog_seconds == seconds


def test_a_daemon_is_ready_after_one_run_of_each_source_however_it_ended() -> None:
    """A token that does not work yet is no reason for restarts."""
    assert is_ready(
        [state("a", WorkerStatus.ACTIVE), state("b", WorkerStatus.STANDBY), state("c", WorkerStatus.FAILING)]
    )
    assert not is_ready([state("a", WorkerStatus.ACTIVE), state("b", WorkerStatus.STARTING)])


def test_the_summary_counts_states_and_names_the_first_failure() -> None:
    assert summary([]) == "no sources"
    assert summary([state("a", WorkerStatus.ACTIVE), state("b", WorkerStatus.ACTIVE)]) == "2 active"
    failing = state("shop", WorkerStatus.FAILING, "the token was refused")
    assert summary([state("a", WorkerStatus.ACTIVE), failing]) == "1 active, 1 failing; shop: the token was refused"
    assert len(summary([state("shop", WorkerStatus.FAILING, "x" * 1000)])) == 200


def test_only_the_intended_process_inherits_a_socket() -> None:
    assert inherited_socket({}) is None
    assert inherited_socket({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None
    assert inherited_socket({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"}) is None


@pytest.mark.parametrize("kind", ["a file", "a datagram socket", "one that does not listen"])
def test_a_descriptor_that_is_no_listening_socket_is_refused(kind: str) -> None:
    """As a wrong socket unit or a shell may pass it on."""
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


def running(mark: object | None) -> list[Activity]:
    """Return a run that is stuck after ten seconds without progress."""
    return [Activity("website:run", mark, 10.0)]


def test_an_activity_that_makes_progress_is_not_stuck() -> None:
    watchdog = Watchdog()
    assert not any(watchdog.stuck(running(second), float(second)) for second in range(0, 100, 9))


def test_an_activity_without_progress_is_stuck_until_it_makes_some() -> None:
    watchdog = Watchdog()
    assert watchdog.stuck(running("reading"), 0) == []
    assert watchdog.stuck(running("reading"), 10) == []
    assert watchdog.stuck(running("reading"), 11) == ["website:run"]
    assert watchdog.stuck(running("writing"), 12) == []


def test_an_activity_that_rests_is_not_stuck_and_starts_again() -> None:
    watchdog = Watchdog()
    watchdog.stuck(running("reading"), 0)
    assert watchdog.stuck(running(None), 50) == []
    assert watchdog.stuck(running("reading"), 100) == []
    assert watchdog.stuck(running("reading"), 111) == ["website:run"]


def test_one_that_is_stuck_is_not_hidden_by_others_that_make_progress() -> None:
    watchdog = Watchdog()
    for second in range(0, 13, 3):
        stuck = watchdog.stuck([Activity("a", "still", 10.0), Activity("b", second, 10.0)], float(second))
    assert stuck == ["a"]
