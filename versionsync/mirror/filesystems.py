"""Which file system holds a path, and whether SQLite's write-ahead log is safe on it.

WAL needs memory that all processes share. File systems that reach over a network, or into a virtual machine's host, do
not give it, and databases on them have been seen to break within minutes.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["filesystem_of", "find_mount", "unsafe_for_wal"]

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
    """The type of the file system that holds `path`, if WAL is not safe on it; None: it is, or nobody can tell."""
    found = filesystem_of(path)
    return found if found in UNSAFE else None


def filesystem_of(path: Path) -> str | None:
    """The type of the file system that holds `path` (which need not exist yet), where the system tells."""
    try:
        mounts = MOUNTS.read_text(errors="replace")
    except OSError:
        return None
    return find_mount(path.resolve(), mounts)


def find_mount(path: Path, mountinfo: str) -> str | None:
    """The type of the innermost mount of `mountinfo` (as Linux writes it) that `path` (absolute) lies in."""
    best: tuple[int, str] | None = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        words = before.split(" ")
        if len(words) < 5 or not after:
            continue
        point = _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), words[4])
        depth = len(Path(point).parts)
        # Of two mounts at one place the later one hides the earlier.
        if path.is_relative_to(point) and (best is None or depth >= best[0]):
            best = (depth, after.split(" ", 1)[0])
    return best[1] if best else None
