"""What goes wrong with the daemon as a whole, beyond its settings and its database.

CannotListen   it has no address for its server, and does not start
NotAlive       who asks whether it lives gets no answer, or hears that it hangs
"""

from __future__ import annotations

__all__ = ["CannotListen", "DaemonUnreachable"]


class CannotListen(Exception):
    """Its server has no address to listen on. `hint` is what to do about it."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class DaemonUnreachable(Exception):
    """No daemon does its work there. `hint` is what to do about it."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint
