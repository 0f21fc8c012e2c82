"""What an installation or a removal is going to do, as data that can be shown first. Pure."""

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

UNIT_MODE: Final = 0o644
READABLE: Final = 0o644
CREDENTIALS: Final = "credentials.conf"
ADDRESS: Final = "address.conf"
_CHECKSUM_LINE: Final = re.compile(r"\n# Installed by versionsync \S+ \(([0-9a-f]{16})\)\.\n\Z")

ReadFile: TypeAlias = Callable[[Path], str | None]
"""Returns the content of a file, or None if there is none."""


class FileState(StrEnum):
    """How a file compares with the one that this version installs."""

    MISSING = "missing"
    CURRENT = "current"
    OLD = "old"
    """Installed by another version or with other settings, and not changed since."""
    CHANGED = "changed"
    """Changed by hand, or not installed by versionsync."""


def with_checksum(text: str, version: str) -> str:
    """Return `text` with the last line that shows later whether it was changed by hand."""
    return f"{text}\n# Installed by versionsync {version} ({_digest(text)}).\n"


def without_checksum(text: str) -> str:
    """Return `text` without that line."""
    return _CHECKSUM_LINE.sub("", text)


def file_state(found: str | None, wanted: str | None) -> FileState:
    """Compare what a file holds with the text that it should hold, without checksum. None: no file."""
    if found is None:
        return FileState.CURRENT if wanted is None else FileState.MISSING
    body = without_checksum(found)
    if body == wanted:
        return FileState.CURRENT
    checksum = _CHECKSUM_LINE.search(found)
    return FileState.OLD if checksum and checksum[1] == _digest(body) else FileState.CHANGED


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Activity(Enum):
    """What a service is doing."""

    STOPPED = auto()
    RUNNING = auto()
    RUNNING_OLD = auto()
    """It was started before this program was installed."""
    RUNNING_UNMANAGED = auto()
    """It runs, but its socket does not listen: calls during a restart are refused."""
    FAILING = auto()
    """It failed, or keeps failing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The folders for units, settings and state."""

    units: Path
    settings: Path
    state: Path


@dataclass(frozen=True, slots=True)
class Write:
    """Write a file atomically."""

    path: Path
    text: str
    before: str | None
    """What it holds now, or None if there is no file."""

    def lines(self, *, in_full: bool = False) -> Iterator[str]:
        """Describe the step for people. A new file is shown only `in_full`, a changed one always."""
        yield f"{'write ' if self.before is None else 'change'}  {self.path}"
        if in_full or self.before is not None:
            yield from (f"        {line}" for line in self.differences())

    def differences(self) -> Iterator[str]:
        """Yield the lines of a diff between the file and the new text, without the checksums."""
        old, new = without_checksum(self.before or "").splitlines(), without_checksum(self.text).splitlines()
        lines = difflib.unified_diff(old, new, "now", "new", lineterm="", n=0)
        yield from (line for line in lines if not line.startswith("@@"))


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a file."""

    path: Path

    def lines(self) -> Iterator[str]:
        yield f"remove  {self.path}"


@dataclass(frozen=True, slots=True)
class Mode:
    """Let the service's user read a file that holds no secret."""

    path: Path
    before: int

    def lines(self) -> Iterator[str]:
        yield f"chmod   {self.path}: {self.before:04o} → {READABLE:04o}, so that the service's user can read it"


@dataclass(frozen=True, slots=True)
class Command:
    """Run systemctl."""

    argv: tuple[str, ...]
    user: bool = False
    may_fail: bool = False
    """The unit that it stops or resets need not exist."""

    def lines(self) -> Iterator[str]:
        yield f"run     systemctl {'--user ' if self.user else ''}{' '.join(self.argv)}"


