"""`versionsync service` as a user meets it; systemd is a script that records its calls."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Cli, Ran
from versionsync.cli.checks import service as service_checks
from versionsync.cli.context import CliContext
from versionsync.cli.options import Options
from versionsync.config import InvalidSetting, SecretProblem
from versionsync.mirror.errors import SchemaNewer
from versionsync.systemd import host
from versionsync.systemd import state as running
from versionsync.systemd import systemctl as systemd
from versionsync.systemd.errors import InvalidInstanceName, NotAccessible, ServiceError
from versionsync.systemd.plan import Paths
from versionsync.systemd.units import UnitOptions

SYSTEMCTL = """#!/bin/sh
[ "$1" = --user ] && shift
[ "$1" = --no-pager ] && shift
echo "$@" >> "$CALLS"
case "$1" in
    --version) echo "systemd 252 (252.1)" ;;
    show) [ "$2" = --property=Version ] || cat "$(dirname "$SHOWN")/$2" 2> /dev/null || cat "$SHOWN" ;;
    is-enabled) for unit in "$@"; do [ "$unit" = is-enabled ] || echo "$ENABLED"; done ;;
    start) case "$*" in *"$REFUSED"*) echo "Job failed" >&2; exit 1 ;; esac ;;
esac
"""
UP = "ActiveState=active\nSubState=running\nStatusText=1 active\nMainPID=7\nNRestarts=0\nResult=success\n"
DEAD = "ActiveState=inactive\nSubState=dead\nStatusText=\nMainPID=0\nNRestarts=0\nResult=success\n"
FAILED = (
    "ActiveState=failed\nSubState=failed\nStatusText=\nMainPID=0\nNRestarts=0\nResult=exit-code\nExecMainStatus=6\n"
)


@dataclass
class Host:
    """A user's machine: a home with settings and a token, and a systemd with answers that can be set."""

    home: Path
    cli: Cli
    monkeypatch: pytest.MonkeyPatch

    @property
    def units(self) -> Path:
        return self.home / ".config" / "systemd" / "user"

    @property
    def settings(self) -> Path:
        return self.home / ".config" / "versionsync"

    @property
    def calls(self) -> list[str]:
        """The calls of systemctl that change something."""
        lines = (self.home / "calls").read_text().splitlines() if (self.home / "calls").exists() else []
        return [line for line in lines if not line.startswith(("show", "--version", "is-enabled", "list-units"))]

    def answers(self, shown: str, *, enabled: str = "enabled", refused: str = "nothing", of: str = "shown") -> None:
        """What systemctl says from now on, of every unit or `of` one."""
        (self.home / of).write_text(shown)
        for name, value in (("ENABLED", enabled), ("REFUSED", refused)):
            self.monkeypatch.setenv(name, value)

    def run(self, *argv: str) -> Ran:
        """`versionsync service … --user`."""
        return self.cli("service", *argv, "--user", HOME=str(self.home))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Host:
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "systemctl").write_text(SYSTEMCTL)
    (home / "bin" / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{home / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(home / "calls"))
    monkeypatch.setenv("SHOWN", str(home / "shown"))
    monkeypatch.setattr(running, "STEADY_SECONDS", 0.0)
    monkeypatch.setattr(running, "installed_at", lambda: 60.0)
    monkeypatch.setattr(systemd, "BOOTED", home)
    (home / "bin" / "versionsync").touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(home / "bin" / "versionsync")])
    machine = Host(home, cli, monkeypatch)
    machine.answers(DEAD, enabled="disabled")
    write_settings(machine.settings)
    return machine


