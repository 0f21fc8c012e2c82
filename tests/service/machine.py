"""A real machine with a real systemd in it, booted from a folder."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.service.printing import eventually, say

CHECKOUT = Path(__file__).parents[2]
PACKAGES = "systemd,systemd-sysv,dbus,libpam-systemd,python3,python3-venv,ca-certificates,procps"
PROGRAM = "/opt/versionsync/bin/versionsync"


def run(*command: str) -> str:
    """What `command` prints. Raises CalledProcessError."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def prepare(root: Path, suite: str) -> None:
    """A Debian of that name with this checkout's wheel in it, and nothing left of an earlier try."""
    if not (root / "bin").exists():
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(root))
    with tempfile.TemporaryDirectory() as wheels:
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", wheels, str(CHECKOUT))
        shutil.rmtree(root / "wheels", ignore_errors=True)
        shutil.copytree(wheels, root / "wheels")
    shutil.rmtree(root / "opt" / "versionsync", ignore_errors=True)
    run("chroot", str(root), "python3", "-m", "venv", "/opt/versionsync")
    pip = ("/opt/versionsync/bin/pip", "install", "--quiet", "--no-index", "--find-links", "/wheels", "versionsync")
    run("chroot", str(root), *pip)
    for left in (
        *root.glob("etc/systemd/system/versionsync*"),
        *root.glob("etc/systemd/system/*.wants/versionsync*"),
        *root.glob("var/lib/private/versionsync*"),
        *root.glob("var/lib/versionsync*"),
        *root.glob("var/lib/systemd/timers/*versionsync*"),
        *root.glob("etc/versionsync"),
        *root.glob("home/*"),
    ):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()


class Machine:
    """A booted machine."""

    def __init__(self, root: Path, init: int) -> None:
        self.root = root
        self._init = init

    def run(self, *command: str) -> str:
        """What `command` prints within the machine. Raises CalledProcessError."""
        return run(*self._inside(), *command)

    def tried(self, *command: str) -> tuple[int, str]:
        """The exit code of `command` within the machine, and all that it wrote."""
        ran = subprocess.run(
            [*self._inside(), *command], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return ran.returncode, ran.stdout

    def service(self, *argv: str, code: int = 0, told: str = "") -> str:
        """What `versionsync service` writes; it must end with `code`, and tell that."""
        ended, text = self.tried(PROGRAM, "service", *argv)
        assert ended == code, text
        assert told in " ".join(text.split()), text
        say(f"ok    service {' '.join(argv)}: code {code}{f', {told!r}' if told else ''}")
        return text

    def show(self, name: str, unit: str = "versionsync.service") -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", unit, f"--property={name}", "--value").strip()

    def is_active(self, unit: str = "versionsync.service") -> bool:
        """Whether a service is up and ready."""
        with suppress(subprocess.CalledProcessError):
            return self.show("ActiveState", unit) == "active" and self.show("SubState", unit) == "running"
        return False

    def log(self, unit: str = "versionsync") -> str:
        """What a unit has said since the machine was booted."""
        return self.run("journalctl", f"--unit={unit}", "--boot", "--no-pager", "--output=cat")

    def entries(self, *matches: str) -> list[dict[str, Any]]:
        """The entries of the journal that match."""
        lines = self.run("journalctl", "--no-pager", "--output=json", *matches).splitlines()
        return [json.loads(line) for line in lines]

    def state(self, name: str = "versionsync") -> Path:
        """Where a service keeps its mirror, seen from outside."""
        return self.root / "var" / "lib" / "private" / name

    def versions(self, state: Path | None = None) -> int:
        """How many versions are mirrored."""
        path = (state or self.state()) / "versionsync.db"
        with suppress(sqlite3.OperationalError), sqlite3.connect(f"file:{path}?mode=ro", uri=True) as mirror:
            return int(mirror.execute("select count(*) from versions").fetchone()[0])
        return 0

    def _inside(self) -> tuple[str, ...]:
        return "nsenter", f"--target={self._init}", "--mount", "--uts", "--ipc", "--pid"


@contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """The machine until the block ends."""
    nspawn = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--directory", str(root), "--boot"]
    with subprocess.Popen(nspawn, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            machine = Machine(root, _init_of(process))
            eventually("systemd answers", lambda: machine.tried("systemctl", "list-jobs")[0] == 0)
            yield machine
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _init_of(nspawn: subprocess.Popen[bytes]) -> int:
    found: list[int] = []  # nspawn forks twice: only the second child becomes systemd

    def look() -> bool:
        children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split()
        found[:] = [int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd"]
        return bool(found)

    eventually("the machine boots", look)
    return found[0]
