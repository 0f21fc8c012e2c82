"""The difference of two contents as a JSON Patch (RFC 6902), for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from versionsync.history.diff.alignment import align
from versionsync.history.diff.equality import is_same, key_of
from versionsync.history.diff.lines import block_id_of
from versionsync.history.diff.members import blocks_at
from versionsync.history.diff.model import Json, Path, pointer

__all__ = ["json_patch"]


def json_patch(before: Mapping[str, Json] | None, after: Mapping[str, Json] | None) -> list[dict[str, Json]]:
    """Return the operations that make `after` from `before`; None stands for null.

    The operations are `add`, `move`, `remove` and `replace`. Only blocks are moved, from one list or field to
    another. A number is in the form in which `versionsync.ledger.content.parse_value` returns it; msgspec encodes it.
    """
    moves, moved = _moves(before, after)
    return [*moves, *_operations(moved, after, ())]


Home = tuple[str | None, Path]
"""A list or field that holds blocks: the id of the block around it (None: the record), and the path from there."""


def _moves(before: Json, after: Json) -> tuple[list[dict[str, Json]], Json]:
    """Return operations that bring blocks to their lists and fields, and the content that they make of `before`."""
    places = _places(after)
    homes_before, homes_after = _homes(_places(before)), _homes(places)
    ids = [id for id, home in homes_after.items() if id in homes_before and homes_before[id] != home]
    moves: list[dict[str, Json]] = []
    content = _copied(before) if ids else before
    for id in ids:
        position = places[id][-1]
        now = _places(content)
        around, path = homes_after[id]
        if id not in now or (around is not None and around not in now):
            continue
        source, target = now[id], (*(() if around is None else now[around]), *path)
        holder = _at(content, target if isinstance(position, int) else target[:-1])
        if isinstance(position, int):
            has_room = isinstance(holder, list)
        else:
            has_room = isinstance(holder, dict) and holder.get(position) is None
        at = _without(target, source)
        # The second path is read after the block was taken out; RFC 6902 still forbids that it begins with the first.
        if not has_room or source in (target[: len(source)], at[: len(source)]):
            continue
        block = _at(content, source[:-1]).pop(source[-1])
        if isinstance(position, int):
            position = min(position, len(holder))
            holder.insert(position, block)
            at = (*at, position)
        else:
            holder[position] = block
        moves.append({"op": "move", "from": pointer(source), "path": pointer(at)})
    return moves, content


def _places(content: Json) -> dict[str, Path]:
    """Return the paths of the blocks by their ids, in order, except those whose id is there twice."""
    found: dict[str, list[Path]] = {}
    for path, block in blocks_at(content):
        if (id := block_id_of(block)) is not None:
            found.setdefault(id, []).append(path)
    return {id: paths[0] for id, paths in sorted(found.items(), key=lambda one: _order(one[1][0])) if len(paths) == 1}


def _order(path: Path) -> list[tuple[str, int]]:
    return [("", step) if isinstance(step, int) else (step, 0) for step in path]


def _homes(places: dict[str, Path]) -> dict[str, Home]:
    """Return the homes of blocks by their ids. Blocks in a structured text are left out: they stand in its nodes."""
    ids = {path: id for id, path in places.items()}
    homes: dict[str, Home] = {}
    for id, path in places.items():
        size = next((size for size in range(len(path) - 1, 0, -1) if path[:size] in ids), 0)
        inner = path[size:]
        if "document" not in inner:
            homes[id] = ids[path[:size]] if size else None, inner[:-1] if isinstance(inner[-1], int) else inner
    return homes


def _at(value: Json, path: Path) -> Json:
    for step in path:
        if isinstance(value, dict):
            value = value.get(str(step))
        else:
            value = value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else None
    return value


def _without(path: Path, removed: Path) -> Path:
    """Return a path as it is once the element or member at `removed` is gone."""
    at, last = len(removed) - 1, removed[-1]
    if len(path) > at and path[:at] == removed[:at] and isinstance(last, int):
        step = path[at]
        if isinstance(step, int) and step > last:
            return (*path[:at], step - 1, *path[at + 1 :])
    return path


def _copied(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {name: _copied(inner) for name, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def _operations(before: Json, after: Json, path: Path) -> Iterator[dict[str, Json]]:
    if is_same(before, after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name, value in before.items():
            if name not in after:
                yield {"op": "remove", "path": pointer((*path, name))}
            else:
                yield from _operations(value, after[name], (*path, name))
        for name, value in after.items():
            if name not in before:
                yield {"op": "add", "path": pointer((*path, name)), "value": value}
    elif isinstance(before, list) and isinstance(after, list):
        yield from _list_operations(before, after, path)
    else:
        yield {"op": "replace", "path": pointer(path), "value": after}


def _list_operations(before: list[Json], after: list[Json], path: Path) -> Iterator[dict[str, Json]]:
    """Change a list from its end to its start, so that positions that are yet to come stay valid."""
    keys_a, keys_b = [key_of(value) for value in before], [key_of(value) for value in after]
    end_a, end_b = len(before), len(after)
    for i, j, size in [*reversed(align(keys_a, keys_b).blocks), (0, 0, 0)]:
        start_a, start_b = i + size, j + size
        pairs = min(end_a - start_a, end_b - start_b)
        for index in range(end_a - 1, start_a + pairs - 1, -1):
            yield {"op": "remove", "path": pointer((*path, index))}
        for index in range(end_b - 1, start_b + pairs - 1, -1):
            yield {"op": "add", "path": pointer((*path, start_a + pairs)), "value": after[index]}
        for offset in range(pairs):
            yield from _operations(before[start_a + offset], after[start_b + offset], (*path, start_a + offset))
        end_a, end_b = i, j
