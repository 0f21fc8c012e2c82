"""What installing or removing a service is going to do, as data that can be shown before it is done. Pure."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias

from versionsync.systemd.units import DEFAULT_ADDRESS, UnitOptions, units_of

__all__ = [
    "Activity",
    "Command",
    "FileState",
    "Files",
    "Installation",
    "Mode",
    "Paths",
    "Plan",
    "ReadFile",
    "Remove",
    "Step",
    "Write",
    "file_state",
    "files_of",
    "removal",
    "with_checksum",
    "without_checksum",
]

_CHECKSUM_LINE: Final = re.compile(r"\n# Installed by versionsync \S+ \(([0-9a-f]{16})\)\.\n\Z")


class FileState(StrEnum):
    """How a file stands to what should be there."""

    MISSING = "missing"
    CURRENT = "current"
    OLD = "old"
    """As another version or with other settings it was installed, and nobody has changed it since."""
    CHANGED = "changed"
    """Changed by hand, or not ours."""


def with_checksum(text: str, version: str) -> str:
    """`text` as it is installed."""
    return f"{text}\n# Installed by versionsync {version} ({_digest(text)}).\n"


def without_checksum(text: str) -> str:
    """What somebody wrote, or we did, without the stamp."""
    return _CHECKSUM_LINE.sub("", text)


def file_state(found: str | None, wanted: str | None) -> FileState:
    """How the file that holds `found` (None: there is none) stands to the unstamped text `wanted` (None: no file)."""
    if found is None:
        return FileState.CURRENT if wanted is None else FileState.MISSING
    body = without_checksum(found)
    if body == wanted:
        return FileState.CURRENT
    stamp = _CHECKSUM_LINE.search(found)
    return FileState.OLD if stamp and stamp[1] == _digest(body) else FileState.CHANGED


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


UNIT_MODE: Final = 0o644
READABLE: Final = 0o644
CREDENTIALS: Final = "credentials.conf"
ADDRESS: Final = "address.conf"
OURS: Final = (CREDENTIALS, ADDRESS)

ReadFile: TypeAlias = Callable[[Path], str | None]
"""What a file holds; None: there is none."""


class Activity(Enum):
    """What a service is at."""

    STOPPED = auto()
    RUNNING = auto()
    RUNNING_OLD = auto()
    """It runs, and was started before this program was installed."""
    RUNNING_UNMANAGED = auto()
    """It runs, and its socket does not listen: calls that come while it restarts are refused."""
    FAILING = auto()
    """It ended with a failure; or does so again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where units, settings and state lie."""

    units: Path
    settings: Path
    state: Path


@dataclass(frozen=True, slots=True)
class Write:
    """Write a file whole or not at all; `before` is what is lost by it."""

    path: Path
    text: str
    before: str | None

    def lines(self, *, whole: bool = False) -> Iterator[str]:
        """For people; of a new file its path alone, unless the `whole` of it is asked for."""
        yield f"{'write ' if self.before is None else 'change'}  {self.path}"
        if whole or self.before is not None:
            yield from (f"        {line}" for line in self.differences())

    def differences(self) -> Iterator[str]:
        """How it differs from what is there, line by line; the stamp does not count."""
        old, new = without_checksum(self.before or "").splitlines(), without_checksum(self.text).splitlines()
        lines = difflib.unified_diff(old, new, "there now", "to be written", lineterm="", n=0)
        yield from (line for line in lines if not line.startswith("@@"))


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a file."""

    path: Path

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"remove  {self.path}"


@dataclass(frozen=True, slots=True)
class Mode:
    """Let others read a file in which there is no secret."""

    path: Path
    before: int

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"chmod   {self.path}: {self.before:04o} → {READABLE:04o}, so that the service's user can read it"


@dataclass(frozen=True, slots=True)
class Command:
    """Have systemctl do something. `may_fail`: what it stops or forgets need not be there."""

    argv: tuple[str, ...]
    user: bool = False
    may_fail: bool = False

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"run     systemctl {'--user ' if self.user else ''}{' '.join(self.argv)}"


