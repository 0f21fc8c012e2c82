"""Writes a file whole or not at all: what a reader finds under its name is the old one or the new one."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

__all__ = ["no_file", "write_whole"]


def no_file(path: Path) -> str | None:
    """What has the name `path` and is no file, as `a named pipe`; None: a file, or nothing.

    A file must not take its place: a link would lead nowhere any more, a device would be gone for all.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        return None
    if stat.S_ISLNK(mode):
        return f"a link to {path.readlink()}"
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFBLK: "a device",
        stat.S_IFCHR: "a device",
    }
    return None if stat.S_ISREG(mode) else kinds.get(stat.S_IFMT(mode), "no file")


def write_whole(path: Path, text: str, *, mode: int) -> None:
    """Write `text` to `path` with that very mode, whatever the umask.

    Raises OSError, and changes nothing then; also where `path` is a link, a device or anything else that is no file.
    """
    if there := no_file(path):
        raise OSError(errno.EEXIST, f"it is {there}", str(path))
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
