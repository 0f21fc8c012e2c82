"""Sources in files of their own: the folder `sources.d` beside the settings file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec.structs import fields

from versionsync.config.definition import SourceSettings
from versionsync.config.errors import FileProblem, UnknownSetting
from versionsync.config.file_trust import Self, check_found
from versionsync.config.toml_file import TomlFile, read_toml

__all__ = ["SourceFile", "folder_of", "has_files", "read_source_files"]

_FOLDER: Final = "sources.d"
_MAIN_STEM: Final = "versionsync"
_TABLE: Final = "sources"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of `sources.d`, and the names of the sources in it."""

    path: Path
    names: Sequence[str]


def folder_of(settings: Path) -> Path:
    """Return the folder with more sources for a settings file.

    It is `sources.d` beside `versionsync.toml`, and `NAME.sources.d` beside any other `NAME.toml`: several services may
    have their settings in one folder, and must not get each other's sources.
    """
    return settings.parent / (_FOLDER if settings.stem == _MAIN_STEM else f"{settings.stem}.{_FOLDER}")


def has_files(folder: Path) -> bool:
    """Return whether `folder` exists, can be listed, and has a file that would be read."""
    try:
        return bool(_files(folder))
    except FileProblem:
        return False


def read_source_files(settings: Path, *, found: bool) -> list[TomlFile]:
    """Return the files with more sources for a settings file, by name. Each has nothing but `[[sources]]`.

    Args:
        settings: The settings file.
        found: It was only found, so its files must be trusted as it must be.

    Raises:
        FileProblem: A file cannot be read, is not TOML, or is not trusted.
        UnknownSetting: A file has another setting.
    """
    me = Self.now()
    read = []
    for path in _files(folder_of(settings)):

        def check(path: Path = path) -> None:
            if found:
                check_found(path, me=me, named=settings)

        file = read_toml(path, check=check, missing="It was there a moment ago. Try again.")
        _check_only_sources(file, settings)
        read.append(file)
    return read


def _files(folder: Path) -> list[Path]:
    """Return the files to read. Hidden ones are left out: editors and Kubernetes put their own there."""
    try:
        found = [path for path in folder.iterdir() if path.suffix == ".toml" and not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise FileProblem(
            f"{folder} is not a folder", hint="It must be a folder with files that end in .toml, or not exist."
        ) from None
    except OSError as error:
        raise FileProblem(
            f"the folder {folder} cannot be read: {error.strerror}", hint="Check its owner and mode."
        ) from error
    return sorted(found, key=lambda path: path.name)


def _check_only_sources(file: TomlFile, settings: Path) -> None:
    """Raise UnknownSetting if a file of `sources.d` has anything else at its top."""
    for name in file.table:
        if name == _TABLE:
            continue
        of_source = name in {field.name for field in fields(SourceSettings)}
        raise UnknownSetting(
            f"{file.where(name)}: {name} must not be at the top of this file",
            hint="Write [[sources]] on a line above the settings of each source."
            if of_source
            else f"Files in {file.path.parent.name} have only [[sources]]. Everything else belongs in {settings}.",
        )
