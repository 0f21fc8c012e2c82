"""What can keep a service from being installed, looked at or removed; each says what to do about it.

ServiceError
├── NoSystemd        there is no systemd here, or it does not answer
├── NotRoot          the machine's services are root's to change
├── BadInstance      no unit can have this name
├── OutOfReach       the program, its settings or its database lie where the service cannot reach them
├── ChangedByHand    unit files are not as they were installed, and would be lost
├── Unconfirmed      nobody said yes
└── NotStarted       it is installed, and does not run
"""

from __future__ import annotations

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


class ServiceError(Exception):
    """`hint` is what to do about it."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class NoSystemd(ServiceError):
    """There is no systemd that could be asked, or it refused."""


class NotRoot(ServiceError):
    """Only root may change the machine's services."""


class InvalidInstanceName(ServiceError):
    """No unit, user and directory can have this name."""


class NotAccessible(ServiceError):
    """What the service needs lies where it cannot reach it."""


class ModifiedUnit(ServiceError):
    """Unit files are not as they were installed."""


class ConfirmationRequired(ServiceError):
    """There is nobody to ask, and nobody said yes beforehand."""


class NotStarted(ServiceError):
    """It is installed, but it does not run."""
