"""What can be wrong with an export."""

from __future__ import annotations

from versionsync.errors import ErrorKind, VersionsyncError

__all__ = ["ExportError", "ExportLocked"]


class ExportError(VersionsyncError):
    """The folder, the options or a missing program do not allow this export. The message says what to do."""

    kind = ErrorKind.CONFIGURATION


class ExportLocked(ExportError):
    """Another process exports into the same folder."""

    kind = ErrorKind.LOCKED
