"""The file system that holds a path, as Linux tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from versionsync.mirror.engine import sqlite_files as filesystems
from versionsync.mirror.engine.sqlite_files import filesystem_of, find_mount, unsafe_for_wal

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:5 / /proc rw - proc proc rw
40 22 0:50 / /srv/share rw,relatime shared:20 - nfs4 server:/export rw,vers=4.2
41 40 0:51 / /srv/share/fast rw master:3 - tmpfs tmpfs rw
42 22 0:52 / /mnt/my\\040disk rw - virtiofs host rw
46 22 0:56 / /mnt/Büro\\040ü\\134x rw - smb3 //nas/x rw
43 22 0:53 / /home/u rw - fuse.sshfs u@host: rw
44 22 0:54 / /data rw - ext4 /dev/vdb rw
45 44 0:55 / /data rw - cifs //nas/data rw
a line that nobody understands
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/mirror.db", "ext4"),
        ("/srv/share/mirror.db", "nfs4"),
        ("/srv/shared/mirror.db", "ext4"),
        ("/srv/share/fast/mirror.db", "tmpfs"),
        ("/mnt/my disk/mirror.db", "virtiofs"),
        ("/mnt/Büro ü\\x/mirror.db", "smb3"),
        ("/home/u/mirror.db", "fuse.sshfs"),
        ("/data/mirror.db", "cifs"),
    ],
)
def test_the_innermost_and_latest_mount_counts(path: str, kind: str) -> None:
    """Of those that hold the path."""
    assert find_mount(Path(path), MOUNTS) == kind


def test_without_mounts_nobody_can_tell() -> None:
    """Which refuses nothing."""
    assert find_mount(Path("/x"), "") is None


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse.sshfs"])
def test_network_file_systems_are_unsafe(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's write-ahead log needs memory that all processes share."""
    monkeypatch.setattr(filesystems, "filesystem_of", lambda path: kind)
    assert unsafe_for_wal(Path("/x")) == kind


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "apfs", None])
def test_local_ones_are_not(kind: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what is not known."""
    monkeypatch.setattr(filesystems, "filesystem_of", lambda path: kind)
    assert unsafe_for_wal(Path("/x")) is None


def test_a_path_that_is_not_there_yet_lies_where_it_would(tmp_path: Path) -> None:
    """A new database is looked at before it is made."""
    assert filesystem_of(tmp_path / "none" / "x.db") == filesystem_of(tmp_path)
