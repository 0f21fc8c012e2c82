"""Errors of the daemon as a whole.

CannotListen        its server has no address to listen on: it does not start
DaemonUnreachable   the health check got no answer, or the daemon is stuck
"""

from __future__ import annotations

from versionsync.errors import ErrorKind, VersionsyncError

__all__ = ["CannotListen", "DaemonUnreachable"]


class CannotListen(VersionsyncError):
    """The daemon's server has no address to listen on."""

    kind = ErrorKind.CONFIGURATION


class DaemonUnreachable(VersionsyncError):
    """No daemon works at this address: no answer, or it is stuck."""

    kind = ErrorKind.PARTIAL
