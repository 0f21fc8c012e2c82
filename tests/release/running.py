"""Running other programs, each in a clean environment; and what is known of this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from versionsync import __version__

__all__ = ["CHECKOUT", "Failed", "environment", "make_environment", "run", "the_one", "version"]

CHECKOUT = Path(__file__).parents[2]


class Failed(Exception):
    """What was to be shown is not so; `str()` says what."""


def version() -> str:
    """The version of this checkout, from its one place."""
    return __version__


def run(*command: object, cwd: Path = CHECKOUT, quiet: bool = True, **environ: str) -> str:
    """Run a program to its end; returns what it wrote. Raises Failed with that if it fails. `quiet`: show nothing."""
    ran = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment() | environ,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise Failed(f"{command[0]} ended with code {ran.returncode}\n{ran.stdout or ''}")
    return ran.stdout or ""


def environment() -> dict[str, str]:
    """This process's environment, without what leads Python to this checkout."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def make_environment(folder: Path, *requirements: object, resolution: str = "highest") -> Path:
    """A new virtual environment in `folder` with `requirements`, and without pip; returns its Python."""
    python = folder / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    run(*uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder)
    run(*uv, "pip", "install", "--quiet", "--python", python, "--resolution", resolution, *requirements, cwd=folder)
    return python


def the_one(folder: Path, pattern: str) -> Path:
    """The one file of `folder` that is called so. Raises Failed if there is none, or several."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise Failed(f"{folder} should have one {pattern}, it has {names}: run `build` first, into an empty folder")
    return found[0]