def write_settings(folder: Path, name: str = "versionsync", token: str = "0123456789abcdef", **more: str) -> Path:
    """Settings of one source with its token in a file beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    lines = [f"{setting} = {value}\n" for setting, value in more.items()]
    file = folder / f"{name}.toml"
    file.write_text(f'{"".join(lines)}[[sources]]\nname = "web"\napi_token_file = "web.token"\n')
    (folder / "web.token").write_text(token)
    (folder / "web.token").chmod(0o600)
    return file


def test_it_shows_what_it_would_do_and_does_nothing(machine: Host) -> None:
    ran = machine.run("install", "--dry-run")
    assert ran.code == 0, ran.err
    assert f"write   {machine.units / 'versionsync.service'}" in ran.out
    assert "run     systemctl --user enable versionsync.socket versionsync.service" in ran.out
    assert "+WatchdogSec=60" in ran.out
    assert "Nothing was done." in ran.out
    assert machine.calls == []
    assert not machine.units.exists()


def test_it_shows_that_there_is_nothing_to_do(machine: Host) -> None:
    machine.answers(UP)
    machine.run("install", "--yes")
    ran = machine.run("install", "--dry-run")
    assert "versionsync.service is installed and up to date." in ran.out
    assert "run " not in ran.out


def test_it_shows_what_it_would_do_also_without_systemd(machine: Host) -> None:
    machine.monkeypatch.setenv("PATH", str(machine.settings))
    ran = machine.run("install", "--dry-run")
    assert ran.code == 0, ran.err
    assert "✗ there is no systemd on this machine" in ran.out
    assert "run     systemctl --user enable versionsync.socket versionsync.service" in ran.out


def test_a_dry_run_shows_the_plan_together_with_all_that_is_in_the_way(machine: Host) -> None:
    """It ends with the code with which the installation would be refused."""
    (machine.settings / "web.token").unlink()
    ran = machine.run("install", "--dry-run")
    assert ran.code == machine.run("install", "--yes").code == 2
    assert f"write   {machine.units / 'versionsync.service'}" in ran.out
    assert "run     systemctl --user enable versionsync.socket versionsync.service" in ran.out
    assert "In the way:\n✗ " in ran.out
    assert "web.token\n  Write the secret into it, mode 0600.\n" in ran.out
    assert ran.out.endswith("Nothing was done.\n")
    (machine.settings / "versionsync.toml").unlink()
    ran = machine.run("install", "--dry-run")
    assert (
        f"✗ there is no settings file {machine.settings / 'versionsync.toml'}\n  Write it: versionsync init" in ran.out
    )
    assert "+WatchdogSec=60" in ran.out


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_a_dry_run_shows_the_plan_together_with_what_was_changed_by_hand(machine: Host, verb: str) -> None:
    machine.answers(UP)
    machine.run("install", "--yes")
    unit = machine.units / "versionsync.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=60", "WatchdogSec=600"))
    calls = machine.calls
    machine.answers(DEAD)
    ran = machine.run(verb, "--dry-run")
    assert ran.code == 2
    assert f"keep    {unit}, which was changed by hand:" in ran.out
    assert "run     systemctl --user" in ran.out
    assert "✗ nothing was done: changed by hand" in ran.out
    assert f"remove  {unit}\n" not in ran.out
    blocked = machine.run(verb, "--dry-run", "--json")
    assert (blocked.code, blocked.json["done"]) == (2, False)
    assert blocked.json["steps"]
    assert [blocker["exit"] for blocker in blocked.json["blockers"]] == [2]
    assert machine.calls == calls


def test_every_problem_of_the_settings_is_named(etc: Etc) -> None:
    """Not only the first one."""
    file = write_settings(etc.paths.settings, database_url='"sqlite:////srv/mirror.db"')
    file.write_text(file.read_text() + '[http]\nhost = "my.host"\n')
    etc.paths.settings.chmod(0o700)
    found = [str(problem) for problem in etc.problems(config=Path("/other.toml"))]
    assert len(found) == 4
    for problem, words in zip(
        found, ("not from /other.toml", "others may not enter", "http.host", "can write only"), strict=True
    ):
        assert words in problem


def test_it_installs_starts_and_sees_that_it_runs(machine: Host) -> None:
    """Units that everybody may read, with the program's own path."""
    machine.answers(UP, enabled="disabled")
    ran = machine.run("install", "--yes")
    assert ran.code == 0, ran.err
    unit = machine.units / "versionsync.service"
    assert unit.stat().st_mode & 0o777 == 0o644
    assert f"ExecStart={machine.home}/bin/versionsync --config %E/versionsync/versionsync.toml run" in unit.read_text()
    assert "versionsync.service is up: 1 active" in ran.out
    assert machine.calls[-1] == "start --no-block versionsync.service"
    assert [path for path in machine.units.iterdir() if path.name.startswith(".")] == []


