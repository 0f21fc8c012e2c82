"""What a service finds on this machine, and the doing of a plan: files, modes, systemctl."""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from versionsync.service.errors import BadInstance, NoSystemd, NotStarted, OutOfReach, ServiceError
from versionsync.service.plan import READABLE, UNIT_MODE, Activity, Command, Mode, Places, Plan, Remove, Write
from versionsync.service.systemd import Systemd
from versionsync.service.units import DEFAULT_PROGRAM, Form

__all__ = [
    "Running",
    "activity_of",
    "carry_out",
    "check_instance",
    "installed_program",
    "others_of",
    "places_of",
    "program_path",
    "read",
    "require_reach",
    "watch_start",
]

LONGEST_INSTANCE: Final = 19
"""A user of that name is made, `versionsync-` before it: Linux allows 31 characters."""
_INSTANCE: Final = re.compile(r"[a-z0-9][a-z0-9_-]*", re.IGNORECASE)
_HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - these are shut to the service
STATE_HOME_SINCE: Final = 254
"""Until then systemd put a user's state among the settings."""
START_SECONDS: Final = 20
STEADY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """A service that was started. `is_ready` is false while its first look goes on."""

    is_ready: bool
    status: str


def check_instance(name: str) -> None:
    """Raises BadInstance if no unit, user and directory can be called so."""
    if not _INSTANCE.fullmatch(name) or len(name) > LONGEST_INSTANCE:
        raise BadInstance(
            f"an instance cannot be called {name!r}",
            hint=f"Letters, digits, - and _; {LONGEST_INSTANCE} at the most: a user of that name is made.",
        )


def places_of(form: Form, environ: Mapping[str, str], *, systemd: int) -> Places:
    """Where a systemd of that version looks for units, and the unit for settings and state."""
    if not form.user:
        return Places(
            units=Path("/etc/systemd/system"), settings=Path("/etc/versionsync"), state=Path("/var/lib") / form.state
        )
    home = Path(environ.get("HOME") or Path.home())
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    states = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") if systemd >= STATE_HOME_SINCE else config
    return Places(units=config / "systemd" / "user", settings=config / "versionsync", state=states / form.state)


def program_path(form: Form) -> PurePosixPath:
    """The program that runs now, by its real path. Raises OutOfReach if a service could not run it."""
    program = Path(sys.argv[0]).resolve()
    if program.name == "__main__.py" or not os.access(program, os.X_OK):
        program = Path(sys.prefix) / "bin" / "versionsync"
    if not program.is_file():
        raise OutOfReach(
            "the installed program was not found: this one runs from its source",
            hint="Install it where every user may read it: python3 -m venv /opt/versionsync, then its pip.",
        )
    if not form.user:
        for path in (program, Path(sys.prefix).resolve(), Path(sys.executable).resolve()):
            require_reach(path)
    return PurePosixPath(program)


def installed_program(form: Form, places: Places) -> PurePosixPath:
    """The program that an installed unit starts; the usual one where none is installed."""
    text = read(places.units / f"{form.stem}.service") or ""
    found = re.search(r'^ExecStart="?(/.+?)"? --config ', text, re.MULTILINE)
    return PurePosixPath(re.sub(r"\\(.)", r"\1", found[1]).replace("%%", "%")) if found else DEFAULT_PROGRAM


def others_of(form: Form, places: Places, systemd: Systemd) -> list[str]:
    """The other units of the same template that are enabled or loaded."""
    if form.instance is None:
        return []
    kind = ".timer" if form.timer else ".service"
    names = {path.name for path in places.units.glob(f"*.wants/{form.stem}*{kind}")}
    listed = systemd.run("list-units", "--all", "--plain", "--no-legend", f"{form.stem}*{kind}", may_fail=True)
    names |= {line.split()[0] for line in listed.splitlines() if line.strip()}
    return sorted(names - {form.service, form.starter or ""})


