"""Which files are trusted, by their owner and mode. Pure, except for `Self.now`.

A settings file that was only found can send any variable of the environment to an address of its choice. So no other
user may own or write it. A file that the command line or the settings name is what the operator wants; only its secrets
must not be open to others. The rules for secrets are those of libpq for key files: the user's own file, closed to
others, or root's file that a group of the user may read, as Kubernetes (0440) and packages (0640) make them.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from versionsync.config.errors import FileProblem

__all__ = [
    "Self",
    "Untrusted",
    "check_found",
    "check_found_folder",
    "distrust_of_secret",
    "distrust_of_settings",
]

ROOT: Final = 0


@dataclass(frozen=True, slots=True)
class Self:
    """The user of this process. `private` is the group of that user alone, which many systems make for each user."""

    uid: int
    groups: frozenset[int]
    private: int | None = None

    @classmethod
    def now(cls) -> Self:
        """Return the user of this process."""
        uid, gid = os.geteuid(), os.getegid()
        return cls(uid, frozenset({gid, *os.getgroups()}), gid if _is_private(uid, gid) else None)


@dataclass(frozen=True, slots=True)
class Untrusted:
    """Why a file is not trusted, and the command that fixes it."""

    reason: str
    command: str


def distrust_of_settings(status: os.stat_result, me: Self, path: Path, *, read_only: bool = False) -> Untrusted | None:
    """Return why the settings file `path` (or its folder), which was only found, is not trusted; None: it is.

    `read_only`: its file system cannot be written, whatever the mode, as in a ConfigMap of Kubernetes.
    """
    if status.st_uid not in (me.uid, ROOT):
        return _stranger(status, me, path)
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid not in (me.private, ROOT)
    if not read_only and (by_group or status.st_mode & stat.S_IWOTH):
        return Untrusted(f"can be written by others (mode {stat.S_IMODE(status.st_mode):04o})", f"chmod go-w {path}")
    return None


def distrust_of_secret(status: os.stat_result, me: Self, path: Path) -> Untrusted | None:
    """Return why a secret in the file `path` is not trusted; None: it is."""
    if status.st_uid not in (me.uid, ROOT):
        return _stranger(status, me, path)
    shared = status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    # For root, a file that root may write is its own; one that no user may write comes from a secret's volume.
    is_given = status.st_uid == ROOT and (me.uid != ROOT or not status.st_mode & stat.S_IWUSR)
    if not shared or (is_given and shared == stat.S_IRGRP and status.st_gid in me.groups):
        return None
    return Untrusted(f"can be read by others (mode {stat.S_IMODE(status.st_mode):04o})", f"chmod 600 {path}")


def check_found(path: Path, *, me: Self | None = None, named: Path | None = None) -> None:
    """Check that the user or root owns the settings file `path`, which was found and not named, and its folders.

    Args:
        path: The file.
        me: The user. None: that of this process.
        named: The settings file that leads to `path`. None: `path` itself.

    Raises FileProblem if not, and OSError if that cannot be checked.
    """
    me = me or Self.now()
    real = path.resolve()
    for part in dict.fromkeys((path.absolute().parent, path, real.parent, real)):
        if doubt := distrust_of_settings(part.stat(), me, part, read_only=_is_read_only(part)):
            what = "it" if part == path else str(part)
            raise FileProblem(
                f"{path} is not used: {what} {doubt.reason}",
                hint=f"If it is yours, name it: --config {named or path}. Or run: {doubt.command}",
            )


def check_found_folder(path: Path) -> None:
    """Check that a settings file written to `path` would be trusted there. Raises FileProblem."""
    folder = path.absolute().parent
    if doubt := distrust_of_settings(folder.stat(), Self.now(), folder, read_only=_is_read_only(folder)):
        raise FileProblem(
            f"{path} would not be used: {folder} {doubt.reason}",
            hint=f"Choose another folder, or name the file: --config {path}. Or run: {doubt.command}",
        )


def _stranger(status: os.stat_result, me: Self, path: Path) -> Untrusted:
    return Untrusted(f"belongs to another user (uid {status.st_uid}, this is {me.uid})", f"chown {me.uid} {path}")


def _is_read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _is_private(uid: int, gid: int) -> bool:
    """Whether the group has the name of the user and no other member, which is how systems make such groups."""
    try:
        user, group = pwd.getpwuid(uid), grp.getgrgid(gid)
    except KeyError:  # in a container the user often has no name
        return False
    return user.pw_gid == gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
