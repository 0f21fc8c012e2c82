"""Why the daemon cannot start, beyond its settings and its database."""

from __future__ import annotations

__all__ = ["CannotListen"]


class CannotListen(Exception):
    """Its server has no address to listen on. `hint` is what to do about it."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint
