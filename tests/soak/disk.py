"""A small disk of its own, that can be filled and emptied. Where this user may not mount one, there is none to fill."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Disk", "disk"]

MEGABYTES = 700
CHUNK = bytes(1024 * 1024)


class Disk:
    """Where the database is. `is_own`: it can be filled without harm to anybody else."""

    def __init__(self, folder: Path, *, is_own: bool) -> None:
        self.folder = folder
        self.is_own = is_own
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave no room."""
        with self._ballast.open("wb", buffering=0) as ballast:
            size = len(CHUNK)
            while size >= 1:
                try:
                    ballast.write(CHUNK[:size])
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2

    def empty(self) -> None:
        """There is room again."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """A disk mounted at `folder`, or the folder itself, while the block runs."""
    folder.mkdir(parents=True)
    options = f"size={MEGABYTES}m,mode=0755"
    mount = ["mount", "-t", "tmpfs", "-o", options, "versionsync-soak", str(folder)]
    is_own = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        yield Disk(folder, is_own=is_own)
    finally:
        if is_own:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()
