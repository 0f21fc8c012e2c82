"""Write a file completely or not at all: a reader sees the old content or the new one."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

__all__ = ["no_file", "write_whole"]


def no_file(path: Path) -> str | None:
    """Return what exists at `path` instead of a file, such as `a named pipe`; None: a file, or nothing.

    A file must not replace it: that would break a link, or remove a device for all programs.
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
    return None if stat.S_ISREG(mode) else kinds.get(stat.S_IFMT(mode), "not a file")


def write_whole(path: Path, text: str, *, mode: int) -> None:
    """Write `text` to `path` with exactly this mode, whatever the umask.

    Raises OSError, also if `path` is a link, a device or anything else that is not a file. Then nothing has changed.
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
