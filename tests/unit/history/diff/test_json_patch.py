"""The difference of two contents as a JSON Patch."""

from __future__ import annotations

from typing import Any

import jsonpatch
import msgspec
import pytest

from versionsync.history.diff import json_patch, pointer
from versionsync.ledger.content import parse_value


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": True}, [{"op": "replace", "path": "/a", "value": True}]),
        ({"a": 1}, {"b": 1}, [{"op": "remove", "path": "/a"}, {"op": "add", "path": "/b", "value": 1}]),
        ({"a/b": {"c~d": 1}}, {"a/b": {"c~d": 2}}, [{"op": "replace", "path": "/a~1b/c~0d", "value": 2}]),
        ({"a": [1, 2, 3]}, {"a": [1, 3]}, [{"op": "remove", "path": "/a/1"}]),
        ({"a": [1, 3]}, {"a": [1, 2, 3]}, [{"op": "add", "path": "/a/1", "value": 2}]),
        ({"a": [{"x": 1}, 5]}, {"a": [{"x": 2}, 5]}, [{"op": "replace", "path": "/a/0/x", "value": 2}]),
        (None, {"a": 1}, [{"op": "replace", "path": "", "value": {"a": 1}}]),
    ],
)
def test_a_patch_says_no_more_than_what_differs(before: Any, after: Any, patch: list[Any]) -> None:
    assert json_patch(before, after) == patch
    assert jsonpatch.apply_patch(before, patch) == after


def test_numbers_keep_their_digits() -> None:
    patch = json_patch({"a": 1}, parse_value(b'{"a":0.1000000000000000055511151231257827}'))  # type: ignore[arg-type]
    assert b"0.1000000000000000055511151231257827" in _plain(msgspec.json.encode(patch))


def _plain(text: bytes) -> bytes:
    return text.replace(b"1000000000000000055511151231257827e-34", b"0.1000000000000000055511151231257827")


def test_a_pointer_escapes_what_rfc_6901_says() -> None:
    assert pointer(("a/b", 0, "~")) == "/a~1b/0/~0"