def test_a_second_time_there_is_nothing_to_do(machine: Host) -> None:
    machine.answers(UP)
    assert machine.run("install", "--yes").code == 0
    before = machine.calls
    ran = machine.run("install", "--yes")
    assert "is installed and up to date" in ran.out
    assert machine.calls == before


def test_a_service_that_does_not_start_is_reported(machine: Host) -> None:
    machine.answers(FAILED)
    ran = machine.run("install", "--yes")
    assert ran.code == 3
    assert "is installed, and does not run: result exit-code, exit code 6" in ran.err
    assert "journalctl --user --unit=versionsync.service" in ran.err


def test_what_systemd_refuses_is_reported(machine: Host) -> None:
    machine.answers(DEAD, refused="versionsync.socket")
    ran = machine.run("install", "--yes")
    assert ran.code == 3
    assert "versionsync.socket is installed, and does not start: systemctl" in ran.err
    assert "Job failed" in ran.err
    assert "If another program has its port" in ran.err


def test_a_unit_that_was_changed_is_kept(machine: Host) -> None:
    """And shown, and overwritten only by force."""
    machine.answers(UP)
    machine.run("install", "--yes")
    unit = machine.units / "versionsync.service"
    mine = unit.read_text().replace("WatchdogSec=60", "WatchdogSec=600")
    unit.write_text(mine)
    ran = machine.run("install", "--yes")
    assert ran.code == 2
    assert unit.read_text() == mine
    assert f"keep    {unit}, which was changed by hand:" in ran.out
    assert "-WatchdogSec=600" in ran.out
    assert "nothing was done" in ran.err
    assert machine.run("install", "--yes", "--force").code == 0
    assert unit.read_text() != mine


def test_an_upgrade_restarts_it(machine: Host) -> None:
    """Also where its unit is what it was: the process is still that of the version before."""
    machine.answers(UP)
    machine.run("install", "--yes")
    machine.answers(f"{UP}ExecMainStartTimestampMonotonic=1\n")
    ran = machine.run("install", "--yes")
    assert ran.code == 0
    assert "write" not in ran.out
    assert machine.calls[-4:] == [
        "enable versionsync.socket versionsync.service",
        "stop versionsync.socket versionsync.service",
        "start versionsync.socket",
        "start --no-block versionsync.service",
    ]


def test_without_a_confirmation_nothing_is_done(machine: Host) -> None:
    ran = machine.run("install")
    assert ran.code == 2
    assert "--yes" in ran.err
    assert machine.calls == []


def test_json_lists_each_step(machine: Host) -> None:
    machine.answers(UP)
    result = machine.run("install", "--yes", "--json").json
    assert result["done"]
    assert result["status"] == "1 active"
    assert "run systemctl --user daemon-reload" in result["steps"]


def test_status_says_what_runs_and_that_all_is_well(machine: Host) -> None:
    machine.answers(UP)
    machine.run("install", "--yes")
    ran = machine.run("status", "--json")
    assert ran.code == 0
    assert ran.json["attention"] == []
    assert (ran.json["state"], ran.json["pid"], ran.json["enabled"]) == ("active (running)", 7, True)
    assert {unit["standing"] for unit in ran.json["units"]} == {"current"}
    assert "active (running)" in machine.run("status").out


