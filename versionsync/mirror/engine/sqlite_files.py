"""Check whether a SQLite file is complete, from its size or by reading all of it, and whether WAL is safe for it.

The usual cause of a damaged database is a file that was copied during a write, or not to its end. Pages that were never
copied read as zeros, and SQLite may take long to find one of them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

__all__ = [
    "MAGIC",
    "filesystem_of",
    "find_mount",
    "has_log",
    "is_below_header_size",
    "is_in_use",
    "is_read_only",
    "is_truncated",
    "problems_in",
    "unsafe_for_wal",
]

MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")  # of blanks, and of backslashes themselves
NETWORK = {
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "pvfs2",
}
WINDOWS = {"smb2", "smb3", "smbfs"}
HOST_OF_A_VM = {"9p", "osxfs", "prl_fs", "vboxsf", "virtiofs", "vmhgfs"}
IN_USER_SPACE = {
    f"fuse.{name}"
    for name in (
        *("blobfuse", "blobfuse2", "ceph", "curlftpfs", "davfs", "gcsfuse", "glusterfs", "goofys", "grpcfuse"),
        *("juicefs", "mount-s3", "rclone", "s3fs", "smbnetfs", "sshfs", "vmhgfs-fuse"),
    )
}
UNSAFE = NETWORK | WINDOWS | HOST_OF_A_VM | IN_USER_SPACE


def unsafe_for_wal(path: Path) -> str | None:
    """Return the type of the file system of `path` if WAL is not safe on it. None: it is safe, or unknown."""
    found = filesystem_of(path)
    return found if found in UNSAFE else None


def filesystem_of(path: Path) -> str | None:
    """Return the type of the file system of `path` (which need not exist yet), or None if it is unknown."""
    try:
        mounts = MOUNTS.read_text(errors="replace")
    except OSError:
        return None
    return find_mount(path.resolve(), mounts)


def find_mount(path: Path, mountinfo: str) -> str | None:
    """Return the type of the innermost mount of `mountinfo` (as Linux writes it) that contains the absolute `path`."""
    best: tuple[int, str] | None = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        words = before.split(" ")
        if len(words) < 5 or not after:
            continue
        point = _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), words[4])
        depth = len(Path(point).parts)
        # Of two mounts at the same path the later one hides the earlier.
        if path.is_relative_to(point) and (best is None or depth >= best[0]):
            best = (depth, after.split(" ", 1)[0])
    return best[1] if best else None


MAGIC: Final = b"SQLite format 3\x00"
HEADER_BYTES: Final = 100
PROBLEMS_SHOWN: Final = 3


def is_truncated(path: Path) -> bool:
    """Return whether the file at `path` is known to be shorter than it was. This reads one header only.

    With a write-ahead log beside the file it is unknown: the last pages may be in the log. So it is if the file may be
    in use.
    """
    if has_log(path) or is_in_use(path):
        return False
    try:
        with path.open("rb") as file:
            header, size = file.read(HEADER_BYTES), path.stat().st_size
    except OSError:
        return False  # opening it reports why
    # A log that appeared in between belongs to a process that is writing.
    return is_below_header_size(header, size) and not has_log(path)


def is_in_use(path: Path) -> bool:
    """Return whether a connection may have the database at `path` open, perhaps one of this process.

    Do not open the file then, except through SQLite. When a process closes any descriptor of a file, POSIX drops all
    locks that the process has on it. Another process that closes the database next believes that it was the last one,
    and deletes the log that this process writes into: what is committed then is lost.
    """
    return path.with_name(f"{path.name}-shm").exists()


def is_below_header_size(header: bytes, size: int) -> bool:
    """Return whether a SQLite file of `size` bytes that begins with `header` lacks its end."""
    if not header.startswith(MAGIC) or len(header) < HEADER_BYTES:
        return False
    page = int.from_bytes(header[16:18]) or 1
    page = 65536 if page == 1 else page
    # The page count is valid only if both change counters agree: very old versions of SQLite did not update it.
    pages = int.from_bytes(header[28:32]) if header[24:28] == header[92:96] else 0
    return size % page != 0 or size < pages * page


def is_read_only(path: Path) -> bool:
    """Return whether this process can read the database at `path`, and cannot write it or beside it."""
    return path.is_file() and os.access(path, os.R_OK) and not _is_writable(path)


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.resolve().parent, os.W_OK)


def has_log(path: Path) -> bool:
    """Return whether a write-ahead log with content lies beside the database at `path`."""
    return _has_content(path.with_name(f"{path.name}-wal"))


def problems_in(connection: Connection) -> list[str]:
    """Return the first problems that SQLite's check of every page and index finds.

    It reads the complete database: some seconds for a million versions. Raises DatabaseUnavailable if it cannot.
    """
    rows = connection.exec_driver_sql(f"PRAGMA integrity_check({PROBLEMS_SHOWN:d})").scalars()
    lines = [line for row in rows for line in str(row).splitlines() if not line.startswith("***")]
    return [] if lines == ["ok"] else lines[:PROBLEMS_SHOWN]


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
