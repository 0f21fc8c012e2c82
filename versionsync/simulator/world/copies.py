"""How upstream names the copy of a role, a model or a field: `Article (copy #1)`, `article_copy1`."""

from __future__ import annotations

from collections.abc import Container
from itertools import count

__all__ = ["copy_key", "copy_name"]


def copy_name(name: str, taken: Container[str]) -> str:
    """The name of a copy of what is called *name*, with the first number that makes it none of *taken*."""
    return next(copy for number in count(1) if (copy := f"{name} (copy #{number})") not in taken)


def copy_key(api_key: str, taken: Container[str]) -> str:
    """The api_key of such a copy."""
    return next(copy for number in count(1) if (copy := f"{api_key}_copy{number}") not in taken)
