"""The door to systemd: systemctl, the journal, and how exposed a service is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from versionsync.systemd.errors import NoSystemd

__all__ = ["Systemd"]

MIN_VERSION: Final = 247
BOOTED: Final = Path("/run/systemd/system")
"""It is there where systemd started the machine, and nowhere else: sd_booted(3)."""
_SECONDS: Final = 60
_WITHOUT: Final = "Have what starts services here start `versionsync run`."
_EXPOSURE: Final = re.compile(r"exposure level for \S+: ([\d.]+)")


class Systemd:
    """The machine's systemd, or with `user` that of the user who asks."""

    def __init__(self, *, user: bool) -> None:
        self._scope = ("--user",) if user else ()
        self.user = user

    def require(self) -> None:
        """Raises NoSystemd where none answers, or one that is too old."""
        self._require_systemctl()
        if not BOOTED.is_dir():
            raise NoSystemd("this machine was not started by systemd", hint=_WITHOUT)
        self.run("show", "--property=Version")
        if self.version < MIN_VERSION:
            raise NoSystemd(
                f"systemd {self.version} is too old: version {MIN_VERSION} was the first to hand over secrets",
                hint="Take a container, or have it start `versionsync run` by a unit of your own.",
            )

    def run(self, *argv: str, may_fail: bool = False) -> str:
        """What systemctl prints. Raises NoSystemd if it is not there or, unless it `may_fail`, if it fails."""
        self._require_systemctl()
        ran = self._ran("systemctl", *self._scope, "--no-pager", *argv)
        if ran.returncode and not may_fail:
            said = " ".join(ran.stderr.split()) or f"it ended with code {ran.returncode}"
            raise NoSystemd(f"systemctl {' '.join((*self._scope, *argv))}: {said}", hint=self._hint(said))
        return ran.stdout

    @property
    def version(self) -> int:
        """Its version, such as 252; 0 where there is none."""
        if shutil.which("systemctl") is None:
            return 0
        found = re.match(r"systemd (\d+)", self._ran("systemctl", "--version").stdout)
        return int(found[1]) if found else 0

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit; those of one that does not exist are what systemd says of such."""
        lines = self.run("show", unit, *(f"--property={name}" for name in names)).splitlines()
        told = dict(line.split("=", 1) for line in lines if "=" in line)
        return {name: told.get(name, "") for name in names}

    def is_enabled(self, units: Sequence[str]) -> bool:
        """Whether all of them are started by themselves, at boot or by the clock."""
        states = self.run("is-enabled", *units, may_fail=True).split()
        return states == ["enabled"] * len(units)

    def last_log_lines(self, unit: str, *, since: float, lines: int) -> list[str]:
        """The last lines that the unit itself has logged since a time of the clock; none where nobody may read them."""
        if shutil.which("journalctl") is None:
            return []
        asked = (f"--unit={unit}", f"--since=@{int(since)}", "--lines=50", "--output=json")
        ran = self._ran("journalctl", *self._scope, "--no-pager", *asked)
        entries = [json.loads(line) for line in ran.stdout.splitlines()] if ran.returncode == 0 else []
        said = [entry.get("MESSAGE") for entry in entries if entry.get("SYSLOG_IDENTIFIER") != "systemd"]
        return [line for line in said if isinstance(line, str)][-lines:]

    def exposure(self, unit: str) -> float | None:
        """How exposed a service is, from 0 to 10, as `systemd-analyze security` says; None: it says nothing."""
        if self.user or shutil.which("systemd-analyze") is None:
            return None
        found = _EXPOSURE.search(self._ran("systemd-analyze", "--no-pager", "security", unit).stdout)
        return float(found[1]) if found else None

    @staticmethod
    def _require_systemctl() -> None:
        if shutil.which("systemctl") is None:
            raise NoSystemd("there is no systemd on this machine: systemctl was not found", hint=_WITHOUT)

    def _hint(self, said: str) -> str:
        if "Failed to connect to bus" in said and self.user:
            return "Log in as that user, not by su or sudo: `machinectl shell USER@` does."
        return "`systemctl status` and `journalctl -xe` say more."

    @staticmethod
    def _ran(*argv: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(argv, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            raise NoSystemd(
                f"{argv[0]} has not answered for {_SECONDS} s", hint="`systemctl list-jobs` shows what it waits for."
            ) from None
