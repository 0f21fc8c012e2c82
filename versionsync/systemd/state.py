"""What a service is at, and seeing that it comes up."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from versionsync.systemd.errors import NotStarted
from versionsync.systemd.plan import Activity, Paths
from versionsync.systemd.program import installed_at
from versionsync.systemd.systemctl import Systemd
from versionsync.systemd.units import UnitOptions

__all__ = ["UnitStatus", "activity_of", "others_of", "reason_of_end", "watch_start"]

START_SECONDS: Final = 20
"""A first look may take hours: so long it is watched."""
STEADY_SECONDS: Final = 1.0
"""Up for so long, it has not ended at once."""


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """A service that was started. `is_ready` is false while its first look goes on."""

    is_ready: bool
    status: str


def activity_of(systemd: Systemd, form: UnitOptions) -> Activity:
    """What the service is at, or the timer that starts it."""
    now = systemd.show(form.service, "ActiveState", "SubState", "ExecMainStartTimestampMonotonic")
    if now["ActiveState"] == "failed" or now["SubState"] == "auto-restart":
        return Activity.FAILING
    is_set = form.starter is None or systemd.show(form.starter, "ActiveState")["ActiveState"] == "active"
    if form.timer:
        return Activity.RUNNING if is_set else Activity.STOPPED
    if now["ActiveState"] not in ("active", "activating", "reloading"):
        return Activity.STOPPED
    if not is_set:
        return Activity.RUNNING_UNMANAGED
    return Activity.RUNNING_OLD if 0 < _started(now) < installed_at() else Activity.RUNNING


def reason_of_end(systemd: Systemd, form: UnitOptions) -> str:
    """Why the service ended, as far as systemd and its own last words tell."""
    now = systemd.show(form.service, "ExecMainStartTimestampMonotonic")
    # What its last start said: what it said before that is no reason.
    return _reason(systemd, form, since=time.time() - (time.monotonic() - _started(now)))


def others_of(form: UnitOptions, places: Paths, systemd: Systemd) -> list[str]:
    """The other units of the same template that are enabled or loaded."""
    if form.instance is None:
        return []
    kind = ".timer" if form.timer else ".service"
    names = {path.name for path in places.units.glob(f"*.wants/{form.stem}*{kind}")}
    listed = systemd.run("list-units", "--all", "--plain", "--no-legend", f"{form.stem}*{kind}", may_fail=True)
    names |= {line.split()[0] for line in listed.splitlines() if line.strip()}
    return sorted(names - {form.service, form.starter or ""})


def watch_start(systemd: Systemd, form: UnitOptions, *, seconds: float = START_SECONDS) -> UnitStatus:
    """See that the service comes up: ready, or still at its first look after `seconds`. Raises NotStarted."""
    began = time.time()
    if form.timer:
        return _watch_timer(systemd, form, began)
    until = time.monotonic() + seconds
    steady_since: float | None = None
    while True:
        now = systemd.show(form.service, "ActiveState", "SubState", "StatusText", "Result", "NRestarts")
        if now["ActiveState"] == "failed" or now["SubState"] == "auto-restart":
            raise _not_started(systemd, form, began)
        is_ready = now["ActiveState"] in ("active", "reloading")
        steady_since = (steady_since or time.monotonic()) if is_ready else None
        if steady_since and time.monotonic() - steady_since >= STEADY_SECONDS:
            return UnitStatus(True, now["StatusText"])
        if time.monotonic() > until:
            if now["ActiveState"] == "activating":
                return UnitStatus(False, now["StatusText"])
            raise _not_started(systemd, form, began)
        time.sleep(0.1)


def _watch_timer(systemd: Systemd, form: UnitOptions, began: float) -> UnitStatus:
    assert form.starter
    if systemd.show(form.starter, "ActiveState")["ActiveState"] != "active":
        raise _not_started(systemd, form, began)
    time.sleep(STEADY_SECONDS)
    if systemd.show(form.service, "ActiveState")["ActiveState"] == "failed":
        raise _not_started(systemd, form, began)
    return UnitStatus(True, "")


def _started(now: Mapping[str, str]) -> float:
    """When its process began, by the clock that counts from the machine's start; 0: never."""
    return int(now["ExecMainStartTimestampMonotonic"] or 0) / 1e6


def _reason(systemd: Systemd, form: UnitOptions, *, since: float) -> str:
    now = systemd.show(form.service, "Result", "ExecMainStatus")
    code = f", exit code {now['ExecMainStatus']}" if now["ExecMainStatus"] not in ("", "0") else ""
    said = " ".join(systemd.last_log_lines(form.service, since=since, lines=2))
    return f"result {now['Result'] or 'unknown'}{code}" + (f"; it said: {said}" if said else "")


def _not_started(systemd: Systemd, form: UnitOptions, began: float) -> NotStarted:
    return NotStarted(
        f"{form.service} is installed, and does not run: {_reason(systemd, form, since=began)}",
        hint=f"Mend what it says and run: {form.systemctl} restart {form.service}. Its whole log: journalctl "
        f"{'--user ' if form.user else ''}--unit={form.service}",
    )
