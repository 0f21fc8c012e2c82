"""How the scripts that try it for real tell what they see."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

__all__ = ["check", "eventually", "say"]


def say(what: str) -> None:
    """A line for whoever watches."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def check(what: str, holds: object) -> None:
    """Raises AssertionError unless it holds."""
    assert holds, what
    say(f"ok    {what}")


def eventually(what: str, holds: Callable[[], object], *, within: float = 60.0) -> float:
    """Wait until it holds; the seconds that it took. Raises AssertionError."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > within:
            raise AssertionError(f"not within {within:.0f} s: {what}")
        time.sleep(0.05)
    took = time.monotonic() - began
    say(f"ok    {what}: {took:.1f} s")
    return took
