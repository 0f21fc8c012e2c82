"""When too much is gone at once, the run stops (invariant 5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.ledger.ids import ModelId
from versionsync.ledger.safeguards import MassDeleteLimit, Missing, exceeds_mass_delete_limit

A, B = ModelId("a"), ModelId("b")
LIMIT = MassDeleteLimit()
LOOSE = MassDeleteLimit(fraction=1.0)
COUNTS = st.dictionaries(st.sampled_from([A, B, ModelId("c")]), st.integers(0, 40), max_size=3)


@pytest.mark.parametrize(
    ("vanished", "live", "stops"),
    [
        (0, 0, False),
        (1, 1, False),
        (9, 9, False),
        (9, 20, False),
        (10, 50, False),
        (10, 49, True),
        (11, 50, True),
        (20, 100, False),
        (21, 100, True),
        (1000, 5000, False),
        (1001, 5000, True),
    ],
)
def test_more_than_the_share_and_at_least_the_number_stops(vanished: int, live: int, stops: bool) -> None:
    found = exceeds_mass_delete_limit(LIMIT, {A: vanished}, {A: live})
    assert found == (Missing(None, vanished, live) if stops else None)


def test_the_share_is_of_the_whole_source() -> None:
    assert exceeds_mass_delete_limit(LIMIT, {A: 6, B: 5}, {A: 20, B: 20}) == Missing(None, 11, 40)
    assert exceeds_mass_delete_limit(LIMIT, {A: 6, B: 5}, {A: 500, B: 20}) is None


def test_all_of_ten_records_of_a_model_that_still_exists_stop() -> None:
    live = {A: 10, B: 1000}
    assert exceeds_mass_delete_limit(LIMIT, {A: 10}, live) == Missing(A, 10, 10)
    assert exceeds_mass_delete_limit(LIMIT, {A: 9}, live) is None
    assert exceeds_mass_delete_limit(LIMIT, {A: 9}, {A: 9, B: 1000}) is None


def test_a_model_that_is_gone_takes_its_records_along() -> None:
    live = {A: 10, B: 1000}
    assert exceeds_mass_delete_limit(LIMIT, {A: 10}, live, deleted_models=frozenset({A})) is None
    assert exceeds_mass_delete_limit(LIMIT, {A: 10}, live, deleted_models=frozenset({B})) == Missing(A, 10, 10)


def test_a_model_that_is_gone_still_counts_in_the_share() -> None:
    """A token of another role sees fewer models, too."""
    found = exceeds_mass_delete_limit(LIMIT, {A: 300}, {A: 300, B: 700}, deleted_models=frozenset({A}))
    assert found == Missing(None, 300, 1000)


def test_the_limit_is_the_users() -> None:
    assert exceeds_mass_delete_limit(MassDeleteLimit(fraction=0.5), {A: 50}, {A: 100}) is None
    assert exceeds_mass_delete_limit(MassDeleteLimit(fraction=0.5), {A: 51}, {A: 100}) == Missing(None, 51, 100)
    assert exceeds_mass_delete_limit(MassDeleteLimit(count=100), {A: 99}, {A: 300}) is None
    assert exceeds_mass_delete_limit(MassDeleteLimit(fraction=0, count=1), {A: 1}, {A: 300}) == Missing(None, 1, 300)


@given(COUNTS, COUNTS)
def test_nothing_gone_never_stops_and_less_gone_stops_no_sooner(
    vanished: dict[ModelId, int], more: dict[ModelId, int]
) -> None:
    live = {id: vanished.get(id, 0) + more.get(id, 0) for id in (A, B, ModelId("c"))}
    assert exceeds_mass_delete_limit(LIMIT, {}, live) is None
    fewer = {id: max(0, count - 1) for id, count in vanished.items()}
    if exceeds_mass_delete_limit(LIMIT, vanished, live) is None:
        assert exceeds_mass_delete_limit(LIMIT, fewer, live) is None


@given(COUNTS)
def test_a_loose_share_leaves_the_rule_of_models(live: dict[ModelId, int]) -> None:
    found = exceeds_mass_delete_limit(LOOSE, live, live)
    assert (found is not None) == any(count >= 10 for count in live.values())
