"""The difference of two contents as a JSON Patch (RFC 6902), for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from versionsync.history.diff.alignment import align
from versionsync.history.diff.equality import is_same, key_of
from versionsync.history.diff.model import Json, Path, pointer

__all__ = ["json_patch"]


def json_patch(before: Mapping[str, Json] | None, after: Mapping[str, Json] | None) -> list[dict[str, Json]]:
    """Return the operations that make `after` from `before`; None stands for null.

    The operations are `add`, `remove` and `replace`. A number is in the form in which
    `versionsync.ledger.content.parse_value` returns it; msgspec encodes it.
    """
    return list(_operations(before, after, ()))


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
