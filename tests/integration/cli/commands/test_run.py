"""`versionsync run` as a process: it follows, stops when it is told to, and reads its settings again."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from sqlite3 import OperationalError
from subprocess import Popen

import httpx
import pytest

from tests.fixtures.fake_upstreams import unused_port
from tests.integration.cli.conftest import Cli
from tests.integration.cli.mirror_queries import rows, version_count
from tests.integration.cli.processes import PROGRAM, environment, running, started
from tests.integration.cli.worlds import blog
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread

STOP_SECONDS = 30.0
"""It ends itself after 1.7 seconds, whatever it is at; a busy machine may take much longer to let it."""


def eventually(what: Callable[[], object], seconds: float = 120.0) -> None:
    """Until `what()` is true; a database that is not there yet is false."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if what():
                return
        except OperationalError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:.0f} s")


def stop(process: Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[float, str]:
    """How long it took to end, and what it had said."""
    begun = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return time.monotonic() - begun, err


@pytest.fixture
def at(at: dict[str, str]) -> dict[str, str]:
    """As for the other commands, on any port."""
    return {**at, "VERSIONSYNC_HTTP_PORT": "0"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_mirrors_and_a_signal_ends_it_well(at: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 0: it did what it was told."""
    with running("run", cwd=tmp_path, **at) as process:
        eventually(lambda: version_count(tmp_path / "versionsync.db") == 6)
        eventually(
            lambda: rows(tmp_path / "versionsync.db", "select 1 from source_claims where next_check_at is not null")
        )
        took, err = stop(process, number)
    assert process.returncode == 0
    assert took < STOP_SECONDS
    said = [json.loads(line) for line in err.splitlines()]
    assert [line["event"] for line in said if line["event"].startswith("daemon")] == [
        "daemon.started",
        "daemon.stopping",
        "daemon.stopped",
    ]
    assert set(rows(tmp_path / "versionsync.db", "select outcome from runs")) == {("succeeded",)}
    assert rows(tmp_path / "versionsync.db", "select daemon_id from source_claims") == [(None,)]
    assert rows(tmp_path / "versionsync.db", "select * from daemons") == []


def test_a_log_that_cannot_be_written_stops_no_daemon(at: dict[str, str], tmp_path: Path) -> None:
    """The disk behind it is full: the mirror may be on another one."""
    with Path("/dev/full").open("wb") as full:
        process = started(["run"], cwd=tmp_path, environ=at, stderr=full)
        try:
            eventually(lambda: version_count(tmp_path / "versionsync.db") == 6)
        finally:
            process.terminate()
            assert process.wait(timeout=60) == 0


@pytest.mark.parametrize(
    "folder",
    ["nowhere", pytest.param(".", marks=pytest.mark.nightly)],
    ids=["a folder that is not there", "any folder"],
)
def test_prometheus_for_many_processes_ends_no_run(at: dict[str, str], tmp_path: Path, folder: str) -> None:
    """PROMETHEUS_MULTIPROC_DIR is meant for web servers: nothing is written for it, and all is told as without it."""
    port = unused_port()
    environ = at | {"PROMETHEUS_MULTIPROC_DIR": folder, "VERSIONSYNC_HTTP_PORT": str(port)}
    with running("run", cwd=tmp_path, **environ) as process:
        eventually(
            lambda: rows(tmp_path / "versionsync.db", "select 1 from source_claims where next_check_at is not null")
        )
        eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200)
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        _, err = stop(process)
    assert re.search(r'versionsync_run_duration_seconds_count\{source="default"\} [1-9]', metrics)
    assert "job.failed" not in err
    assert list(tmp_path.glob("*.db")) == [tmp_path / "versionsync.db"]


def test_it_ends_with_the_terminal_in_which_it_was_started(at: dict[str, str], tmp_path: Path) -> None:
    """SIGHUP says so there. Otherwise it would go on where nobody sees it, and keep its port."""
    ours, its = pty.openpty()
    environ = environment(**at)
    process = Popen(
        [*PROGRAM, "run"], cwd=tmp_path, env=environ, stdin=its, stdout=its, stderr=its, start_new_session=True
    )
    os.close(its)
    try:
        eventually(
            lambda: rows(tmp_path / "versionsync.db", "select 1 from source_claims where next_check_at is not null")
        )
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
    assert rows(tmp_path / "versionsync.db", "select daemon_id from source_claims") == [(None,)]
    assert rows(tmp_path / "versionsync.db", "select * from daemons") == []


def test_a_second_one_stands_by_and_takes_over(at: dict[str, str], tmp_path: Path) -> None:
    """When the first one is killed, and it asks nothing before."""
    database = tmp_path / "versionsync.db"

    def follower() -> int:
        claimed = "source_claims join daemons on daemons.id = source_claims.daemon_id"
        holders = rows(database, f"select holder from {claimed}")
        return int(json.loads(holders[0][0])["pid"]) if holders else 0

    with running("run", cwd=tmp_path, **at) as first:
        eventually(lambda: rows(database, "select 1 from source_claims where next_check_at is not null"))
        with running("run", cwd=tmp_path, **at) as second:
            assert second.stderr is not None
            assert any("source.standby" in line for line in second.stderr)  # reads no further
            assert follower() == first.pid
            first.kill()
            first.wait()
            eventually(lambda: follower() == second.pid, seconds=25)  # the claim of one that lives lasts longer
            eventually(lambda: rows(database, "select 1 from source_claims where next_check_at is not null"))
            _, err = stop(second)
    assert "source.standby" not in err
    assert err.count("source.active") == 1


def test_settings_are_read_again_and_bad_ones_refused(
    upstream: SimulatorThread, at: dict[str, str], tmp_path: Path
) -> None:
    """One line says what is wrong, and the old ones stay."""
    file = tmp_path / "versionsync.toml"

    def write(*names: str, more: str = "") -> None:
        sources = (
            f'[[sources]]\nname = "{name}"\nbase_url = "{upstream.url}"\nrate_limit = "none"\n' for name in names
        )
        file.write_text("\n".join([*sources, more]))

    def known() -> list[str]:
        return [name for (name,) in rows(tmp_path / "versionsync.db", "select name from sources order by id")]

    write("one")
    with running("run", cwd=tmp_path, **at) as process:
        eventually(lambda: known() == ["one"])
        write("one", "two", more="nonsense = 1")
        process.send_signal(signal.SIGHUP)
        time.sleep(1)
        write("one", "two")
        process.send_signal(signal.SIGHUP)
        eventually(lambda: known() == ["one", "two"])
        _, err = stop(process)
    assert process.returncode == 0
    refused = [json.loads(line) for line in err.splitlines() if "settings.refused" in line]
    assert len(refused) == 1
    assert "nonsense" in refused[0]["reason"]


def test_sighup_reads_the_files_with_sources_again(
    tmp_path: Path, upstream: SimulatorThread, at: dict[str, str]
) -> None:
    """One that is new, one that is wrong, and one that is gone."""
    (tmp_path / "versionsync.toml").write_text("")
    folder = tmp_path / "sources.d"
    folder.mkdir()

    def write(name: str, more: str = "") -> None:
        text = f'[[sources]]\nname = "{name}"\nbase_url = "{upstream.url}"\nrate_limit = "none"\n{more}'
        (folder / f"{name}.toml").write_text(text)

    def known() -> list[str]:
        return [name for (name,) in rows(tmp_path / "versionsync.db", "select name from sources order by id")]

    write("one")
    with running("run", cwd=tmp_path, **at) as process:
        eventually(lambda: known() == ["one"])
        write("two", more="nonsense = 1\n")
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        (refused,) = islice((line for line in process.stderr if "settings.refused" in line), 1)
        write("two")
        (folder / "one.toml").unlink()
        process.send_signal(signal.SIGHUP)
        eventually(lambda: known() == ["one", "two"])
        _, err = stop(process)
    assert process.returncode == 0
    assert json.loads(refused)["reason"].endswith("two.toml, line 5: there is no setting sources[0].nonsense")
    (reloaded,) = (line for line in err.splitlines() if "settings.reloaded" in line)
    assert json.loads(reloaded)["sources"] == 1


def test_wrong_settings_are_told_at_once(cli: Cli, tmp_path: Path) -> None:
    """As by every other command."""
    assert cli("run").code == 2
    assert cli("run", DATOCMS_API_TOKEN="<token>").code == 2
    gone = cli("run", "--database", f"{tmp_path}/none/x.db", DATOCMS_API_TOKEN="t", VERSIONSYNC_HTTP_PORT="0")
    assert gone.code == 6


def test_an_upstream_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """It does not end: it is a service."""
    port = unused_port()
    at = {
        "DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN,
        "VERSIONSYNC_BASE_URL": f"http://127.0.0.1:{port}",
        "VERSIONSYNC_HTTP_PORT": "0",
    }
    with running("run", cwd=tmp_path, **at) as process:
        time.sleep(1.5)
        with SimulatorThread(blog(), port=port):
            eventually(lambda: version_count(tmp_path / "versionsync.db") == 6)
        stop(process)
    assert process.returncode == 0


def test_a_port_that_is_taken_is_a_wrong_setting(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """Exit code 2, and one line that says who has it."""
    port = str(unused_port())
    with running("run", cwd=tmp_path, **at | {"VERSIONSYNC_HTTP_PORT": port}) as process:
        assert process.stderr is not None
        assert any("http.listening" in line for line in process.stderr)
        second = cli("run", **at | {"VERSIONSYNC_HTTP_PORT": port})
        assert second.code == 2
        assert f"another versionsync (process {process.pid}) already listens on" in second.err
        stop(process)


def test_a_daemon_that_was_suspended_and_overtaken_writes_nothing(at: dict[str, str], tmp_path: Path) -> None:
    """It stands by when it wakes up (invariant 8)."""
    database = tmp_path / "versionsync.db"
    over = "expires_at = '2026-01-01T00:00:00.000000Z'"

    def runs_of(process: Popen[str]) -> int:
        return len(rows(database, f"select 1 from runs where holder like 'process {process.pid} %'"))

    with running("run", cwd=tmp_path, **at) as first:
        eventually(lambda: rows(database, "select 1 from source_claims where next_check_at is not null"))
        with running("run", cwd=tmp_path, **at) as second:
            assert second.stderr is not None
            assert any("source.standby" in line for line in second.stderr)
            first.send_signal(signal.SIGSTOP)
            rows(database, f"update daemons set {over} where id = (select min(id) from daemons)")
            rows(database, f"update leases set {over} where holder is not null")
            eventually(lambda: runs_of(second))
            written = runs_of(first)
            first.send_signal(signal.SIGCONT)
            assert first.stderr is not None
            assert any("source.standby" in line for line in first.stderr)
            assert runs_of(first) == written
            stop(second)
            stop(first)


def test_status_says_who_follows_and_when_it_looks_next(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """And why then."""
    with running("run", cwd=tmp_path, **at) as process:
        database = tmp_path / "versionsync.db"
        eventually(lambda: rows(database, "select 1 from source_claims where next_check_at is not null"))
        told = cli("status", **at)
        (source,) = cli("status", "--json", **at).json["sources"]
        stop(process)
    assert f"daemon       process {process.pid} on" in told.out
    assert re.search(
        r"next run     (in \d+ seconds?|now): (something has just changed|nothing has changed for)", told.out
    )
    assert source["daemon"]["next_check_reason"]
    (source,) = cli("status", "--json", **at).json["sources"]
    assert source["daemon"] is None
