"""The status of an installed service: what runs, since when, from which unit, and what needs attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from versionsync.cli.terminal.output import Output
from versionsync.systemd.plan import Activity, Files, FileState, Installation
from versionsync.systemd.state import activity_of, reason_of_end
from versionsync.systemd.systemctl import Systemd
from versionsync.systemd.units import UnitOptions
from versionsync.text import count

__all__ = ["ServiceStatus", "read_status", "show"]

_PROPERTIES: Final = ("ActiveState", "SubState", "StatusText", "MainPID", "NRestarts", "DropInPaths")
_SINCE: Final = ("ActiveEnterTimestamp", "ExecMainExitTimestamp", "NeedDaemonReload")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """What `service status` shows."""

    service: str
    program: str
    state: str
    status: str
    """What the service says about itself."""
    since: str
    pid: int
    restarts: int
    """How often systemd restarted it."""
    enabled: bool
    installed: bool
    units: Sequence[tuple[Path, FileState]]
    drop_ins: Sequence[str]
    """Drop-ins of others."""
    exposure: float | None
    attention: Sequence[str] = ()
    """What needs attention, with what to do."""

    def to_fields(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)} | {
            "since": self.since or None,
            "pid": self.pid or None,
            "units": [{"path": str(path), "standing": state.value} for path, state in self.units],
        }


def read_status(installation: Installation, files: Files, systemd: Systemd) -> ServiceStatus:
    """Ask systemd. Raise NoSystemd if there is none."""
    options = installation.options
    shown = systemd.show(options.service, *_PROPERTIES, *_SINCE)
    own = files.found.keys()
    units = [(path, files.state(path)) for path in files.wanted if files.found[path] is not None]
    seen = ServiceStatus(
        service=options.service,
        program=str(installation.program),
        state=f"{shown['ActiveState']} ({shown['SubState']})",
        status=shown["StatusText"],
        since=shown["ExecMainExitTimestamp"] if options.timer else shown["ActiveEnterTimestamp"],
        pid=int(shown["MainPID"] or 0),
        restarts=int(shown["NRestarts"] or 0),
        enabled=bool(units) and systemd.is_enabled(options.enabled),
        installed=bool(units),
        units=units,
        drop_ins=[path for path in shown["DropInPaths"].split() if Path(path) not in own],
        exposure=systemd.exposure(options.service) if units else None,
    )
    if not seen.installed:
        return replace(seen, attention=(_NOT_INSTALLED,))
    activity = activity_of(systemd, options)
    reason = reason_of_end(systemd, options) if activity is Activity.FAILING else ""
    wrong = (*_activity(seen, options, activity, reason), *_missing(installation), *_units(seen, files, options, shown))
    return replace(seen, attention=wrong)


_NOT_INSTALLED: Final = "it is not installed; run: versionsync service install"


def _activity(seen: ServiceStatus, options: UnitOptions, activity: Activity, reason: str) -> Iterator[str]:
    match activity:
        case Activity.FAILING:
            yield f"it is {seen.state}: {reason}"
        case Activity.STOPPED:
            yield f"{options.starter} is not active: nothing starts it" if options.timer else f"it is {seen.state}"
        case Activity.RUNNING_OLD:
            yield f"it started before this version was installed; run: {options.systemctl} restart {options.service}"
        case Activity.RUNNING_UNMANAGED:
            yield f"{options.starter} is not active, so calls during a restart fail; run: versionsync service install"
        case Activity.RUNNING:
            pass


def _missing(installation: Installation) -> Iterator[str]:
    for path in installation.credentials:
        with suppress(PermissionError):  # this user may not know
            if not path.exists():
                yield f"there is no file {path}, which the settings name: the service cannot start again"


def _units(seen: ServiceStatus, files: Files, options: UnitOptions, shown: dict[str, str]) -> Iterator[str]:
    if not seen.enabled:
        yield "it is not enabled: it does not start by itself"
    for path in files.in_state(FileState.CHANGED):
        yield f"{path} was changed by hand, or not installed by versionsync"
    for path in files.in_state(FileState.OLD, FileState.MISSING):
        yield f"{path} is not from this version; run: versionsync service install"
    if shown["NeedDaemonReload"] == "yes":
        yield f"systemd has not read the changed unit files; run: {options.systemctl} daemon-reload"


def show(output: Output, seen: ServiceStatus) -> None:
    output.plain_line(seen.service, style="bold")
    rows = {
        "state": f"{seen.state}{f' since {seen.since}' if seen.since else ''}",
        "says": seen.status,
        "process": f"{seen.pid}, {count(seen.restarts, 'restart')} by systemd" if seen.pid else "",
        "enabled": "yes" if seen.enabled else "no",
        "program": seen.program,
        "units": ", ".join(f"{path} ({state.value})" for path, state in seen.units),
        "drop-ins": ", ".join(seen.drop_ins),
        "exposure": "" if seen.exposure is None else f"{seen.exposure} of 10, by systemd-analyze security",
    }
    for name, value in rows.items():
        if value:
            output.paragraph(f"  {name:<10}", value, hang=12)
    for line in seen.attention:
        output.paragraph((f"! {line}", "yellow"), hang=2)
