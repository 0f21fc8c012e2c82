"""What a DatoCMS developer would write: the official client in a script of a page, into PostgreSQL.

Node and npm run it. The packages are fetched when it is first used, into a folder beside the script.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from benchmarks.project import TOKEN

__all__ = ["OfficialCopy", "copy_all", "missing_program"]

HERE = Path(__file__).parent
WORKERS = 10


@dataclass(frozen=True, slots=True)
class OfficialCopy:
    """What one copy took: versions, seconds of the wall, seconds of node's CPU."""

    versions: int
    seconds: float
    cpu: float


def missing_program() -> str | None:
    """Return why the script cannot run here (a program is missing, or npm cannot fetch its packages), or None."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not (HERE / "node_modules").exists():
        command = ("npm", "install", "--no-audit", "--no-fund", "--no-package-lock")
        fetched = subprocess.run(command, cwd=HERE, capture_output=True, check=False)
        if fetched.returncode:
            return "npm could not fetch the packages"
    return None


def copy_all(upstream: str, database: str) -> OfficialCopy:
    """Copy all versions from `upstream` into a new table of the PostgreSQL `database`. Raises CalledProcessError."""
    url = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
    command = ("node", "copy.mjs", upstream, TOKEN, url, str(WORKERS))
    ran = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True)
    return OfficialCopy(**json.loads(ran.stdout))
