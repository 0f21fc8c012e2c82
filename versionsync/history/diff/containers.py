"""Compare the containers around lines: lists, their items and quotes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from versionsync.history.diff.findings import Findings, Spot
from versionsync.history.diff.lines import Container, Line
from versionsync.history.diff.members import compare_members
from versionsync.history.diff.model import ChangeKind, Operation, Path, Restructuring
from versionsync.history.diff.regions import Group

__all__ = ["ContainerComparison", "container_types"]


@dataclass(slots=True)
class ContainerComparison:
    """Compares the containers around lines that stayed."""

    findings: Findings
    spot: Spot
    before: Sequence[Line]
    after: Sequence[Line]
    last: tuple[int, int] = (-1, -1)
    seen: set[tuple[Path, Path]] = field(default_factory=set)

    def compare(self, group: Group) -> None:
        i, j = group.before[0], group.after[0]
        a, b = self.before[i], self.after[j]
        if container_types(a) != container_types(b):
            at = self.spot.part(a.path, b.path)
            self.findings.add(
                ChangeKind.STRUCTURE, Operation.CHANGED, a.node, b.node, at, restructuring=Restructuring.RETYPED
            )
        else:
            for one, other in zip(a.containers, b.containers, strict=True):
                self._members(one, other)
            if i > 0 and j > 0 and (i - 1, j - 1) == self.last:
                self._borders(a, b, self.before[i - 1], self.after[j - 1])
        self.last = (group.before[-1], group.after[-1])

    def _members(self, a: Container, b: Container) -> None:
        """Compare what two containers say, such as the style of a list."""
        if (a.path, b.path) not in self.seen:
            self.seen.add((a.path, b.path))
            at = self.spot.part(a.path, b.path)
            compare_members(self.findings, a.node, b.node, at, but=("type", "children"))

    def _borders(self, a: Line, b: Line, last_a: Line, last_b: Line) -> None:
        """Note that two lines that follow one another are not in the same containers any more, or are now."""
        shared_a, shared_b = _shared(a, last_a), _shared(b, last_b)
        at = min(shared_a, shared_b)
        if shared_a == shared_b or at >= len(a.containers):
            return
        one, other = a.containers[at], b.containers[at]
        self.findings.add(
            ChangeKind.STRUCTURE,
            Operation.CHANGED,
            one.node,
            other.node,
            self.spot.part(one.path, other.path),
            restructuring=Restructuring.SPLIT if shared_b < shared_a else Restructuring.MERGED,
        )


def container_types(line: Line) -> list[str]:
    """Return the types of the containers around a line, outermost first."""
    return [container.type for container in line.containers]


def _shared(a: Line, b: Line) -> int:
    """The number of containers that two lines of one document share."""
    return sum(1 for one, other in zip(a.containers, b.containers, strict=False) if one is other)