Step: TypeAlias = Write | Remove | Mode | Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in their order, and the files that they leave alone because they were changed by hand."""

    steps: tuple[Step, ...]
    conflicts: tuple[Write, ...] = ()

    def lines(self, *, in_full: bool = False) -> Iterator[str]:
        """Describe it for people; `in_full` with the text of new files."""
        for step in self.steps:
            yield from step.lines(in_full=in_full) if isinstance(step, Write) else step.lines()
        for write in self.conflicts:
            yield f"keep    {write.path}, which was changed by hand:"
            yield from (f"        {line}" for line in write.differences())


@dataclass(frozen=True, slots=True)
class Files:
    """The unit files and drop-ins of a service. None: no file."""

    wanted: dict[Path, str | None]
    found: dict[Path, str | None]

    def state(self, path: Path) -> FileState:
        return file_state(self.found[path], self.wanted[path])

    def in_state(self, *states: FileState) -> list[Path]:
        return [path for path in self.wanted if self.state(path) in states]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What is installed."""

    options: UnitOptions
    program: PurePosixPath
    paths: Paths
    credentials: Sequence[Path]
    """The files with secrets that systemd passes to the service."""
    version: str
    address: str = DEFAULT_ADDRESS
    """Where the socket listens."""
    is_single_file: bool = False

    def plan(self, files: Files, *, force: bool, activity: Activity, enabled: bool, settings_mode: int) -> Plan:
        """Plan the steps from the present state to this installation.

        Args:
            files: The unit files as they are and as they should be.
            force: Overwrite files that were changed by hand.
            activity: What the service is doing.
            enabled: Whether its units start automatically.
            settings_mode: The mode of the settings file.
        """
        kept = [] if force else files.in_state(FileState.CHANGED)
        steps: list[Step] = [
            self._write(path, files) if files.wanted[path] is not None else Remove(path)
            for path in files.in_state(FileState.MISSING, FileState.OLD, FileState.CHANGED)
            if path not in kept
        ]
        is_new = bool(steps)
        if not self.options.user and settings_mode & READABLE != READABLE:
            steps.append(Mode(self.paths.settings / self.options.settings, settings_mode))
        if is_new or not (activity is Activity.RUNNING and enabled):
            steps += self._commands(activity, is_new=is_new)
        return Plan(steps=tuple(steps), conflicts=tuple(self._write(path, files) for path in kept))

    def _write(self, path: Path, files: Files) -> Write:
        return Write(path, with_checksum(files.wanted[path] or "", self.version), files.found[path])

    def _commands(self, activity: Activity, *, is_new: bool) -> Iterator[Command]:
        command = _commands_for(self.options)
        starter, service, both = self.options.starter, self.options.service, _both(self.options)
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
        # The first run may take hours: it is watched, not waited for.
        yield command("start", "--no-block", service)


def files_of(installation: Installation, read: ReadFile) -> Files:
    """Return the files of an installation, as they should be and as they are."""
    options, units = installation.options, installation.paths.units
    made = units_of(options, installation.program, is_single_file=installation.is_single_file)
    wanted: dict[Path, str | None] = {units / unit.name: unit.text for unit in made}
    wanted[units / f"{options.service}.d" / CREDENTIALS] = _credentials(options, installation.credentials)
    if options.starter and not options.timer:
        wanted[units / f"{options.starter}.d" / ADDRESS] = _address(installation.address)
    return Files(wanted, {path: read(path) for path in wanted})


def removal(options: UnitOptions, files: Files, *, force: bool, shared: bool) -> Plan:
    """Plan the removal. `shared`: another instance still needs the template units."""
    command, both = _commands_for(options), _both(options)
    installed = [path for path, text in files.found.items() if text is not None]
    removed = [path for path in installed if not shared or path.name in (CREDENTIALS, ADDRESS)]
    changed = [] if force else [path for path in files.in_state(FileState.CHANGED) if path in removed]
    steps: list[Step] = []
    if installed:
        steps += [command("disable", *options.enabled, may_fail=True), command("stop", *both, may_fail=True)]
        steps += [Remove(path) for path in removed if path not in changed]
        steps += [command("daemon-reload"), command("reset-failed", *both, may_fail=True)]
    conflicts = [Write(path, files.wanted[path] or "", files.found[path]) for path in changed]
    return Plan(steps=tuple(steps), conflicts=tuple(conflicts))


def _commands_for(options: UnitOptions) -> Callable[..., Command]:
    def command(*argv: str, may_fail: bool = False) -> Command:
        return Command(argv, user=options.user, may_fail=may_fail)

    return command


def _both(options: UnitOptions) -> list[str]:
    return [*([options.starter] if options.starter else []), options.service]


def _address(address: str) -> str | None:
    """Return the drop-in for a socket that does not listen at the default address."""
    if address == DEFAULT_ADDRESS:
        return None
    return f"# The address that [http] of the settings names.\n[Socket]\nListenStream=\nListenStream={address}\n"


def _credentials(options: UnitOptions, credentials: Sequence[Path]) -> str | None:
    """Return the drop-in for secrets that the unit does not pass to the service by itself."""
    if options.user or [path.name for path in credentials] == [options.credential]:
        return None
    lines = [f"LoadCredential={path.name}:{path}" for path in credentials]
    return "\n".join(["# The secrets that the settings name.", "[Service]", "LoadCredential=", *lines, ""])
