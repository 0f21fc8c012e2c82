"""The sdist and the wheel, built twice and compared byte by byte."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.release.running import CHECKOUT, Failed, run, version

__all__ = ["build", "build_once"]

PLACES = (("one", 0o022, "UTC", "C.UTF-8"), ("another place", 0o077, "Asia/Kathmandu", "C"))
"""What must make no difference: the folder, the umask, the time zone, the locale; and the time of day is another."""


def build(out: Path, _: list[str]) -> str:
    """Build the sdist, and from it the wheel, twice in different circumstances: they must be byte-identical."""
    with TemporaryDirectory(prefix="versionsync-build-") as scratch:
        first, second = (build_once(Path(scratch) / place[0], *place[1:]) for place in PLACES)
        for one, other in zip(first, second, strict=True):
            if one.name != other.name or one.read_bytes() != other.read_bytes():
                raise Failed(f"{one.name} differs when it is built again ({other.name})")
        if [path.name for path in first] != [
            f"versionsync-{version()}-py3-none-any.whl",
            f"versionsync-{version()}.tar.gz",
        ]:
            raise Failed(f"built {', '.join(path.name for path in first)} for version {version()}")
        lines = []
        for path in first:
            shutil.copy(path, out / path.name)
            lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")
    (out / "SHA256SUMS").write_text("\n".join([*lines, ""]))
    return "\n".join(["identical, built twice:", *lines])


def build_once(folder: Path, umask: int, zone: str, locale: str) -> list[Path]:
    """Copy what Git knows of the checkout to `folder` and build it there; returns the wheel and the sdist."""
    source, built = folder / "source", folder / "built"
    before = os.umask(umask)
    try:
        for name in run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
            if name and (CHECKOUT / name).is_file():
                target = source / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((CHECKOUT / name).read_bytes())
                target.chmod((0o777 if os.access(CHECKOUT / name, os.X_OK) else 0o666) & ~umask)
        run(sys.executable, "-m", "build", "--outdir", built, cwd=source, TZ=zone, LC_ALL=locale)
    finally:
        os.umask(before)
    return sorted(built.iterdir())
