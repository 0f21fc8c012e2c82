"""What can keep a service from being installed, inspected or removed. Each error has a hint.

ServiceError
├── NoSystemd              there is no systemd here, or it does not answer
├── NotRoot                only root may change the machine's services
├── InvalidInstanceName    no unit can have this name
├── NotAccessible          the service cannot reach the program, its settings or its database
├── ModifiedUnit           a unit file was changed since it was installed, and the change would be lost
├── ConfirmationRequired   the change was not confirmed
└── NotStarted             the service is installed but does not run
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
    """The service cannot be installed, inspected or removed as asked."""

    kind = ErrorKind.CONFIGURATION


class NoSystemd(ServiceError):
    """There is no systemd here, or it refused."""


class NotRoot(ServiceError):
    """Only root may change the machine's services."""


class InvalidInstanceName(ServiceError):
    """No unit, user and directory can have this name."""


class NotAccessible(ServiceError):
    """The service cannot reach a file that it needs."""


class ModifiedUnit(ServiceError):
    """A unit file was changed since it was installed."""


class ConfirmationRequired(ServiceError):
    """There is no terminal to ask on, and `--yes` was not given."""


class NotStarted(ServiceError):
    """The service is installed but does not run."""

    kind = ErrorKind.PARTIAL
