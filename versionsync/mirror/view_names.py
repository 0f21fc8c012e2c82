"""Names of typed views and their columns: from whatever users called things, names that SQL takes, each once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256

__all__ = ["NAME_BYTES", "column_names", "view_name"]

NAME_BYTES = 63  # PostgreSQL cuts off the rest


def view_name(source: str, model: str, *, id: str, taken: Iterable[str]) -> str:
    """`<source>_<model>_versions`, told from those `taken` by something made of the model's `id`."""
    name = f"{_plain(source)}_{_plain(model)}"
    if name[0].isdigit():
        name = f"_{name}"
    full = f"{name}_versions"
    if len(full) <= NAME_BYTES and full not in taken:
        return full
    mark = sha256(f"{source}\0{model}\0{id}".encode()).hexdigest()[:8]
    return f"{name[: NAME_BYTES - len(mark) - 10]}_{mark}_versions"


def column_names(wanted: Iterable[str], *, taken: Iterable[str]) -> list[str]:
    """A name for each of `wanted`, all different (case does not count), and none of `taken`."""
    used = {name.casefold() for name in taken}
    names = []
    for name in wanted:
        plain = _cut(name.replace("\0", "") or "field", NAME_BYTES)
        candidate, number = plain, 1
        if candidate.casefold() in used:
            candidate = _cut(f"field_{plain}", NAME_BYTES)
        while candidate.casefold() in used:
            number += 1
            candidate = f"{_cut(plain, NAME_BYTES - len(str(number)) - 1)}_{number}"
        used.add(candidate.casefold())
        names.append(candidate)
    return names


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "x"


def _cut(name: str, limit: int) -> str:
    """The start of `name` of at most `limit` bytes, whole characters only."""
    return name.encode()[:limit].decode(errors="ignore")
