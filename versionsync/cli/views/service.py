"""How an installed service stands: what runs, since when, by which unit, and what of that needs somebody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
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
    """What there is to say. `attention`: what needs somebody; nothing does where it is empty."""

    service: str
    program: str
    state: str
    status: str
    since: str
    pid: int
    restarts: int
    enabled: bool
    installed: bool
    standings: Sequence[tuple[Path, FileState]]
    drop_ins: Sequence[str]
    exposure: float | None
    attention: Sequence[str]

    def fields(self) -> dict[str, Any]:
        """For programs."""
        return {
            "service": self.service,
            "installed": self.installed,
            "enabled": self.enabled,
            "state": self.state,
            "status": self.status,
            "since": self.since or None,
            "pid": self.pid or None,
            "restarts": self.restarts,
            "program": self.program,
            "units": [{"path": str(path), "standing": standing.value} for path, standing in self.standings],
            "drop_ins": list(self.drop_ins),
            "exposure": self.exposure,
            "attention": list(self.attention),
        }


def read_status(installation: Installation, files: Files, systemd: Systemd) -> ServiceStatus:
    """Ask systemd. Raises NoSystemd."""
    form = installation.options
    told = systemd.show(form.service, *_PROPERTIES, *_SINCE)
    own = files.found.keys()
    standings = [(path, files.state(path)) for path in files.wanted if files.found[path] is not None]
    seen = ServiceStatus(
        service=form.service,
        program=str(installation.program),
        state=f"{told['ActiveState']} ({told['SubState']})",
        status=told["StatusText"],
        since=told["ExecMainExitTimestamp"] if form.timer else told["ActiveEnterTimestamp"],
        pid=int(told["MainPID"] or 0),
        restarts=int(told["NRestarts"] or 0),
        enabled=bool(standings) and systemd.is_enabled(form.enabled),
        installed=bool(standings),
        standings=standings,
        drop_ins=[path for path in told["DropInPaths"].split() if Path(path) not in own],
        exposure=systemd.exposure(form.service) if standings else None,
        attention=(),
    )
    if not seen.installed:
        return replace(seen, attention=(_NOT_INSTALLED,))
    activity = activity_of(systemd, form)
    reason = reason_of_end(systemd, form) if activity is Activity.FAILING else ""
    wrong = (*_at_rest(seen, form, activity, reason), *_gone(installation), *_wrong(seen, files, form, told))
    return replace(seen, attention=wrong)


_NOT_INSTALLED: Final = "it is not installed: versionsync service install"


def _at_rest(seen: ServiceStatus, form: UnitOptions, activity: Activity, reason: str) -> Iterator[str]:
    """That it does not run as it should, and mostly what to do."""
    match activity:
        case Activity.FAILING:
            yield f"it is {seen.state}: {reason}"
        case Activity.STOPPED:
            yield f"{form.starter} is not active: nothing starts it" if form.timer else f"it is {seen.state}"
        case Activity.RUNNING_OLD:
            yield f"it was started before this version was installed: {form.systemctl} restart {form.service}"
        case Activity.RUNNING_UNMANAGED:
            yield f"{form.starter} is not active, so calls are refused while it restarts: versionsync service install"
        case Activity.RUNNING:
            pass


def _gone(installation: Installation) -> Iterator[str]:
    """Secrets that are not there any more: without them it does not start again."""
    for path in installation.credentials:
        with suppress(PermissionError):  # it is not for this user to know
            if not path.exists():
                yield f"there is no file {path}, which the settings name: it does not start without"


def _wrong(seen: ServiceStatus, files: Files, form: UnitOptions, told: dict[str, str]) -> Iterator[str]:
    """What else needs somebody, and mostly what to do."""
    if not seen.enabled:
        yield "it is not enabled: it does not start by itself"
    for path in files.in_state(FileState.CHANGED):
        yield f"{path} was changed by hand, or not installed by versionsync"
    for path in files.in_state(FileState.OLD, FileState.MISSING):
        yield f"{path} is not this version's: versionsync service install"
    if told["NeedDaemonReload"] == "yes":
        yield f"systemd has not read its unit files since they were changed: {form.systemctl} daemon-reload"


def show(output: Output, seen: ServiceStatus) -> None:
    """For people."""
    output.plain_line(seen.service, style="bold")
    rows = {
        "state": f"{seen.state}{f' since {seen.since}' if seen.since else ''}",
        "says": seen.status,
        "process": f"{seen.pid}, {count(seen.restarts, 'restart')} by systemd" if seen.pid else "",
        "enabled": "yes" if seen.enabled else "no",
        "program": seen.program,
        "units": ", ".join(f"{path} ({standing.value})" for path, standing in seen.standings),
        "drop-ins": ", ".join(seen.drop_ins),
        "exposure": "" if seen.exposure is None else f"{seen.exposure} of 10, by systemd-analyze security",
    }
    for name, value in rows.items():
        if value:
            output.paragraph(f"  {name:<10}", value, hang=12)
    for line in seen.attention:
        output.paragraph((f"! {line}", "yellow"), hang=2)
