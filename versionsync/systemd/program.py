"""The program that a service starts: where it is, whether a service can reach it, since when it is there."""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from pathlib import Path, PurePosixPath
from typing import Final

from versionsync.systemd.errors import NotAccessible
from versionsync.systemd.plan import Paths, ReadFile
from versionsync.systemd.units import DEFAULT_PROGRAM, UnitOptions

__all__ = ["check_accessible", "installed_at", "installed_program", "program_path"]

_HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - these are shut to the service


def program_path(form: UnitOptions) -> PurePosixPath:
    """The program that runs now, by its real path. Raises OutOfReach if a service could not run it."""
    program = Path(sys.argv[0]).resolve()
    if program.name == "__main__.py" or not os.access(program, os.X_OK):
        program = Path(sys.prefix) / "bin" / "versionsync"
    if not program.is_file():
        raise NotAccessible(
            "the installed program was not found: this one runs from its source",
            hint="Install it where every user may read it: python3 -m venv /opt/versionsync, then its pip.",
        )
    if not form.user:
        for path in (program, Path(sys.prefix).resolve(), Path(sys.executable).resolve()):
            check_accessible(path)
    return PurePosixPath(program)


def installed_program(form: UnitOptions, places: Paths, look: ReadFile) -> PurePosixPath:
    """The program that an installed unit starts; the usual one where none is installed."""
    text = look(places.units / f"{form.stem}.service") or ""
    found = re.search(r'^ExecStart="?(/.+?)"? --config ', text, re.MULTILINE)
    return PurePosixPath(re.sub(r"\\(.)", r"\1", found[1]).replace("%%", "%")) if found else DEFAULT_PROGRAM


def check_accessible(path: Path) -> None:
    """Raises OutOfReach unless every user can get there; the units shut some folders altogether."""
    hint = (
        "Install it where every user may read it, as under /opt: python3 -m venv /opt/versionsync; or "
        "UV_TOOL_DIR=/opt/uv UV_PYTHON_INSTALL_DIR=/opt/uv/python uv tool install versionsync; or PIPX_HOME=/opt/pipx "
        "pipx install versionsync. Or install a service of your own: --user."
    )
    if hidden := next((folder for folder in _HIDDEN if path.is_relative_to(folder)), None):
        raise NotAccessible(f"the service cannot reach {path}: {hidden} is shut to it", hint=hint)
    for folder in (path, *path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise NotAccessible(
                f"the service's user cannot reach {path}: others may not enter {folder}"
                if folder != path
                else f"the service's user cannot run {path}",
                hint=hint,
            )


def installed_at() -> float:
    """When this program was installed, by the clock that systemd starts by; its files may be older than that."""
    return time.monotonic() - (time.time() - Path(__file__).stat().st_ctime)
