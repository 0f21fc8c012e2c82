"""What keeps content from being erased."""

from __future__ import annotations

from versionsync.errors import ErrorKind, VersionsyncError

__all__ = ["CannotErase", "PlanIsRunning", "UnknownErasure"]


class CannotErase(VersionsyncError):
    """What is named cannot be erased: there is no such field, or it has no such locale. Nothing was changed."""

    kind = ErrorKind.CONFIGURATION


class PlanIsRunning(VersionsyncError):
    """A plan of `restore` that names the record is being carried out. Nothing was changed."""

    kind = ErrorKind.LOCKED


class UnknownErasure(CannotErase):
    """There is no erasure of this number, or it is lifted already."""
