"""What keeps a restore from being planned or carried out."""

from __future__ import annotations

from versionsync.errors import ErrorKind, VersionsyncError

__all__ = [
    "BadPlanFile",
    "CannotApply",
    "NoRestoreToken",
    "PlanChanged",
    "PlanRuns",
    "ReadOnlyToken",
    "RestoreError",
    "StaleMirror",
    "TooFewRequests",
    "emptied",
]


class RestoreError(VersionsyncError):
    """A restore that cannot go on. The message says what is wrong, and the hint what to do."""

    kind = ErrorKind.CONFIGURATION


class BadPlanFile(RestoreError):
    """A file is not the file of a plan, or was edited."""


class PlanChanged(RestoreError):
    """The plan in the mirror is not the one that the file names."""


class PlanRuns(RestoreError):
    """Another process carries the plan out."""

    kind = ErrorKind.LOCKED


class CannotApply(RestoreError):
    """The plan cannot be carried out: it is done already, or of another project or environment."""


def emptied(plan_id: str) -> CannotApply:
    """Return what to raise for a plan that an erasure emptied."""
    return CannotApply(
        f"the plan {plan_id} named a record whose content was erased, and was emptied with it",
        hint="It can be neither applied nor undone. Make a new one.",
    )


class NoRestoreToken(RestoreError):
    """No token is set that may write."""


class ReadOnlyToken(RestoreError):
    """The role of the token that should write can only read."""

    kind = ErrorKind.REFUSED


class StaleMirror(RestoreError):
    """The mirror is older than what is upstream, so the plan would be made of old facts."""


class TooFewRequests(RestoreError):
    """The budget of the source does not allow as many requests as are needed."""

    kind = ErrorKind.BUDGET
