"""What can keep a service from being installed, checked or removed. Each error has a hint.

ServiceError
├── NoSystemd               there is no systemd, or it does not answer
├── NotRoot                 only root can change system services
├── InvalidInstanceName     no unit can have this name
├── NotAccessible           the service cannot reach the program, its settings or its database
├── ModifiedUnit            unit files were changed by hand, and the changes would be lost
├── ConfirmationRequired    nothing was confirmed
└── NotStarted              the service is installed, and does not run
"""

from __future__ import annotations

from versionsync.errors import ErrorKind, VersionsyncError

__all__ = [
    "ConfirmationRequired",
    "InvalidInstanceName",
    "ModifiedUnit",
    "NoSystemd",
    "NotAccessible",
    "NotRoot",
    "NotStarted",
    "ServiceError",
]


class ServiceError(VersionsyncError):
    """The base of these errors. `hint` says what to do."""

    kind = ErrorKind.CONFIGURATION


class NoSystemd(ServiceError):
    """There is no systemd, or it refused."""


class NotRoot(ServiceError):
    """Only root can change system services."""


class InvalidInstanceName(ServiceError):
    """No unit, user and directory can have this name."""


class NotAccessible(ServiceError):
    """The service cannot reach something that it needs."""


class ModifiedUnit(ServiceError):
    """Unit files were changed by hand."""


class ConfirmationRequired(ServiceError):
    """There is no terminal to ask on, and no `--yes`."""


class NotStarted(ServiceError):
    """The service is installed, and does not run."""

    kind = ErrorKind.PARTIAL
