"""What a comparison found so far, and the place that it compares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from versionsync.history.diff.model import (
    ABSENT,
    Absent,
    Change,
    ChangeKind,
    Json,
    Operation,
    Outline,
    Path,
    Place,
    Restructuring,
    Span,
)

__all__ = ["Findings", "Spot"]


@dataclass(frozen=True, slots=True)
class Spot:
    """A place that is compared: for people, and as paths in the contents before and after."""

    place: Place
    source: Path
    target: Path

    def member(self, name: str | int, in_after: str | int | None = None) -> Spot:
        """Return the spot of a member or element; its name or position may be another one in the content after."""
        other = name if in_after is None else in_after
        place = replace(self.place, member=(*self.place.member, other))
        return Spot(place, (*self.source, name), (*self.target, other))

    def part(self, source: Path, target: Path) -> Spot:
        """Return the spot of a part, by paths from here. Positions alone name it for people."""
        positions = tuple(step for step in target if isinstance(step, int))
        place = replace(self.place, member=(*self.place.member, *positions))
        return Spot(place, self.source + source, self.target + target)


@dataclass(slots=True)
class Findings:
    """Collects what a comparison finds, and knows how to compare what nests."""

    compare_block: Callable[[Findings, Json, Json, Spot], None]
    """Compares two blocks at a spot."""
    compare_document: Callable[[Findings, Json, Json, Spot], bool]
    """Compares two structured texts at a spot, if both are."""
    words_of: Callable[[Json], int]
    """Counts the words in a whole block."""
    are_strangers: Callable[[str | None, str | None], bool]
    """Says of the ids of a block before and one after whether these are two blocks, even if they say the same."""
    changes: list[Change] = field(default_factory=list)
    respellings: list[Change] = field(default_factory=list)
    outlines: list[Outline] = field(default_factory=list)

    def add(
        self,
        kind: ChangeKind,
        operation: Operation,
        before: Json | Literal[Absent.ABSENT],
        after: Json | Literal[Absent.ABSENT],
        spot: Spot,
        *,
        spans: tuple[Span, ...] = (),
        words_added: int = 0,
        words_removed: int = 0,
        restructuring: Restructuring | None = None,
        is_limited: bool = False,
        sources: tuple[Path, ...] | None = None,
        targets: tuple[Path, ...] | None = None,
    ) -> None:
        """Note a change of the value at a spot. `sources` and `targets` name its places if it has more than one."""
        self.changes.append(
            Change(
                place=spot.place,
                kind=kind,
                operation=operation,
                before=before,
                after=after,
                sources=sources or (() if before is ABSENT else (spot.source,)),
                targets=targets or (() if after is ABSENT else (spot.target,)),
                restructuring=restructuring,
                spans=spans,
                words_added=words_added,
                words_removed=words_removed,
                is_limited=is_limited,
            )
        )

    def respell(self, before: Json | Literal[Absent.ABSENT], after: Json | Literal[Absent.ABSENT], spot: Spot) -> None:
        """Note that the value at a spot is the same in other words."""
        self.respellings.append(
            Change(
                place=spot.place,
                kind=ChangeKind.ATTRIBUTE,
                operation=Operation.CHANGED,
                before=before,
                after=after,
                sources=() if before is ABSENT else (spot.source,),
                targets=() if after is ABSENT else (spot.target,),
            )
        )

    def mark(self) -> tuple[int, int, int]:
        """Return how much was found so far."""
        return len(self.changes), len(self.respellings), len(self.outlines)

    def forget(self, mark: tuple[int, int, int]) -> None:
        """Drop what was found since `mark`."""
        del self.changes[mark[0] :], self.respellings[mark[1] :], self.outlines[mark[2] :]
