"""What is true of the diff of any two contents.

More of the same by one command: VERSIONSYNC_TEST_PAIRS=1000000 pytest -n 2 tests/unit/history/diff/test_laws.py
"""

from __future__ import annotations

import os
from typing import Any

import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.history.diff.generator import SCHEMA, Generator
from tests.unit.history.diff.laws import broken_laws
from versionsync.history.diff import ContentDiff, Operation, apply, compare, json_patch

PAIRS = int(os.environ.get("VERSIONSYNC_TEST_PAIRS", "3000"))
SEED = int(os.environ.get("VERSIONSYNC_TEST_SEED", "1"))
CHUNKS = 8
PAIRS_OF_ONE = 8

Json = Any

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "a", "a b", "a b c d", "2026-01-01T00:00:00Z"])
)
nodes = st.sampled_from(
    ["paragraph", "heading", "list", "listItem", "span", "link", "itemLink", "block", "root", "new"]
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "en", "id", "item", "value"]), inner, max_size=4)
        | st.fixed_dictionaries({"type": nodes, "children": st.lists(inner, max_size=4), "value": st.just("a b")})
        | st.fixed_dictionaries({"type": nodes, "item": inner, "marks": inner})
        | st.fixed_dictionaries(
            {"type": st.just("item"), "id": scalars, "attributes": st.dictionaries(st.just("words"), inner)}
        )
        | st.fixed_dictionaries(
            {
                "schema": st.just("dast"),
                "document": st.fixed_dictionaries({"type": st.just("root"), "children": st.lists(inner, max_size=4)}),
            }
        )
    ),
    max_leaves=20,
)
contents = st.dictionaries(st.sampled_from([*SCHEMA.of_model("article"), "unknown"]), values, max_size=5)


@pytest.mark.timeout(4 * 3600)  # of a million pairs
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_diff_shows_the_edits_that_were_made_and_no_others(chunk: int) -> None:
    number = PAIRS // CHUNKS // PAIRS_OF_ONE
    first = (SEED * CHUNKS + chunk) * 1_000_000
    broken = []
    for seed in range(first, first + number):
        for index, pair in enumerate(Generator(seed).pairs(PAIRS_OF_ONE)):
            laws = broken_laws(pair, has_patch=index == 0)
            if laws:
                broken.append((seed, index, pair.edits.names, laws))
    assert not broken


@given(contents, contents)
@settings(deadline=None, max_examples=500)
def test_applying_a_diff_gives_the_content_after_whatever_the_contents_are(before: Json, after: Json) -> None:
    diff = compare(before, after, SCHEMA, "article")
    assert _typed(apply(diff, before)) == _typed(after)
    if not diff.changes and not diff.respellings:
        assert _typed(before) == _typed(after)


@given(contents)
@settings(deadline=None)
def test_a_content_does_not_differ_from_itself(content: Json) -> None:
    diff = compare(content, _copied(content), SCHEMA, "article")
    assert diff == ContentDiff()
    assert not diff


@given(contents)
@settings(deadline=None)
def test_the_first_version_adds_all_that_it_has(content: Json) -> None:
    diff = compare(None, content, SCHEMA, "article")
    assert diff.operation is Operation.ADDED
    assert _typed(apply(diff, None)) == _typed(content)
    assert apply(compare(content, None, SCHEMA, "article"), content) is None


@given(contents | st.none(), contents | st.none())
@settings(deadline=None)
def test_a_json_patch_is_applied_by_another_program(before: Json, after: Json) -> None:
    patch = json_patch(before, after)
    assert _typed(jsonpatch.apply_patch(before, patch)) == _typed(after)


def _typed(value: Json) -> Json:
    """A value in which true is not 1."""
    if isinstance(value, dict):
        return {name: _typed(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_typed(inner) for inner in value]
    return type(value).__name__, value


def _copied(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _copied(inner) for name, inner in reversed(value.items())}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value
