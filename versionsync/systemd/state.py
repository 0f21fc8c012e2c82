"""Whether a service runs, why it ended, and how its start is watched."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from versionsync.systemd.errors import NotStarted
from versionsync.systemd.host import installed_at
from versionsync.systemd.plan import Activity, Paths
from versionsync.systemd.systemctl import Systemd
from versionsync.systemd.units import UnitOptions

__all__ = ["UnitStatus", "activity_of", "others_of", "reason_of_end", "watch_start"]

START_SECONDS: Final = 20
"""How long a start is watched. The first run may take hours."""
STEADY_SECONDS: Final = 1.0
"""A service that is up this long has not failed at once."""


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """The status of a service that was started."""

    is_ready: bool
    """False while its first run continues."""
    status: str
    """What the service says about itself."""


def activity_of(systemd: Systemd, options: UnitOptions) -> Activity:
    """Return what the service is doing, or the timer that starts it."""
    now = systemd.show(options.service, "ActiveState", "SubState", "ExecMainStartTimestampMonotonic")
    if now["ActiveState"] == "failed" or now["SubState"] == "auto-restart":
        return Activity.FAILING
    is_started = options.starter is None or systemd.show(options.starter, "ActiveState")["ActiveState"] == "active"
    if options.timer:
        return Activity.RUNNING if is_started else Activity.STOPPED
    if now["ActiveState"] not in ("active", "activating", "reloading"):
        return Activity.STOPPED
    if not is_started:
        return Activity.RUNNING_UNMANAGED
    return Activity.RUNNING_OLD if 0 < _started(now) < installed_at() else Activity.RUNNING


def reason_of_end(systemd: Systemd, options: UnitOptions) -> str:
    """Return why the service ended, by systemd and by its last log lines."""
    now = systemd.show(options.service, "ExecMainStartTimestampMonotonic")
    # Only lines since its last start: older ones explain nothing.
    return _reason(systemd, options, since=time.time() - (time.monotonic() - _started(now)))


def others_of(options: UnitOptions, paths: Paths, systemd: Systemd) -> list[str]:
    """Return the other units of the same template that are enabled or loaded."""
    if options.instance is None:
        return []
    kind = ".timer" if options.timer else ".service"
    names = {path.name for path in paths.units.glob(f"*.wants/{options.stem}*{kind}")}
    listed = systemd.run("list-units", "--all", "--plain", "--no-legend", f"{options.stem}*{kind}", may_fail=True)
    names |= {line.split()[0] for line in listed.splitlines() if line.strip()}
    return sorted(names - {options.service, options.starter or ""})


def watch_start(systemd: Systemd, options: UnitOptions, *, seconds: float = START_SECONDS) -> UnitStatus:
    """Wait until the service is ready, or for `seconds` of its first run. Raise NotStarted if it fails."""
    began = time.time()
    if options.timer:
        return _watch_timer(systemd, options, began)
    until = time.monotonic() + seconds
    steady_since: float | None = None
    while True:
        now = systemd.show(options.service, "ActiveState", "SubState", "StatusText", "Result", "NRestarts")
        if now["ActiveState"] == "failed" or now["SubState"] == "auto-restart":
            raise _not_started(systemd, options, began)
        is_ready = now["ActiveState"] in ("active", "reloading")
        steady_since = (steady_since or time.monotonic()) if is_ready else None
        if steady_since and time.monotonic() - steady_since >= STEADY_SECONDS:
            return UnitStatus(True, now["StatusText"])
        if time.monotonic() > until:
            if now["ActiveState"] == "activating":
                return UnitStatus(False, now["StatusText"])
            raise _not_started(systemd, options, began)
        time.sleep(0.1)


def _watch_timer(systemd: Systemd, options: UnitOptions, began: float) -> UnitStatus:
    assert options.starter
    if systemd.show(options.starter, "ActiveState")["ActiveState"] != "active":
        raise _not_started(systemd, options, began)
    time.sleep(STEADY_SECONDS)
    if systemd.show(options.service, "ActiveState")["ActiveState"] == "failed":
        raise _not_started(systemd, options, began)
    return UnitStatus(True, "")


def _started(now: Mapping[str, str]) -> float:
    """Return when its process started, by the monotonic clock, or 0 if never."""
    return int(now["ExecMainStartTimestampMonotonic"] or 0) / 1e6


def _reason(systemd: Systemd, options: UnitOptions, *, since: float) -> str:
    now = systemd.show(options.service, "Result", "ExecMainStatus")
    code = f", exit code {now['ExecMainStatus']}" if now["ExecMainStatus"] not in ("", "0") else ""
    logged = " ".join(systemd.last_log_lines(options.service, since=since, lines=2))
    return f"result {now['Result'] or 'unknown'}{code}" + (f"; it said: {logged}" if logged else "")


def _not_started(systemd: Systemd, options: UnitOptions, began: float) -> NotStarted:
    return NotStarted(
        f"{options.service} is installed, and does not run: {_reason(systemd, options, since=began)}",
        hint=f"Fix that and run: {options.systemctl} restart {options.service}. The log: journalctl "
        f"{'--user ' if options.user else ''}--unit={options.service}",
    )