@pytest.mark.parametrize(
    ("change", "shown", "enabled", "attention"),
    [
        (None, FAILED, "enabled", "it is failed (failed): result exit-code, exit code 6"),
        (None, UP, "disabled", "it does not start by itself"),
        ("# mine\n", UP, "enabled", "was changed by hand"),
        (None, DEAD, "enabled", "it is inactive (dead)"),
        (None, f"{UP}ExecMainStartTimestampMonotonic=1\n", "enabled", "systemctl --user restart versionsync.service"),
        (None, f"{UP}NeedDaemonReload=yes\n", "enabled", "systemctl --user daemon-reload"),
    ],
)
def test_status_shows_what_needs_attention(
    machine: Host, change: str | None, shown: str, enabled: str, attention: str
) -> None:
    machine.answers(UP)
    machine.run("install", "--yes")
    machine.answers(shown, enabled=enabled)
    unit = machine.units / "versionsync.service"
    unit.write_text(unit.read_text() + (change or ""))
    ran = machine.run("status")
    assert ran.code == 3
    assert attention in ran.out


def test_status_says_what_a_service_that_has_ended_said(machine: Host) -> None:
    machine.answers(UP)
    machine.run("install", "--yes")
    machine.answers(f"{FAILED}ExecMainStartTimestampMonotonic=1\n")
    journalctl = machine.home / "bin" / "journalctl"
    journalctl.write_text("""#!/bin/sh\necho '{"MESSAGE": "the disk is full", "SYSLOG_IDENTIFIER": "versionsync"}'\n""")
    journalctl.chmod(0o755)
    assert "exit code 6; it said: the disk is full" in " ".join(machine.run("status").out.split())


def test_status_names_a_secret_that_is_gone(machine: Host) -> None:
    """systemd itself says "Protocol error" of that."""
    machine.answers(UP)
    machine.run("install", "--yes")
    (machine.settings / "web.token").unlink()
    ran = machine.run("status")
    assert ran.code == 3
    assert f"there is no file {machine.settings / 'web.token'}" in " ".join(ran.out.split())


def test_a_failed_socket_is_reported_and_started_again(machine: Host) -> None:
    """It does so when its service ended twenty times; whoever then starts the service alone has none."""
    machine.answers(UP)
    machine.run("install", "--yes")
    machine.answers("ActiveState=failed\nSubState=failed\n", of="versionsync.socket")
    ran = machine.run("status")
    assert ran.code == 3
    assert "versionsync.socket is not active" in ran.out
    before = len(machine.calls)
    assert machine.run("install", "--yes").code == 0
    assert machine.calls[before:] == [
        "enable versionsync.socket versionsync.service",
        "stop versionsync.socket versionsync.service",
        "start versionsync.socket",
        "start --no-block versionsync.service",
    ]


def test_a_service_that_is_not_installed_needs_attention(machine: Host) -> None:
    ran = machine.run("status")
    assert ran.code == 3
    assert "not installed" in ran.out


def test_uninstalling_keeps_what_is_mirrored_and_says_where(machine: Host) -> None:
    machine.answers(UP)
    machine.run("install", "--yes")
    ran = machine.run("uninstall", "--yes")
    assert ran.code == 0, ran.err
    assert list(machine.units.glob("versionsync*")) == []
    assert (machine.settings / "versionsync.toml").exists()
    assert f"Kept: {machine.settings / 'versionsync.toml'}" in ran.out
    assert "disable versionsync.socket versionsync.service" in machine.calls
    assert "There was nothing to do." in machine.run("uninstall", "--yes").out


def test_an_instance_leaves_the_template_to_the_others(machine: Host) -> None:
    machine.answers(UP)
    for name in ("shop", "blog"):
        write_settings(machine.settings, name)
        assert machine.run("install", "--yes", "--name", name).code == 0
    wants = machine.units / "default.target.wants"
    wants.mkdir()
    (wants / "versionsync@blog.service").symlink_to("../versionsync@.service")
    ran = machine.run("uninstall", "--yes", "--name", "shop")
    assert "The template stays, because versionsync@blog.service needs it, too." in ran.out
    assert (machine.units / "versionsync@.service").exists()


def test_a_systemd_that_is_too_old_is_refused(machine: Host) -> None:
    """It would leave out the line that hands over the token, and start all the same."""
    systemctl = machine.home / "bin" / "systemctl"
    systemctl.write_text(SYSTEMCTL.replace("systemd 252 (252.1)", "systemd 245 (245.4)"))
    ran = machine.run("install", "--yes")
    assert ran.code == 2
    assert "systemd 245 is too old" in ran.err


