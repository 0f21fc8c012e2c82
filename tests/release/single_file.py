"""One file that runs where there is Python and no pip.

Made by shiv: at its first start it unpacks itself below the user's home (`SHIV_ROOT` says elsewhere), so that compiled
wheels and the migrations are files as ever, and later starts take no longer than an installed program's. PEX makes a
file of the same size, which takes three seconds more for each start.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.release.materials import EXTRAS
from tests.release.running import Failed, run, the_one, version

__all__ = ["make", "prove"]


def make(out: Path, _: list[str]) -> str:
    """Make the single file of the wheel, for this Python and this platform, and run it where there is no pip."""
    wheel = the_one(out, f"versionsync-{version()}-*.whl")
    target = out / f"versionsync-{version()}.pyz"
    options = ["--reproducible", "--compressed", "--console-script", "versionsync", "--python", "/usr/bin/env python3"]
    run(sys.executable, "-m", "shiv.cli", *options, "--output-file", target, f"{wheel}[{EXTRAS}]", cwd=out)
    with TemporaryDirectory(prefix="versionsync-single-") as scratch:
        told = prove(target, Path(scratch))
    return f"{target.name}: {target.stat().st_size / 1e6:.0f} MB; {told}"


def prove(program: Path, folder: Path) -> str:
    """Run what needs each part of it, with a Python that has no package at all; returns how fast it starts."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "python"], check=True)
    bare = {"PATH": f"{folder / 'python' / 'bin'}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}

    def ran(*argv: str) -> str:
        begun = subprocess.run([program, *argv], cwd=folder, env=bare, capture_output=True, text=True, check=False)
        if begun.returncode:
            raise Failed(f"{program.name} {' '.join(argv)} ended with code {begun.returncode}\n{begun.stderr}")
        return begun.stdout

    begins = [time.monotonic()]
    for _ in range(3):
        if ran("--version") != f"versionsync {version()}\n":
            raise Failed(f"{program.name} is not version {version()}")
        begins.append(time.monotonic())
    ran("db", "upgrade", "--database", "mirror.db")  # the migrations
    ran("db", "check", "--database", "mirror.db")
    ran("demo", "--fast")  # aiohttp, msgspec: compiled
    ran("db", "backup", "demo.db", "--database", "versionsync-demo.db")
    if "psycopg" not in ran_python(folder, bare, program, "import psycopg, apprise; print(psycopg.__name__)"):
        raise Failed("it lacks psycopg")
    first, *later = (end - begin for begin, end in itertools.pairwise(begins))
    return f"starts in {first:.1f} s at first, in {min(later):.1f} s later"


def ran_python(folder: Path, environ: dict[str, str], program: Path, code: str) -> str:
    """What Python code writes that runs with the file's packages."""
    python = folder / "python" / "bin" / "python"
    told = subprocess.run(
        [python, program, "-c", code],
        cwd=folder,
        env=environ | {"SHIV_INTERPRETER": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout
