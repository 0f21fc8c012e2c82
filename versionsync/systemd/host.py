"""This machine: its paths, the installed program, whether a service can reach it, and how a plan is executed."""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from versionsync.private_files import write_whole
from versionsync.systemd.errors import InvalidInstanceName, NoSystemd, NotAccessible, NotStarted, ServiceError
from versionsync.systemd.plan import READABLE, UNIT_MODE, Command, Mode, Paths, Plan, ReadFile, Remove, Write
from versionsync.systemd.systemctl import Systemd
from versionsync.systemd.units import DEFAULT_PROGRAM, UnitOptions

__all__ = [
    "check_accessible",
    "check_instance",
    "execute",
    "find_paths",
    "installed_at",
    "installed_program",
    "program_path",
    "read",
]

MAX_INSTANCE_LENGTH: Final = 19
"""The service's user is called `versionsync-NAME`, and Linux allows 31 characters."""
_INSTANCE: Final = re.compile(r"[a-z0-9][a-z0-9_-]*", re.IGNORECASE)
STATE_HOME_SINCE: Final = 254
"""Before this version, systemd kept the state of a user's service among the settings."""
_HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - the units hide these


def check_instance(name: str) -> None:
    """Raise InvalidInstanceName if no unit, user and directory can have this name."""
    if not _INSTANCE.fullmatch(name) or len(name) > MAX_INSTANCE_LENGTH:
        raise InvalidInstanceName(
            f"an instance cannot be called {name!r}",
            hint=f"Use at most {MAX_INSTANCE_LENGTH} letters, digits, - and _: it becomes the name of a user.",
        )


def find_paths(options: UnitOptions, environ: Mapping[str, str], *, systemd: int) -> Paths:
    """Return where this version of systemd looks for units, and the unit for settings and state."""
    if not options.user:
        return Paths(
            units=Path("/etc/systemd/system"), settings=Path("/etc/versionsync"), state=Path("/var/lib") / options.state
        )
    home = _home(environ)
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    states = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") if systemd >= STATE_HOME_SINCE else config
    return Paths(units=config / "systemd" / "user", settings=config / "versionsync", state=states / options.state)


def _home(environ: Mapping[str, str]) -> Path:
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError:
        raise NotAccessible(
            "no home folder is known for this user, where its service has its settings", hint="Set HOME."
        ) from None


def program_path(options: UnitOptions) -> PurePosixPath:
    """Return the real path of the running program. Raise NotAccessible if a service could not run it."""
    program = Path(sys.argv[0]).resolve()
    if program.name == "__main__.py" or not os.access(program, os.X_OK):
        program = Path(sys.prefix) / "bin" / "versionsync"
    if not program.is_file():
        raise NotAccessible(
            "the installed program was not found: this one runs from its source",
            hint="Install it where every user may read it: python3 -m venv /opt/versionsync, then its pip.",
        )
    if not options.user:
        for path in (program, Path(sys.prefix).resolve(), Path(sys.executable).resolve()):
            check_accessible(path)
    return PurePosixPath(program)


def installed_program(options: UnitOptions, paths: Paths, read: ReadFile) -> PurePosixPath:
    """Return the program that the installed unit starts, or the default one if there is no unit."""
    text = read(paths.units / f"{options.stem}.service") or ""
    found = re.search(r'^ExecStart="?(/.+?)"? --config ', text, re.MULTILINE)
    return PurePosixPath(re.sub(r"\\(.)", r"\1", found[1]).replace("%%", "%")) if found else DEFAULT_PROGRAM


def check_accessible(path: Path) -> None:
    """Raise NotAccessible unless every user can reach `path`. The units hide some folders completely."""
    hint = (
        "Install it where every user may read it, as under /opt: python3 -m venv /opt/versionsync; or "
        "UV_TOOL_DIR=/opt/uv UV_PYTHON_INSTALL_DIR=/opt/uv/python uv tool install versionsync; or PIPX_HOME=/opt/pipx "
        "pipx install versionsync. Or install a service of your own user: --user."
    )
    if hidden := next((folder for folder in _HIDDEN if path.is_relative_to(folder)), None):
        raise NotAccessible(f"the service cannot reach {path}: {hidden} is hidden from it", hint=hint)
    for folder in (path, *path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise NotAccessible(
                f"the service's user cannot reach {path}: others may not enter {folder}"
                if folder != path
                else f"the service's user cannot run {path}",
                hint=hint,
            )


def installed_at() -> float:
    """Return when this program was installed, by the monotonic clock, as systemd reports the start of a process."""
    # Not st_mtime: an installer may keep the modification times of the package.
    return time.monotonic() - (time.time() - Path(__file__).stat().st_ctime)


def read(path: Path) -> str | None:
    """Return the content of a file, or None if there is none. A masked unit is empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None


def execute(plan: Plan, systemd: Systemd) -> None:
    """Execute the steps in order. Raise ServiceError if one fails; the steps before it stay done."""
    for step in plan.steps:
        try:
            match step:
                case Write():
                    step.path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
                    write_whole(step.path, step.text, mode=UNIT_MODE)
                case Remove():
                    step.path.unlink(missing_ok=True)
                    if step.path.parent.suffix == ".d":
                        with suppress(OSError):  # not empty: it holds drop-ins of others
                            step.path.parent.rmdir()
                case Mode():
                    step.path.chmod(READABLE)
                case Command():
                    _run(step, systemd)
        except OSError as error:
            raise ServiceError(
                f"{error.filename} cannot be written: {error.strerror}", hint="Check its owner and mode."
            ) from error


def _run(step: Command, systemd: Systemd) -> None:
    try:
        systemd.run(*step.argv, may_fail=step.may_fail)
    except NoSystemd as error:
        if step.argv[0] != "start":
            raise
        unit = step.argv[-1]
        hint = f"See journalctl {'--user ' if step.user else ''}--unit={unit}"
        if unit.endswith(".socket"):
            hint += f". If another program has its port, choose another: systemctl edit {unit}"
        raise NotStarted(f"{unit} is installed, and does not start: {error}", hint=f"{hint}.") from error
