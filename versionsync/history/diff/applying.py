"""Make the content after from the content before and their diff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from versionsync.history.diff.model import ABSENT, Absent, Change, ContentDiff, Json, Kept, Operation, Path

__all__ = ["apply"]


def apply(diff: ContentDiff, before: Mapping[str, Json] | None) -> dict[str, Json] | None:
    """Return the content after.

    Args:
        diff: The complete diff. Without some of its changes, the result is undefined.
        before: The content before; None if there was no version.

    Returns:
        The content after, or None if there is no version after. Parts that did not change are those of `before`.
    """
    if diff.operation is Operation.REMOVED:
        return None
    tree = _Tree.of(diff)
    result = tree.rebuilt(dict(before or {}), (), ())
    return dict(result)


@dataclass(slots=True)
class _Tree:
    """The changes by their places before and after, and every place on the way to one."""

    replaced: dict[Path, Json] = field(default_factory=dict)
    """The values after, by their places before."""
    removed: set[Path] = field(default_factory=set)
    """Places before of what is not there any more, or is at another position of its list."""
    added: dict[Path, Json] = field(default_factory=dict)
    """The values after, by their places after."""
    moved: dict[Path, Path] = field(default_factory=dict)
    """The places before, by those after."""
    outlines: dict[Path, Json] = field(default_factory=dict)
    touched_before: set[Path] = field(default_factory=set)
    touched_after: set[Path] = field(default_factory=set)

    @classmethod
    def of(cls, diff: ContentDiff) -> _Tree:
        tree = cls(outlines={outline.path: outline.tree for outline in diff.outlines})
        for change in (*diff.changes, *diff.respellings):
            tree._take(change)
        for path in (*tree.replaced, *tree.removed, *tree.outlines):
            tree.touched_before.update(path[:size] for size in range(len(path) + 1))
        for path in (*tree.added, *tree.moved):
            tree.touched_after.update(path[:size] for size in range(len(path) + 1))
        return tree

    def _take(self, change: Change) -> None:
        sources, targets = change.sources, change.targets
        if change.moved_to is not None:
            self.removed.update(sources)
        elif change.moved_from is not None:
            self.added[targets[0]] = change.after
        elif change.operation is Operation.MOVED and len(sources) == len(targets) == 1:
            self.removed.add(sources[0])
            self.moved[targets[0]] = sources[0]
        elif len(sources) == len(targets) == 1:
            self.replaced[sources[0]] = change.after
        else:
            self.removed.update(sources)
            parts: list[Json] = change.after if isinstance(change.after, list) and len(targets) > 1 else [change.after]
            self.added.update(zip(targets, parts, strict=False))

    def rebuilt(self, value: Json, source: Path, target: Path) -> Json:
        """Return what a value at `source` becomes at `target`."""
        if source in self.replaced:
            return self.replaced[source]
        if source in self.outlines:
            return self._from_outline(self.outlines[source], value, source, target)
        if source not in self.touched_before and target not in self.touched_after:
            return value
        if isinstance(value, dict):
            return self._rebuilt_object(value, source, target)
        if isinstance(value, list):
            return self._rebuilt_list(value, source, target)
        return value

    def _rebuilt_object(self, value: dict[str, Json], source: Path, target: Path) -> dict[str, Json]:
        result = {
            name: self.rebuilt(inner, (*source, name), (*target, name))
            for name, inner in value.items()
            if (*source, name) not in self.removed
        }
        size = len(target)
        for path, added in self.added.items():
            if len(path) == size + 1 and path[:size] == target and isinstance(path[size], str):
                result[str(path[size])] = added
        return result

    def _rebuilt_list(self, value: list[Json], source: Path, target: Path) -> list[Json]:
        rest = [index for index in range(len(value)) if (*source, index) not in self.removed]
        size = len(target)
        new = {path[size] for path in (*self.added, *self.moved) if len(path) == size + 1 and path[:size] == target}
        result: list[Json] = []
        staying = iter(rest)
        for position in range(len(rest) + len(new)):
            at = (*target, position)
            if at in self.moved:
                result.append(self._moved(value, source, at))
            elif at in self.added:
                result.append(self.added[at])
            else:
                index = next(staying, None)
                if index is None:
                    break
                result.append(self.rebuilt(value[index], (*source, index), at))
        return result

    def _moved(self, value: list[Json], source: Path, at: Path) -> Json:
        place = self.moved[at]
        index = place[-1]
        return self.rebuilt(value[index], place, at) if place[:-1] == source and isinstance(index, int) else ABSENT

    def _from_outline(self, tree: Json | Kept | Literal[Absent.ABSENT], root: Json, source: Path, target: Path) -> Json:
        """Return the document whose outline is `tree`; `root` is the document before, at `source`."""
        if isinstance(tree, Kept):
            return self.rebuilt(_at(root, tree.path), source + tree.path, target)
        if tree is ABSENT:
            return self.added[target]
        children = [
            self._from_outline(child, root, source, (*target, "children", index))
            for index, child in enumerate(tree["children"])
        ]
        return {**tree, "children": children}


def _at(value: Json, path: Path) -> Json:
    for step in path:
        value = value[step]
    return value
