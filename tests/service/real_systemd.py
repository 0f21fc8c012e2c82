"""`python -m tests.service.real_systemd [ROOT]`: boots a real systemd, and does to the service what it must survive.

As root on Debian, with debootstrap and systemd-container. ROOT is made where it is not there yet (a minute, 400 MB),
and used again otherwise. The machine shares the network of this one, where the simulator runs.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import httpx

from tests.fixtures.gateways import unused_port
from tests.integration.cli.worlds import blog
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread, World

CHECKOUT = Path(__file__).parents[2]
UNITS = CHECKOUT / "deploy" / "systemd"
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,ca-certificates,procps"
PROGRAM = "/opt/versionsync/bin/versionsync"
PASSWORD = "for-the-webhook"
STOP_SECONDS = 2.0


def say(what: str) -> None:
    """A line for whoever watches."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def prepare(root: Path) -> None:
    """A Debian with this checkout's wheel and units in it."""
    if not (root / "bin").exists():
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root))
    with tempfile.TemporaryDirectory() as wheels:
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", wheels, str(CHECKOUT))
        shutil.rmtree(root / "wheels", ignore_errors=True)
        shutil.copytree(wheels, root / "wheels")
    shutil.rmtree(root / "opt" / "versionsync", ignore_errors=True)
    run("chroot", str(root), "python3", "-m", "venv", "/opt/versionsync")
    pip = ("/opt/versionsync/bin/pip", "install", "--quiet", "--no-index", "--find-links", "/wheels", "versionsync")
    run("chroot", str(root), *pip)
    for unit in UNITS.glob("versionsync.*"):
        shutil.copy(unit, root / "etc" / "systemd" / "system")
    shutil.rmtree(root / "var" / "lib" / "private" / "versionsync", ignore_errors=True)


def configure(root: Path, *, upstream: str, port: int) -> None:
    """Settings, token, and what is other than in the field: a free port, a watchdog that is soon impatient."""
    etc = root / "etc" / "versionsync"
    etc.mkdir(exist_ok=True)
    (etc / "versionsync.toml").write_text(
        f'[[sources]]\nname = "website"\nbase_url = "{upstream}"\napi_token_file = "api_token"\n'
        'max_staleness = 2\nwebhook_password_file = "webhook_password"\n'
    )
    for name, secret in (("api_token", FULL_ACCESS_TOKEN), ("webhook_password", PASSWORD)):
        (etc / name).write_text(secret)
        (etc / name).chmod(0o600)
    overrides = {
        "versionsync.service": "[Service]\nWatchdogSec=6\nRestartSec=1\n"
        "LoadCredential=webhook_password:/etc/versionsync/webhook_password\n",
        "versionsync.socket": f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n",
    }
    for unit, text in overrides.items():
        folder = root / "etc" / "systemd" / "system" / f"{unit}.d"
        folder.mkdir(exist_ok=True)
        (folder / "test.conf").write_text(text)
    run("chroot", str(root), "systemctl", "enable", "--quiet", "versionsync.service", "versionsync.socket")