def test_without_systemd_it_says_so(machine: Host) -> None:
    machine.monkeypatch.setenv("PATH", str(machine.settings))
    ran = machine.run("install", "--yes")
    assert ran.code == 2
    assert "there is no systemd on this machine" in ran.err


@pytest.mark.parametrize("verb", ["install", "status", "uninstall"])
def test_where_systemd_is_installed_and_does_not_run_it_says_so(machine: Host, verb: str) -> None:
    machine.monkeypatch.setattr(systemd, "BOOTED", machine.home / "nothing")
    ran = machine.run(verb)
    assert ran.code == 2
    assert ran.err.startswith("versionsync: error: this machine was not started by systemd\n")
    assert machine.calls == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_the_machines_service_is_roots(machine: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    ran = machine.cli("service", "install", "--yes")
    assert ran.code == 2
    assert "only root may change the machine's services" in ran.err


@pytest.mark.parametrize("name", ["", "a b", "../etc", "x" * 20, "@", "-x"])
def test_a_name_that_no_unit_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidInstanceName):
        host.check_instance(name)


@dataclass
class Etc:
    """The machine's settings, and what is checked of them."""

    paths: Paths

    def problems(self, options: UnitOptions = UnitOptions(), *, config: Path | None = None) -> list[Exception]:  # noqa: B008
        session = CliContext(environ={}, options=Options(config=config))
        return list(service_checks.check_service(session, options, self.paths, reads_secrets=True))

    def check(
        self,
        options: UnitOptions = UnitOptions(),  # noqa: B008
        *,
        config: Path | None = None,
    ) -> service_checks.ServiceSettings:
        """Raise the first problem, as an installation does."""
        for problem in self.problems(options, config=config):
            raise problem
        return service_checks.service_settings(options, self.paths)


@pytest.fixture
def etc(tmp_path: Path) -> Etc:
    write_settings(tmp_path / "etc")
    (tmp_path / "state").mkdir()
    return Etc(Paths(units=tmp_path, settings=tmp_path / "etc", state=tmp_path / "state"))


def test_what_the_settings_name_is_handed_over(etc: Etc) -> None:
    """By name, each once; and where a source names nothing, the file that the unit expects."""
    folder = etc.paths.settings
    assert etc.check().credentials == (folder / "web.token",)
    (folder / "shop.toml").write_text(
        '[[sources]]\nname = "a"\n[[sources]]\nname = "b"\napi_token_file = "web.token"\n'
    )
    (folder / "shop.token").write_text("0123456789abcdef")
    (folder / "shop.token").chmod(0o600)
    assert set(etc.check(UnitOptions(instance="shop")).credentials) == {
        folder / "web.token",
        folder / "shop.token",
    }


@pytest.mark.parametrize("token", ["", "  \n", "<token>"])
def test_a_token_that_is_none_is_refused(etc: Etc, token: str) -> None:
    write_settings(etc.paths.settings, token=token)
    with pytest.raises(SecretProblem):
        etc.check()


def test_a_token_that_is_missing_or_open_is_refused(etc: Etc) -> None:
    token = etc.paths.settings / "web.token"
    token.chmod(0o644)
    with pytest.raises(SecretProblem, match="can be read by others"):
        etc.check()
    token.unlink()
    with pytest.raises(SecretProblem, match="there is no file"):
        etc.check()


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        ('api_token_env = "TOKEN"', SecretProblem, "names the variable TOKEN"),
        ('api_token = "0123456789abcdef"', SecretProblem, "must not read it"),
        ('api_token_file = "/elsewhere/token"', NotAccessible, "cannot read"),
    ],
)
def test_a_secret_that_the_service_could_not_read_is_refused(
    etc: Etc, line: str, error: type[Exception], words: str
) -> None:
    file = etc.paths.settings / "versionsync.toml"
    file.write_text(f'[[sources]]\nname = "web"\n{line}\n')
    file.chmod(0o600)
    with pytest.raises(error, match=words) as caught:
        etc.check()
    assert "0123456789abcdef" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql://me:0123456789abcdef@db/x", "postgresql://db/x?password=0123456789abcdef"]
)
def test_a_file_with_a_password_of_a_database_is_not_made_readable(etc: Etc, url: str) -> None:
    write_settings(etc.paths.settings, database_url=f'"{url}"')
    (etc.paths.settings / "versionsync.toml").chmod(0o600)
    with pytest.raises(SecretProblem, match=r"holds a secret .*must not read it") as caught:
        etc.check()
    assert "0123456789abcdef" not in str(caught.value)


