"""`python -m tests.service.real_systemd [ROOT [SUITE]]`: does to the service what it must survive, with a real systemd.

As root on Debian, with debootstrap and systemd-container. ROOT is made where it is not there yet (a minute, 400 MB),
and used again otherwise. SUITE is the Debian in it: bookworm with systemd 252, or trixie with 257, each with a Python
(3.11, 3.13) that must also be the one that runs this, since it makes the wheels. The machine shares the network of this
one, where the simulator runs. It takes five minutes.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx

from tests.fixtures.fake_upstreams import unused_port
from tests.integration.cli.worlds import blog
from tests.service.machine import PROGRAM, Machine, booted, prepare
from tests.service.printing import check, eventually, say
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread, World

PASSWORD = "for-the-webhook-alone"
STOP_SECONDS = 2.0
WORST_EXPOSURE = 1.5
SERVICES = ("versionsync.service", "versionsync@shop.service", "versionsync-sync@shop.service")

Follows = Callable[[Machine, str], None]


class Upstream:
    """The simulated project, and whether the mirror of a machine follows it."""

    def __init__(self, simulator: SimulatorThread) -> None:
        self.url = simulator.url
        self._simulator = simulator

    def edit(self) -> int:
        """One version more; how many there are."""

        def act(world: World) -> int:
            world.clock.advance(timedelta(minutes=1))
            record = next(iter(world.primary.records.values()))
            world.update(world.user, record.id, {"title": f"edited at {time.monotonic()}"})
            return sum(len(record.versions) for record in world.primary.records.values())

        return self._simulator.act(act)

    def is_followed(self, machine: Machine, when: str, state: Path | None = None) -> None:
        """An edit comes to the mirror by itself."""
        number = self.edit()
        eventually(f"{when}, an edit is mirrored", lambda: machine.versions(state) == number)


def initialize(machine: Machine, upstream: str, port: int) -> Path:
    """Settings as `init` writes them for root, the token beside them; then somebody adds some lines."""
    etc = machine.root / "etc" / "versionsync"
    etc.mkdir(exist_ok=True)
    hide(etc / "api_token", FULL_ACCESS_TOKEN)
    options = ("--config", "/etc/versionsync/versionsync.toml", "--token-file", "/etc/versionsync/api_token")
    machine.run(PROGRAM, "init", "--yes", *options, "--base-url", upstream, "--name", "website")
    settings = etc / "versionsync.toml"
    token = 'api_token_file = "api_token"\n'
    more = 'max_staleness = 2\nwebhook_password_file = "webhook_password"\n'
    assert token in settings.read_text()
    text = settings.read_text()
    assert "# port = 8765\n" in text
    settings.write_text(text.replace(token, token + more).replace("# port = 8765\n", f"port = {port}\n"))
    assert settings.stat().st_mode & 0o777 == 0o600
    return settings


def configure(root: Path, name: str, upstream: str, *, port: int) -> None:
    """Settings of an instance."""
    settings = root / "etc" / "versionsync" / f"{name}.toml"
    settings.write_text(
        f'[http]\nport = {port}\n[[sources]]\nname = "website"\nbase_url = "{upstream}"\nmax_staleness = 2\n'
        f'api_token_file = "{name}.token"\n'
    )
    settings.chmod(0o600)


def hide(path: Path, secret: str) -> None:
    """Put a secret into a file of its own."""
    path.write_text(secret)
    path.chmod(0o600)


def override(root: Path, unit: str, text: str) -> None:
    """As `systemctl edit` does it: a free port, or a watchdog that is soon impatient."""
    folder = root / "etc" / "systemd" / "system" / f"{unit}.d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "test.conf").write_text(text)


def main(root: Path, suite: str) -> None:
    """Everything, one after the other."""
    prepare(root, suite)
    port = unused_port()
    override(root, "versionsync.service", "[Service]\nWatchdogSec=6\nRestartSec=1\n")
    with SimulatorThread(blog(records=20)) as simulator:
        upstream = Upstream(simulator)
        with booted(root) as machine:
            install(machine, upstream, port)
            survive(machine, upstream, port)
            end_for_good(machine, port)
            several(machine, upstream)
            by_timer(machine, upstream)
            as_a_user(machine, upstream)
            expose(machine)
        with booted(root) as machine:
            eventually("after a reboot, it is active", machine.is_active)
            upstream.is_followed(machine, "after a reboot")
            eventually("and the instance", lambda: machine.is_active("versionsync@shop.service"))
            eventually("and the timer", lambda: machine.show("ActiveState", "versionsync-sync@shop.timer") == "active")
            remove(machine)


def install(machine: Machine, upstream: Upstream, port: int) -> None:
    """What is missing is told; what is there, made a service of."""
    etc = machine.root / "etc" / "versionsync"
    machine.service("install", "--yes", code=2, told="there is no settings file")
    settings = initialize(machine, upstream.url, port)
    machine.service("install", "--yes", code=2, told="there is no file /etc/versionsync/webhook_password")
    hide(etc / "webhook_password", PASSWORD)
    hide(etc / "api_token", "\n")
    machine.service("install", "--yes", code=2, told="is empty")
    hide(etc / "api_token", FULL_ACCESS_TOKEN)
    machine.service("install", code=2, told="--yes does it without asking")
    machine.service("install", "--dry-run", told="Nothing was done.")
    assert machine.show("LoadState") == "not-found"
    began = time.monotonic()
    say(machine.service("install", "--yes", told="versionsync.service is up: 1 active"))
    say(f"      installed and followed after {time.monotonic() - began:.1f} s")
    assert settings.stat().st_mode & 0o777 == 0o644
    assert machine.is_active()
    upstream.is_followed(machine, "once active")
    say(machine.service("status", told="active (running)"))
    machine.service("install", "--yes", told="is installed, and as it should be")

    unit = machine.root / "etc" / "systemd" / "system" / "versionsync.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=60", "WatchdogSec=600"))
    say(machine.service("install", "--yes", code=2, told="changed by hand"))
    assert "WatchdogSec=600" in unit.read_text()
    machine.service("status", code=3, told="was changed by hand")
    machine.service("install", "--yes", "--force", told="versionsync.service is up")
    upstream.is_followed(machine, "installed again")

    before = machine.show("MainPID")
    machine.run(
        "find", "/opt/versionsync", "-name", "program.py", "-exec", "chmod", "u+r", "{}", "+"
    )  # as good as an upgrade
    machine.service("status", code=3, told="started before this version was installed")
    machine.service("install", "--yes", told="versionsync.service is up")
    assert machine.show("MainPID") != before
    machine.service("status")
    upstream.is_followed(machine, "upgraded")

    found = machine.entries("VERSIONSYNC_SOURCE=website", "VERSIONSYNC_EVENT=run.finished")
    assert found, machine.log()[-2000:]
    entry = found[-1]
    say(
        f"      in the journal: { ({name: value for name, value in entry.items() if name.startswith('VERSIONSYNC_')}) }"
    )
    say(f"      PRIORITY={entry['PRIORITY']} MESSAGE={entry['MESSAGE']}")
    assert entry["_SYSTEMD_UNIT"] == "versionsync.service"
    assert entry["_TRANSPORT"] == "journal"
    assert machine.entries(f"VERSIONSYNC_RUN={entry['VERSIONSYNC_RUN']}")


def survive(machine: Machine, upstream: Upstream, port: int) -> None:
    """What must not end it, and what must."""
    for signal, what in (("KILL", "killed"), ("STOP", "stopped, so that the watchdog must act")):
        before = machine.show("MainPID")
        machine.run("kill", f"-{signal}", before)
        eventually(f"{what}, it is restarted", lambda old=before: machine.show("MainPID") not in (old, "0"))  # type: ignore[misc]
        eventually(f"{what}, it is active again", machine.is_active)
        upstream.is_followed(machine, what)

    settings = "/etc/versionsync/versionsync.toml"
    before = machine.show("MainPID")
    machine.run("sh", "-c", f"cp {settings} /tmp/good; echo 'nonsense = 1' >> {settings}")
    machine.run("systemctl", "reload", "versionsync")
    eventually("bad settings are refused", lambda: "settings.refused" in machine.log())
    machine.run("sh", "-c", f"cp /tmp/good {settings}")
    machine.run("systemctl", "reload", "versionsync")
    eventually("good ones are taken", lambda: "settings.reloaded" in machine.log())
    assert machine.show("MainPID") == before
    upstream.is_followed(machine, "reloaded")

    answers: list[int] = []
    body = json.dumps({"webhook_call_id": "1", "webhook_id": "1", "entity_type": "item", "event_type": "update"})

    def call() -> None:
        url, login = f"http://127.0.0.1:{port}/webhooks/website", ("versionsync", PASSWORD)
        answers.append(httpx.post(url, content=body, auth=login, timeout=60).status_code)

    machine.run("systemctl", "stop", "versionsync.service")
    caller = threading.Thread(target=call)
    caller.start()
    caller.join(60)
    say(f"      a webhook while it is down is answered by the next one: {answers}")
    assert answers
    assert answers[0] < 300, machine.log()[-2000:]
    eventually("a call to its socket starts it", machine.is_active)

    took: list[float] = []
    for _ in range(3):  # others may use this machine: the best counts
        began = time.monotonic()
        machine.run("systemctl", "stop", "versionsync.socket", "versionsync.service")
        took.append(time.monotonic() - began)
        assert machine.show("Result") == "success"
        machine.run("systemctl", "start", "versionsync.socket", "versionsync.service")
        upstream.is_followed(machine, "started again")
    say(f"ok    it stops: {', '.join(f'{seconds:.1f} s' for seconds in took)}")
    assert min(took) < STOP_SECONDS


def end_for_good(machine: Machine, port: int) -> None:
    """Wrong settings are not tried again; what may pass is, and not too often."""
    settings = "/etc/versionsync/versionsync.toml"
    machine.run("sh", "-c", f"cp {settings} /tmp/good; echo 'nonsense = 1' >> {settings}")
    machine.tried("systemctl", "restart", "versionsync.service")
    eventually("wrong settings end it", lambda: machine.show("ActiveState") == "failed")
    time.sleep(3)
    assert machine.show("ActiveState") == "failed"
    assert (machine.show("ExecMainStatus"), machine.show("NRestarts")) == ("2", "0")
    machine.service("status", code=3, told="there is no setting")

    # Whoever calls the port has it tried again, which systemd ends after twenty times.
    with suppress(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{port}/livez", timeout=60)
    eventually("called, its socket gives up", lambda: machine.show("ActiveState", "versionsync.socket") == "failed")
    machine.run("sh", "-c", f"cp /tmp/good {settings}")
    machine.run("systemctl", "reset-failed", "versionsync.service")
    machine.run("systemctl", "start", "versionsync.service")
    check("its socket comes up with it", machine.show("ActiveState", "versionsync.socket") == "active")
    machine.run("systemctl", "stop", "versionsync.socket")
    machine.service("status", code=3, told="versionsync.socket is not active")
    machine.service("install", "--yes", told="versionsync.service is up")
    machine.service("status")

    token = machine.root / "etc" / "versionsync" / "api_token"
    token.rename(token.with_name("hidden"))
    machine.tried("systemctl", "restart", "versionsync.service")
    check("without its token it is not tried again", machine.show("ActiveState") == "failed")
    machine.service("status", code=3, told="there is no file /etc/versionsync/api_token")
    machine.service("install", "--yes", code=2, told="there is no file /etc/versionsync/api_token")
    token.with_name("hidden").rename(token)
    machine.service("install", "--yes", told="versionsync.service is up")


def several(machine: Machine, upstream: Upstream) -> None:
    """An instance has settings, a token, a state and a port of its own."""
    configure(machine.root, "shop", upstream.url, port=unused_port())
    hide(machine.root / "etc" / "versionsync" / "shop.token", FULL_ACCESS_TOKEN)
    state = machine.state("versionsync-shop")

    shutil.copytree(machine.state(), state)
    (state / "versionsync.db").write_text("no database at all, and long enough to be looked at by SQLite")
    said = machine.service("install", "--yes", "--name", "shop", code=3, told="is installed, and does not run")
    say(said)
    assert "exit code 6" in said
    time.sleep(12)
    restarts = int(machine.show("NRestarts", "versionsync@shop.service"))
    say(f"      a database that is none: {restarts} restarts in 12 s")
    assert 1 <= restarts <= 4
    machine.run("systemctl", "stop", "versionsync@shop.service")
    shutil.rmtree(state)

    say(machine.service("install", "--yes", "--name", "shop", told="versionsync@shop.service is up"))
    upstream.is_followed(machine, "as an instance", state)
    assert machine.show("User", "versionsync@shop.service") == "versionsync-shop"
    machine.service("status", "--name", "shop", told="active (running)")
    assert machine.is_active()


def by_timer(machine: Machine, upstream: Upstream) -> None:
    """It mirrors once at first, and then when the timer says so."""
    machine.service("uninstall", "--yes", "--name", "shop", told="/var/lib/versionsync-shop with what is mirrored")
    number = upstream.edit()
    state = machine.state("versionsync-shop")
    say(machine.service("install", "--yes", "--name", "shop", "--timer", told="the first sync has begun"))
    eventually("the first sync mirrors", lambda: machine.versions(state) == number)
    eventually("and ends", lambda: machine.show("ActiveState", "versionsync-sync@shop.service") == "inactive")
    assert machine.show("Result", "versionsync-sync@shop.service") == "success"
    say(machine.run("systemctl", "list-timers", "--no-pager", "versionsync-sync@shop.timer").splitlines()[1])
    machine.service("status", "--name", "shop", "--timer")
    override(
        machine.root,
        "versionsync-sync@shop.timer",
        "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/5\nAccuracySec=1\nRandomizedDelaySec=0\n",
    )
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "versionsync-sync@shop.timer")
    upstream.is_followed(machine, "by the timer alone", state)
    machine.service("install", "--yes", "--name", "shop", told="versionsync@shop.service is up")
    upstream.is_followed(machine, "beside a daemon of the same state", state)
    time.sleep(15)  # three times
    results = {machine.show(name, "versionsync-sync@shop.service") for name in ("Result",)}
    say(f"      daemon and timer on one state, the timer's last result: {results}")
    assert results == {"success"}
    # They do not see each other's processes, and must not take each other for dead.
    said = machine.log("versionsync@shop") + machine.log("versionsync-sync@shop")
    check("neither takes the other's lease", "has taken it" not in said)


def as_a_user(machine: Machine, upstream: Upstream) -> None:
    """A service of somebody who is not root, without any help of root's but to stay when they log out."""
    machine.tried("useradd", "--create-home", "--shell", "/bin/sh", "me")
    machine.run("loginctl", "enable-linger", "me")
    id = machine.run("id", "-u", "me").strip()
    eventually("the user's systemd is up", lambda: machine.is_active(f"user@{id}.service"))
    home = machine.root / "home" / "me"
    folder = home / ".config" / "versionsync"
    folder.mkdir(parents=True)
    port = unused_port()
    (folder / "blog.toml").write_text(
        f'[http]\nport = {port}\n[[sources]]\nname = "website"\nbase_url = "{upstream.url}"\nmax_staleness = 2\n'
        'api_token_file = "blog.token"\n'
    )
    hide(folder / "blog.token", FULL_ACCESS_TOKEN)
    machine.run("chown", "-R", "me:me", "/home/me")
    as_me = ("runuser", "-u", "me", "--", "env", "HOME=/home/me", f"XDG_RUNTIME_DIR=/run/user/{id}")
    code, said = machine.tried(*as_me, PROGRAM, "service", "install", "--yes")
    assert (code, "only root" in said) == (2, True), said
    code, said = machine.tried(*as_me, PROGRAM, "service", "install", "--yes", "--user", "--name", "blog")
    say(said)
    assert code == 0
    states = home / ".local" / "state"  # since systemd 254; before that, among the settings
    state = (states if states.exists() else home / ".config") / "versionsync-blog"
    upstream.is_followed(machine, "as a user's service", state)
    code, said = machine.tried(*as_me, PROGRAM, "service", "uninstall", "--yes", "--user", "--name", "blog")
    assert code == 0, said


def expose(machine: Machine) -> None:
    """As systemd itself counts it, from 0 to 10."""
    for unit in SERVICES:
        rating = machine.run("systemd-analyze", "--no-pager", "security", unit).splitlines()[-1].strip("→ ")
        say(f"      {rating}")
        assert float(rating.rpartition(":")[2].split()[0]) <= WORST_EXPOSURE


def remove(machine: Machine) -> None:
    """Nothing is left of the service, and all of what it mirrored."""
    versions = machine.versions()
    say(machine.service("uninstall", "--yes", told="Kept: /etc/versionsync/versionsync.toml"))
    assert not machine.is_active()
    assert machine.versions() == versions
    machine.service("uninstall", "--yes", "--name", "shop", "--timer")
    machine.service("uninstall", "--yes", "--name", "shop")
    machine.service("status", code=3, told="not installed")
    left = list((machine.root / "etc" / "systemd" / "system").rglob("versionsync*"))
    assert all(path.suffix == ".d" or path.parent.suffix == ".d" for path in left), left


if __name__ == "__main__":
    given = sys.argv[1:]
    main(Path(given[0] if given else tempfile.mkdtemp(prefix="versionsync-systemd-")), (*given[1:], "bookworm")[0])