def run(*command: str) -> str:
    """What `command` prints. Raises CalledProcessError."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


class Machine:
    """A booted machine."""

    def __init__(self, root: Path, init: int) -> None:
        self.database = root / "var" / "lib" / "private" / "versionsync" / "versionsync.db"
        self._init = init

    def run(self, *command: str) -> str:
        """What `command` prints within the machine."""
        return run("nsenter", f"--target={self._init}", "--mount", "--uts", "--ipc", "--pid", *command)

    def show(self, name: str) -> str:
        """A property of the service."""
        return self.run("systemctl", "show", "versionsync.service", f"--property={name}", "--value").strip()

    def is_active(self) -> bool:
        """Whether the service is up and ready."""
        with suppress(subprocess.CalledProcessError):
            return self.show("ActiveState") == "active" and self.show("SubState") == "running"
        return False

    def log(self) -> str:
        """What the service has said."""
        return self.run("journalctl", "--unit=versionsync", "--no-pager", "--output=cat")

    def versions(self) -> int:
        """How many versions are mirrored."""
        with suppress(sqlite3.OperationalError), sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as mirror:
            return int(mirror.execute("select count(*) from versions").fetchone()[0])
        return 0


@contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """The machine until the block ends."""
    nspawn = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--directory", str(root), "--boot"]
    with subprocess.Popen(nspawn, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            yield Machine(root, _init_of(process))
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _init_of(nspawn: subprocess.Popen[bytes]) -> int:
    found: list[int] = []

    def look() -> bool:
        children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split()
        found[:] = [int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text().startswith("systemd")]
        return bool(found)

    eventually("the machine boots", look)
    return found[0]


def eventually(what: str, holds: Callable[[], object], *, within: float = 60.0) -> float:
    """Wait until it holds; the seconds that it took. Raises AssertionError."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > within:
            raise AssertionError(f"not within {within:.0f} s: {what}")
        time.sleep(0.05)
    took = time.monotonic() - began
    say(f"ok    {what}: {took:.1f} s")
    return took


def main(root: Path) -> None:
    """Everything, one after the other."""
    prepare(root)
    port = unused_port()
    with SimulatorThread(blog(records=20)) as upstream:
        configure(root, upstream=upstream.url, port=port)

        def edit() -> int:
            """One version more; how many there are."""

            def act(world: World) -> int:
                world.clock.advance(timedelta(minutes=1))
                record = next(iter(world.primary.records.values()))
                world.update(world.user, record.id, {"title": f"edited at {time.monotonic()}"})
                return sum(len(record.versions) for record in world.primary.records.values())

            return upstream.act(act)

        def follows(machine: Machine, after: str) -> None:
            number = edit()
            eventually(f"{after}, an edit is mirrored", lambda: machine.versions() == number)

        with booted(root) as machine:
            eventually("it is active", machine.is_active)
            follows(machine, "once active")
            survive(machine, follows, port)
        with booted(root) as machine:
            eventually("after a reboot, it is active", machine.is_active)
            follows(machine, "after a reboot")
    rating = run("systemd-analyze", "security", "--offline=true", str(UNITS / "versionsync.service")).splitlines()[-1]
    say(f"      {rating.strip('→ ')}")


def survive(machine: Machine, follows: Callable[[Machine, str], None], port: int) -> None:
    """What must not end it, and what must."""
    for signal, what in (("KILL", "killed"), ("STOP", "stopped, so that the watchdog must act")):
        before = machine.show("MainPID")
        machine.run("kill", f"-{signal}", before)
        eventually(f"{what}, it is restarted", lambda old=before: machine.show("MainPID") not in (old, "0"))  # type: ignore[misc]
        eventually(f"{what}, it is active again", machine.is_active)
        follows(machine, f"{what}")

    settings = "/etc/versionsync/versionsync.toml"
    before = machine.show("MainPID")
    machine.run("sh", "-c", f"cp {settings} /tmp/good; echo 'nonsense = 1' >> {settings}")
    machine.run("systemctl", "reload", "versionsync")
    eventually("bad settings are refused", lambda: "settings.refused" in machine.log())
    machine.run("sh", "-c", f"cp /tmp/good {settings}")
    machine.run("systemctl", "reload", "versionsync")
    eventually("good ones are taken", lambda: "settings.reloaded" in machine.log())
    assert machine.show("MainPID") == before
    follows(machine, "reloaded")

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

    began = time.monotonic()
    machine.run("systemctl", "stop", "versionsync.socket", "versionsync.service")
    took = time.monotonic() - began
    say(f"ok    it stops: {took:.1f} s")
    assert took < STOP_SECONDS
    assert machine.show("Result") == "success"
    machine.run("systemctl", "start", "versionsync.socket", "versionsync.service")
    follows(machine, "started again")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="versionsync-systemd-")))
