"""Calls of systemctl, journalctl and systemd-analyze."""

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
"""It exists only if systemd started the machine: sd_booted(3)."""
_SECONDS: Final = 60
_WITHOUT: Final = "Let the service manager of this machine start `versionsync run`."
_EXPOSURE: Final = re.compile(r"exposure level for \S+: ([\d.]+)")


class Systemd:
    """The system's systemd, or with `user` the one of the current user."""

    def __init__(self, *, user: bool) -> None:
        self._scope = ("--user",) if user else ()
        self.user = user

    def require(self) -> None:
        """Raise NoSystemd if none answers, or if it is too old."""
        self._require_systemctl()
        if not BOOTED.is_dir():
            raise NoSystemd("this machine was not started by systemd", hint=_WITHOUT)
        self.run("show", "--property=Version")
        if self.version < MIN_VERSION:
            raise NoSystemd(
                f"systemd {self.version} is too old: version {MIN_VERSION} was the first to pass secrets to a service",
                hint="Use a container, or write your own unit that starts `versionsync run`.",
            )

    def run(self, *argv: str, may_fail: bool = False) -> str:
        """Return the output of systemctl. Raise NoSystemd if there is none or, unless it `may_fail`, if it fails."""
        self._require_systemctl()
        ran = self._ran("systemctl", *self._scope, "--no-pager", *argv)
        if ran.returncode and not may_fail:
            reason = " ".join(ran.stderr.split()) or f"it ended with code {ran.returncode}"
            raise NoSystemd(f"systemctl {' '.join((*self._scope, *argv))}: {reason}", hint=self._hint(reason))
        return ran.stdout

    @property
    def version(self) -> int:
        """Return its version, such as 252, or 0 without systemd."""
        if shutil.which("systemctl") is None:
            return 0
        found = re.match(r"systemd (\d+)", self._ran("systemctl", "--version").stdout)
        return int(found[1]) if found else 0

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Return properties of a unit. For a unit that does not exist, systemd reports defaults."""
        lines = self.run("show", unit, *(f"--property={name}" for name in names)).splitlines()
        shown = dict(line.split("=", 1) for line in lines if "=" in line)
        return {name: shown.get(name, "") for name in names}

    def is_enabled(self, units: Sequence[str]) -> bool:
        """Return whether all of them start automatically, at boot or by a timer."""
        states = self.run("is-enabled", *units, may_fail=True).split()
        return states == ["enabled"] * len(units)

    def last_log_lines(self, unit: str, *, since: float, lines: int) -> list[str]:
        """Return the last lines that the unit itself logged since a Unix time; none if this user may not read them."""
        if shutil.which("journalctl") is None:
            return []
        query = (f"--unit={unit}", f"--since=@{int(since)}", "--lines=50", "--output=json")
        ran = self._ran("journalctl", *self._scope, "--no-pager", *query)
        entries = [json.loads(line) for line in ran.stdout.splitlines()] if ran.returncode == 0 else []
        logged = [entry.get("MESSAGE") for entry in entries if entry.get("SYSLOG_IDENTIFIER") != "systemd"]
        return [line for line in logged if isinstance(line, str)][-lines:]

    def exposure(self, unit: str) -> float | None:
        """Return the exposure of a service from 0 to 10 by `systemd-analyze security`, or None if unknown."""
        if self.user or shutil.which("systemd-analyze") is None:
            return None
        found = _EXPOSURE.search(self._ran("systemd-analyze", "--no-pager", "security", unit).stdout)
        return float(found[1]) if found else None

    @staticmethod
    def _require_systemctl() -> None:
        if shutil.which("systemctl") is None:
            raise NoSystemd("there is no systemd on this machine: systemctl was not found", hint=_WITHOUT)

    def _hint(self, reason: str) -> str:
        if "Failed to connect to bus" in reason and self.user:
            return "Log in as that user with `machinectl shell USER@`, not with su or sudo."
        return "See `systemctl status` and `journalctl -xe`."

    @staticmethod
    def _ran(*argv: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(argv, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            raise NoSystemd(f"{argv[0]} has not answered for {_SECONDS} s", hint="See `systemctl list-jobs`.") from None