def require_reach(path: Path) -> None:
    """Raises OutOfReach unless every user can get there; the units shut some folders altogether."""
    hint = (
        "Install it where every user may read it, as under /opt: python3 -m venv /opt/versionsync; or "
        "UV_TOOL_DIR=/opt/uv UV_PYTHON_INSTALL_DIR=/opt/uv/python uv tool install versionsync; or PIPX_HOME=/opt/pipx "
        "pipx install versionsync. Or install a service of your own: --user."
    )
    if hidden := next((folder for folder in _HIDDEN if path.is_relative_to(folder)), None):
        raise OutOfReach(f"the service cannot reach {path}: {hidden} is shut to it", hint=hint)
    for folder in (path, *path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise OutOfReach(
                f"the service's user cannot reach {path}: others may not enter {folder}"
                if folder != path
                else f"the service's user cannot run {path}",
                hint=hint,
            )


def activity_of(systemd: Systemd, form: Form) -> Activity:
    """What the service is at, or the timer that starts it."""
    now = systemd.show(form.service, "ActiveState", "SubState")
    if now["ActiveState"] == "failed" or now["SubState"] == "auto-restart":
        return Activity.FAILS
    if form.timer and form.starter:
        now = systemd.show(form.starter, "ActiveState")
    return Activity.RUNS if now["ActiveState"] in ("active", "activating", "reloading") else Activity.RESTS


def read(path: Path) -> str | None:
    """What a file holds; None: there is none. One that is masked holds nothing."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def carry_out(plan: Plan, systemd: Systemd) -> None:
    """Do it, step by step. Raises ServiceError where one fails; what was done before it stays done."""
    for step in plan.steps:
        try:
            match step:
                case Write():
                    _write(step)
                case Remove():
                    step.path.unlink(missing_ok=True)
                    with suppress(OSError):  # not empty: somebody else's drop-ins
                        _remove_drop_in_folder(step.path.parent)
                case Mode():
                    step.path.chmod(READABLE)
                case Command():
                    _command(step, systemd)
        except OSError as error:
            raise ServiceError(
                f"{error.filename} cannot be written: {error.strerror}", hint="Check its owner and mode."
            ) from error


def _command(step: Command, systemd: Systemd) -> None:
    try:
        systemd.run(*step.argv, may_fail=step.may_fail)
    except NoSystemd as error:
        if step.argv[0] != "start":
            raise
        unit = step.argv[-1]
        hint = f"journalctl {'--user ' if step.user else ''}--unit={unit} says why"
        if unit.endswith(".socket"):
            hint += f"; if another program has its port, choose another: systemctl edit {unit}"
        raise NotStarted(f"{unit} is installed, and does not start: {error}", hint=f"{hint}.") from error


def watch_start(systemd: Systemd, form: Form, *, seconds: float = START_SECONDS) -> Running:
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
            return Running(True, now["StatusText"])
        if time.monotonic() > until:
            if now["ActiveState"] == "activating":
                return Running(False, now["StatusText"])
            raise _not_started(systemd, form, began)
        time.sleep(0.1)


def _watch_timer(systemd: Systemd, form: Form, began: float) -> Running:
    assert form.starter
    if systemd.show(form.starter, "ActiveState")["ActiveState"] != "active":
        raise _not_started(systemd, form, began)
    time.sleep(STEADY_SECONDS)
    if systemd.show(form.service, "ActiveState")["ActiveState"] == "failed":
        raise _not_started(systemd, form, began)
    return Running(True, "")


def _not_started(systemd: Systemd, form: Form, began: float) -> NotStarted:
    now = systemd.show(form.service, "Result", "ExecMainStatus")
    code = f", exit code {now['ExecMainStatus']}" if now["ExecMainStatus"] not in ("", "0") else ""
    said = " ".join(systemd.last_words(form.service, since=began, lines=2))
    return NotStarted(
        f"{form.service} is installed, and does not run (result: {now['Result'] or 'unknown'}{code})"
        + (f"; it said: {said}" if said else ""),
        hint=f"Mend what it says and run: {form.systemctl} restart {form.service}. Its whole log: journalctl "
        f"{'--user ' if form.user else ''}--unit={form.service}",
    )


def _write(step: Write) -> None:
    step.path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    fresh = step.path.with_name(f".{step.path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, UNIT_MODE), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), UNIT_MODE)
            file.write(step.text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(step.path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _remove_drop_in_folder(folder: Path) -> None:
    if folder.name.endswith(".d"):
        folder.rmdir()