def test_files_with_sources_that_the_service_could_not_read_are_refused(etc: Etc) -> None:
    folder = etc.paths.settings / "sources.d"
    folder.mkdir(mode=0o755)
    file = folder / "shop.toml"
    file.write_text('[[sources]]\nname = "shop"\napi_token_file = "web.token"\n')
    file.chmod(0o644)
    etc.check()
    file.chmod(0o600)
    with pytest.raises(NotAccessible, match=r"user cannot read .*shop\.toml") as caught:
        etc.check()
    assert caught.value.hint == f"Run: chmod 644 {folder}/*.toml"
    folder.chmod(0o711)
    with pytest.raises(NotAccessible, match=r"user cannot read the folder .*sources\.d"):
        etc.check()


def test_a_folder_of_settings_that_is_shut_is_refused(etc: Etc) -> None:
    etc.paths.settings.chmod(0o700)
    with pytest.raises(NotAccessible, match="others may not enter"):
        etc.check()


def test_a_database_that_the_service_could_not_write_is_refused(etc: Etc) -> None:
    write_settings(etc.paths.settings, database_url='"sqlite:////srv/mirror.db"')
    with pytest.raises(NotAccessible, match="can write only into"):
        etc.check()


def test_a_database_of_a_newer_version_is_refused_and_not_touched(etc: Etc) -> None:
    with closing(sqlite3.connect(etc.paths.state / "versionsync.db")) as database:
        database.executescript(
            "PRAGMA journal_mode = WAL; CREATE TABLE versionsync_schema (version_num); "
            "INSERT INTO versionsync_schema VALUES ('9999');"
        )
    before = sorted(etc.paths.state.iterdir())
    with pytest.raises(SchemaNewer, match="newer than this program"):
        etc.check()
    assert sorted(etc.paths.state.iterdir()) == before


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("127.0.0.1", 8765, "127.0.0.1:8765"),
        ("localhost", 9000, "127.0.0.1:9000"),
        ("0.0.0.0", 80, "0.0.0.0:80"),
        ("::1", 9000, "[::1]:9000"),
        ("my.host", 9000, None),
        ("127.0.0.1", 0, None),
    ],
)
def test_systemd_opens_the_port_of_the_settings(etc: Etc, host: str, port: int, address: str | None) -> None:
    """Where it can: an instance opens it by itself."""
    for name in ("versionsync", "shop"):
        file = write_settings(etc.paths.settings, name)
        file.write_text(f'[http]\nhost = "{host}"\nport = {port}\n{file.read_text()}')
    if address is None:
        with pytest.raises(InvalidSetting, match="systemd opens"):
            etc.check()
    else:
        assert etc.check().address == address
    assert etc.check(UnitOptions(instance="shop")).address == "127.0.0.1:8765"


def test_settings_elsewhere_are_refused(etc: Etc) -> None:
    with pytest.raises(InvalidSetting, match="the service reads its settings from"):
        etc.check(config=Path("/other.toml"))


@pytest.mark.parametrize("hidden", ["/root/venv/bin/versionsync", "/home/me/bin/versionsync", "/tmp/versionsync"])
def test_a_program_that_the_service_cannot_reach_is_refused(hidden: str) -> None:
    with pytest.raises(NotAccessible, match="is hidden from it"):
        host.check_accessible(Path(hidden))


def test_a_folder_that_others_may_not_enter_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shut" / "versionsync"
    path.parent.mkdir(mode=0o700)
    path.touch()
    with pytest.raises(ServiceError):
        host.check_accessible(path)
