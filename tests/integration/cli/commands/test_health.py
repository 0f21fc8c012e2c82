"""`versionsync health` is for the health checks of containers: it says whether the daemon has to be started again."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

from tests.fixtures.fake_upstreams import Given, gateway, unused_port
from tests.integration.cli.conftest import Cli
from tests.integration.cli.processes import running
from versionsync.cli.exit_codes import ExitCode


def health(cli: Cli, port: int | str) -> tuple[int, str]:
    """Its exit code and what it says of a daemon on `port`."""
    ran = cli("health", VERSIONSYNC_HTTP_PORT=str(port), VERSIONSYNC_HTTP_HOST="0.0.0.0")
    return ran.code, ran.written


def wait_for(cli: Cli, port: int, process: subprocess.Popen[str]) -> str:
    """What it says of a daemon that is being started."""
    deadline = time.monotonic() + 120
    while (told := health(cli, port))[0] != ExitCode.OK:
        assert process.poll() is None
        assert time.monotonic() < deadline, told
        time.sleep(0.1)
    return told[1]


def test_a_daemon_that_works_is_healthy_and_a_stopped_one_is_not(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """Also where DatoCMS does not answer: starting again would mend nothing."""
    port = unused_port()
    away = at | {"VERSIONSYNC_BASE_URL": f"http://127.0.0.1:{unused_port()}", "VERSIONSYNC_HTTP_PORT": str(port)}
    with running("run", cwd=tmp_path, **away) as process:
        assert f"process {process.pid}" in wait_for(cli, port, process)
        process.send_signal(signal.SIGSTOP)
        code, told = health(cli, port)
        assert code == ExitCode.PARTIAL
        assert f"nothing answers at http://127.0.0.1:{port} within 4 seconds" in told
    code, told = health(cli, port)
    assert (code, "Connection refused" in told) == (ExitCode.PARTIAL, True)


def test_a_daemon_that_says_that_it_hangs_is_not_healthy(cli: Cli) -> None:
    told = json.dumps({"program": "versionsync", "version": "1", "pid": 1, "hanging": ["website:run"]})
    with gateway("http://127.0.0.1:9", instead=lambda _path: Given(503, told)) as url:
        code, said = health(cli, url.rpartition(":")[2])
    assert code == ExitCode.PARTIAL
    assert "is stuck: website:run" in said


def test_another_program_is_not_taken_for_a_daemon(cli: Cli) -> None:
    with gateway("http://127.0.0.1:9", instead=lambda _path: Given(200, "<html>hello</html>")) as url:
        code, said = health(cli, url.rpartition(":")[2])
    assert code == ExitCode.PARTIAL
    assert "is not versionsync" in said


def test_a_port_that_is_any_cannot_be_asked(cli: Cli) -> None:
    code, said = health(cli, 0)
    assert code == ExitCode.USAGE
    assert "[http] port is 0" in said
