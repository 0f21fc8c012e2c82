"""Whose files are obeyed and believed: owners and modes, as they stand in `stat`. Pure but for `Self.now`.

A settings file that was merely found can send any variable of the environment to an address of its own, so it must be
nobody else's. A file that the command line or the settings name is the operator's word; only what is secret in it must
not be open to others. The rules for secrets are those that libpq has for key files: one's own with nothing for others,
or root's that a group of ours may read, as Kubernetes (0440) and packages (0640) have them.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from versionsync.config.errors import FileProblem

__all__ = [
    "Owned",
    "Self",
    "Untrusted",
    "check_found",
    "check_found_folder",
    "distrust_of_secret",
    "distrust_of_settings",
]

ROOT: Final = 0


class Owned(Protocol):
    """What `os.stat` says of a file or a folder, as far as it matters here."""

    @property
    def st_mode(self) -> int: ...
    @property
    def st_uid(self) -> int: ...
    @property
    def st_gid(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Self:
    """Who runs this. `private`: the group of that user alone, which many systems make for each, if there is one."""

    uid: int
    groups: frozenset[int]
    private: int | None = None

    @classmethod
    def now(cls) -> Self:
        """The user of this process."""
        uid, gid = os.geteuid(), os.getegid()
        return cls(uid, frozenset({gid, *os.getgroups()}), gid if _is_private(uid, gid) else None)


@dataclass(frozen=True, slots=True)
class Untrusted:
    """Why a file is not trusted, and the command that mends it."""

    reason: str
    command: str


def distrust_of_settings(status: Owned, me: Self, path: Path, *, read_only: bool = False) -> Untrusted | None:
    """Why the settings file `path`, or its folder, is not obeyed where it was only found; None: it is.

    `read_only`: nobody can write there, whatever its mode, as in a ConfigMap of Kubernetes.
    """
    if status.st_uid not in (me.uid, ROOT):
        return _stranger(status, me, path)
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid not in (me.private, ROOT)
    if not read_only and (by_group or status.st_mode & stat.S_IWOTH):
        return Untrusted(f"can be written by others (mode {stat.S_IMODE(status.st_mode):04o})", f"chmod go-w {path}")
    return None


def distrust_of_secret(status: Owned, me: Self, path: Path) -> Untrusted | None:
    """Why a secret in the file `path` is not taken; None: it is."""
    if status.st_uid not in (me.uid, ROOT):
        return _stranger(status, me, path)
    shared = status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    # To root, a file that root may write is one of its own, and one that nobody may write comes from a secret's volume.
    is_given = status.st_uid == ROOT and (me.uid != ROOT or not status.st_mode & stat.S_IWUSR)
    if not shared or (is_given and shared == stat.S_IRGRP and status.st_gid in me.groups):
        return None
    return Untrusted(f"can be read by others (mode {stat.S_IMODE(status.st_mode):04o})", f"chmod 600 {path}")


def check_found(path: Path, *, me: Self | None = None) -> None:
    """See that the settings file `path`, which was found and not named, and the folders it lies in are ours or root's.

    Raises FileProblem otherwise; OSError where it cannot be looked at.
    """
    me = me or Self.now()
    real = path.resolve()
    for part in dict.fromkeys((path.absolute().parent, path, real.parent, real)):
        if doubt := distrust_of_settings(part.stat(), me, part, read_only=_is_read_only(part)):
            what = "it" if part == path else str(part)
            raise FileProblem(
                f"{path} is not obeyed: {what} {doubt.reason}",
                hint=f"If it is yours, name it: --config {path}. Or run: {doubt.command}",
            )


def check_found_folder(path: Path) -> None:
    """See that a settings file `path` that is yet to be written would be obeyed there. Raises FileProblem."""
    folder = path.absolute().parent
    if doubt := distrust_of_settings(folder.stat(), Self.now(), folder, read_only=_is_read_only(folder)):
        raise FileProblem(
            f"{path} would not be obeyed: {folder} {doubt.reason}",
            hint=f"Choose another folder, or name the file: --config {path}. Or run: {doubt.command}",
        )


def _stranger(status: Owned, me: Self, path: Path) -> Untrusted:
    return Untrusted(f"belongs to another user (uid {status.st_uid}, this is {me.uid})", f"chown {me.uid} {path}")


def _is_read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _is_private(uid: int, gid: int) -> bool:
    """Whether the group is called as the user, and nobody else is in it: the mark of such groups."""
    try:
        user, group = pwd.getpwuid(uid), grp.getgrgid(gid)
    except KeyError:  # in a container, often nobody has given the user a name
        return False
    return user.pw_gid == gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
