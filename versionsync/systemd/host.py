"""Where things lie on this machine, and the doing of a plan: files, modes, systemctl."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from versionsync.files import write_whole
from versionsync.systemd.errors import InvalidInstanceName, NoSystemd, NotAccessible, NotStarted, ServiceError
from versionsync.systemd.plan import READABLE, UNIT_MODE, Command, Mode, Paths, Plan, Remove, Write
from versionsync.systemd.systemctl import Systemd
from versionsync.systemd.units import UnitOptions

__all__ = ["check_instance", "execute", "paths", "read"]

MAX_INSTANCE_LENGTH: Final = 19
"""A user of that name is made, `versionsync-` before it: Linux allows 31 characters."""
_INSTANCE: Final = re.compile(r"[a-z0-9][a-z0-9_-]*", re.IGNORECASE)
STATE_HOME_SINCE: Final = 254
"""Until then systemd put a user's state among the settings."""


def check_instance(name: str) -> None:
    """Raises BadInstance if no unit, user and directory can be called so."""
    if not _INSTANCE.fullmatch(name) or len(name) > MAX_INSTANCE_LENGTH:
        raise InvalidInstanceName(
            f"an instance cannot be called {name!r}",
            hint=f"Letters, digits, - and _; {MAX_INSTANCE_LENGTH} at the most: a user of that name is made.",
        )


def paths(form: UnitOptions, environ: Mapping[str, str], *, systemd: int) -> Paths:
    """Where a systemd of that version looks for units, and the unit for settings and state."""
    if not form.user:
        return Paths(
            units=Path("/etc/systemd/system"), settings=Path("/etc/versionsync"), state=Path("/var/lib") / form.state
        )
    home = _home(environ)
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    states = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") if systemd >= STATE_HOME_SINCE else config
    return Paths(units=config / "systemd" / "user", settings=config / "versionsync", state=states / form.state)


def _home(environ: Mapping[str, str]) -> Path:
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError:
        raise NotAccessible(
            "no home folder is known for this user, and a service of its own has its settings there", hint="Set HOME."
        ) from None


def read(path: Path) -> str | None:
    """What a file holds; None: there is none. One that is masked holds nothing."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None


def execute(plan: Plan, systemd: Systemd) -> None:
    """Do it, step by step. Raises ServiceError where one fails; what was done before it stays done."""
    for step in plan.steps:
        try:
            match step:
                case Write():
                    step.path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
                    write_whole(step.path, step.text, mode=UNIT_MODE)
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


def _remove_drop_in_folder(folder: Path) -> None:
    if folder.name.endswith(".d"):
        folder.rmdir()