Step: TypeAlias = Write | Remove | Mode | Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps, one after the other. `in_the_way`: files changed by hand, each with how it differs from ours."""

    steps: tuple[Step, ...]
    conflicts: tuple[Write, ...] = ()

    def lines(self, *, whole: bool = False) -> Iterator[str]:
        """For people."""
        for step in self.steps:
            yield from step.lines(whole=whole) if isinstance(step, Write) else step.lines()


@dataclass(frozen=True, slots=True)
class Files:
    """The unit files and the drop-in of a service, as they should be (None: not at all) and as they are."""

    wanted: dict[Path, str | None]
    found: dict[Path, str | None]

    def state(self, path: Path) -> FileState:
        """How one stands."""
        return file_state(self.found[path], self.wanted[path])

    def in_state(self, *standings: FileState) -> list[Path]:
        """Those that stand so."""
        return [path for path in self.wanted if self.state(path) in standings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What is installed: which units, of which program, where; with which secrets handed over, listening where."""

    options: UnitOptions
    program: PurePosixPath
    paths: Paths
    credentials: Sequence[Path]
    version: str
    address: str = DEFAULT_ADDRESS
    is_single_file: bool = False

    def plan(self, files: Files, *, force: bool, activity: Activity, enabled: bool, settings_mode: int) -> Plan:
        """How to get there from `files`, a service that is at this, enabled or not, and settings of that mode."""
        changed = files.in_state(FileState.CHANGED)
        kept = [] if force else changed
        steps: list[Step] = [
            self._write(path, files) if files.wanted[path] is not None else Remove(path)
            for path in files.in_state(FileState.MISSING, FileState.OLD, FileState.CHANGED)
            if path not in kept
        ]
        is_new = bool(steps)
        settings = self.paths.settings / self.options.settings
        if not self.options.user and settings_mode & READABLE != READABLE:
            steps.append(Mode(settings, settings_mode))
        if is_new or not (activity is Activity.RUNNING and enabled):
            steps += self._commands(activity, is_new=is_new)
        return Plan(steps=tuple(steps), conflicts=tuple(self._write(path, files) for path in kept))

    def _write(self, path: Path, files: Files) -> Write:
        return Write(path, with_checksum(files.wanted[path] or "", self.version), files.found[path])

    def _commands(self, activity: Activity, *, is_new: bool) -> Iterator[Command]:
        def command(*argv: str, may_fail: bool = False) -> Command:
            return Command(argv, user=self.options.user, may_fail=may_fail)

        starter, service = self.options.starter, self.options.service
        both = [*([starter] if starter else []), service]
        if is_new:
            yield command("daemon-reload")
        yield command("enable", *self.options.enabled)
        must_stop = (Activity.FAILING, Activity.RUNNING_OLD, Activity.RUNNING_UNMANAGED)
        if activity in must_stop or (is_new and activity is Activity.RUNNING):
            # The socket first: it cannot be started again while the service runs.
            yield command("stop", *both, may_fail=True)
        if activity is Activity.FAILING:
            yield command("reset-failed", *both, may_fail=True)
        if starter:
            yield command("start", starter)
        # A first look may take hours: it is watched, not waited for.
        yield command("start", "--no-block", service)


def files_of(installation: Installation, look: ReadFile) -> Files:
    """The files of an installation: as they should be, and as `look` finds them."""
    form, units = installation.options, installation.paths.units
    made = units_of(form, installation.program, is_single_file=installation.is_single_file)
    wanted: dict[Path, str | None] = {units / unit.name: unit.text for unit in made}
    wanted[units / f"{form.service}.d" / CREDENTIALS] = _handed_over(form, installation.credentials)
    if form.starter and not form.timer:
        wanted[units / f"{form.starter}.d" / ADDRESS] = _listening(installation.address)
    return Files(wanted, {path: look(path) for path in wanted})


def removal(form: UnitOptions, files: Files, *, force: bool, shared: bool) -> Plan:
    """How to be rid of it. `shared`: another instance still needs the unit files of this one's template."""

    def command(*argv: str, may_fail: bool = False) -> Command:
        return Command(argv, user=form.user, may_fail=may_fail)

    there = [path for path, text in files.found.items() if text is not None]
    changed = [] if force else files.in_state(FileState.CHANGED)
    gone = [path for path in there if not (shared and path.name not in OURS)]
    both = [*([form.starter] if form.starter else []), form.service]
    steps: list[Step] = []
    if there:
        steps += [command("disable", *form.enabled, may_fail=True), command("stop", *both, may_fail=True)]
        steps += [Remove(path) for path in gone]
        steps += [command("daemon-reload"), command("reset-failed", *both, may_fail=True)]
    in_the_way = [Write(path, files.wanted[path] or "", files.found[path]) for path in changed if path in gone]
    return Plan(steps=tuple(steps), conflicts=tuple(in_the_way))


def _listening(address: str) -> str | None:
    """Has the socket listen where the settings say, where that is not where it listens anyway."""
    if address == DEFAULT_ADDRESS:
        return None
    return f"# The address that [http] of the settings names.\n[Socket]\nListenStream=\nListenStream={address}\n"


def _handed_over(form: UnitOptions, credentials: Sequence[Path]) -> str | None:
    """Has systemd hand over what the settings name, where that is not what the unit hands over anyway."""
    if form.user or [path.name for path in credentials] == [form.credential]:
        return None
    lines = [f"LoadCredential={path.name}:{path}" for path in credentials]
    return "\n".join(["# The secrets that the settings name.", "[Service]", "LoadCredential=", *lines, ""])
