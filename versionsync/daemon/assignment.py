"""Which daemon runs which source. Pure: the same facts give the same answer in every process.

The facts are the living daemons and the claims that the database has. A source stays with its daemon as long as that
leaves all daemons the same number of sources, give or take one. So no source moves without need: a daemon that joins
gets its share and nothing else moves, and if one leaves, only its sources move.

Where there is a choice, a hash of source and daemon decides, as in rendezvous hashing. The choice is then the same
after some of the moves were made, and daemons that start together spread their sources evenly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

__all__ = ["Candidate", "balanced", "one_for_all"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A living daemon.

    Attributes:
        id: Its id; one that started later has a higher one.
        sources: The names of the sources in its settings.
    """

    id: int
    sources: frozenset[str]


def balanced(candidates: Collection[Candidate], claims: Mapping[str, int]) -> dict[str, int]:
    """Divide the sources among the daemons.

    Args:
        candidates: The living daemons.
        claims: Which daemon has claimed a source, by the name of the source. It need not live.

    Returns:
        The id of the daemon that should run each source. If all daemons have the same sources in their settings, their
        numbers differ by one at most. Otherwise no single move makes them more even.
    """
    serving = _serving(candidates)
    held: dict[int, list[str]] = {one.id: [] for one in candidates}
    free: list[str] = []
    for name in sorted(serving):
        owner = claims.get(name)
        if owner is not None and owner in serving[name]:
            held[owner].append(name)
        else:
            free.append(name)
    for name in sorted(free, key=lambda name: len(serving[name])):  # those with the least choice come first
        ids = serving[name]
        held[min(ids, key=lambda one: (len(held[one]), -_weight(name, one), one))].append(name)
    for id, names in held.items():
        names.sort(key=lambda name: -_weight(name, id))  # the last ones leave first
    while _move_one(held, serving):
        pass
    return {name: id for id, names in held.items() for name in names}


def one_for_all(candidates: Collection[Candidate], claims: Mapping[str, int]) -> dict[str, int]:
    """Give all sources to one daemon, while the others stand by.

    It is the one that has most of them already, so that one which wakes up late takes nothing back; otherwise the one
    that has lived longest. Sources that are not in its settings go to the next one.

    Returns:
        The id of the daemon that should run each source.
    """
    claimed = Counter(claims.values())
    order = sorted(candidates, key=lambda one: (-claimed[one.id], one.id))
    return {name: one.id for one in reversed(order) for name in one.sources}


def _serving(candidates: Iterable[Candidate]) -> dict[str, Sequence[int]]:
    """Return the ids of the daemons that have each source in their settings."""
    serving: dict[str, list[int]] = {}
    for one in sorted(candidates, key=lambda one: one.id):
        for name in one.sources:
            serving.setdefault(name, []).append(one.id)
    return {name: tuple(ids) for name, ids in serving.items()}


def _move_one(held: Mapping[int, list[str]], serving: Mapping[str, Sequence[int]]) -> bool:
    """Move one source from a daemon with many to one with fewer; return False if no move makes them more even."""
    by_number = sorted(held, key=lambda one: (len(held[one]), one))
    for most in reversed(by_number):
        for least in by_number:
            if len(held[most]) - len(held[least]) < 2:  # a move would only swap them
                break
            for at in range(len(held[most]) - 1, -1, -1):
                name = held[most][at]
                if least in serving[name]:
                    del held[most][at]
                    held[least].append(name)
                    return True
    return False


@lru_cache(maxsize=65_536)
def _weight(name: str, id: int) -> int:
    digest = blake2b(f"{id} {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest)
