"""Which daemon runs which source: even shares, the same answer everywhere, and no move without need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.daemon.assignment import Candidate, balanced, one_for_all

NAMES = st.integers(min_value=0, max_value=60).map(lambda number: frozenset(f"source-{n}" for n in range(number)))
IDS = st.sets(st.integers(min_value=1, max_value=1000), min_size=1, max_size=8)
SUBSETS = st.dictionaries(
    st.integers(min_value=1, max_value=50),
    st.frozensets(st.sampled_from([f"source-{n}" for n in range(20)])),
    min_size=1,
    max_size=6,
)
CLAIMS = st.dictionaries(st.sampled_from([f"source-{n}" for n in range(60)]), st.integers(min_value=1, max_value=60))


def all_serve(names: frozenset[str], ids: Collection[int]) -> list[Candidate]:
    """Return daemons that all have the same sources in their settings."""
    return [Candidate(id, names) for id in ids]


def moves(before: Mapping[str, int], after: Mapping[str, int]) -> set[str]:
    """Return the sources that have another daemon afterwards."""
    return {name for name in after if before.get(name) != after[name]}


def numbers(assigned: Mapping[str, int], ids: Collection[int]) -> list[int]:
    """Return how many sources each daemon has."""
    counted = Counter(assigned.values())
    return [counted[id] for id in ids]


@given(NAMES, IDS, CLAIMS)
def test_every_source_has_one_daemon_and_all_have_equally_many(
    names: frozenset[str], ids: set[int], claims: dict[str, int]
) -> None:
    """Whatever the claims were before."""
    assigned = balanced(all_serve(names, ids), claims)
    assert assigned.keys() == names
    assert max(numbers(assigned, ids)) - min(numbers(assigned, ids)) <= 1


@given(NAMES, IDS, CLAIMS, st.randoms(use_true_random=False))
def test_every_process_finds_the_same(
    names: frozenset[str], ids: set[int], claims: dict[str, int], random: object
) -> None:
    """In whatever order it reads the rows."""
    daemons, rows = all_serve(names, ids), list(claims.items())
    random.shuffle(daemons)  # type: ignore[attr-defined]
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert balanced(daemons, dict(rows)) == balanced(all_serve(names, sorted(ids)), claims)


@given(NAMES, IDS, CLAIMS)
def test_what_was_assigned_stays(names: frozenset[str], ids: set[int], claims: dict[str, int]) -> None:
    daemons = all_serve(names, ids)
    assigned = balanced(daemons, claims)
    assert balanced(daemons, assigned) == assigned


@given(NAMES, IDS)
def test_one_that_joins_gets_its_share_and_nothing_else_moves(names: frozenset[str], ids: set[int]) -> None:
    *old, new = sorted({*ids, 2000})
    before = balanced(all_serve(names, old), {})
    after = balanced(all_serve(names, [*old, new]), before)
    assert all(after[name] == new for name in moves(before, after))
    assert (
        len(moves(before, after))
        == numbers(after, [new])[0]
        in (len(names) // len([*old, new]), -(-len(names) // len([*old, new])))
    )


@given(NAMES, IDS)
def test_if_one_leaves_only_its_sources_move(names: frozenset[str], ids: set[int]) -> None:
    gone, *left = sorted({*ids, 2000})
    before = balanced(all_serve(names, [gone, *left]), {})
    after = balanced(all_serve(names, left), before)
    assert moves(before, after) == {name for name, id in before.items() if id == gone}


@given(NAMES, IDS, st.data())
def test_the_choice_is_the_same_after_some_of_the_moves(
    names: frozenset[str], ids: set[int], data: st.DataObject
) -> None:
    """Sources are released one by one, when their runs end, and then are nobody's for a moment."""
    *old, new = sorted({*ids, 2000})
    before = balanced(all_serve(names, old), {})
    moving = moves(before, balanced(all_serve(names, [*old, new]), before))
    done = data.draw(st.sets(st.sampled_from(sorted(moving)))) if moving else set()
    free = data.draw(st.sets(st.sampled_from(sorted(done)))) if done else set()
    between = {name: new if name in done else id for name, id in before.items() if name not in free}
    after = balanced(all_serve(names, [*old, new]), between)
    assert {name for name in names if after[name] == new} == moving


@given(SUBSETS, CLAIMS)
def test_a_daemon_gets_only_sources_of_its_settings(sets: dict[int, frozenset[str]], claims: dict[str, int]) -> None:
    """Each source that any of them has is assigned, and no single move would make the numbers more even."""
    daemons = [Candidate(id, names) for id, names in sets.items()]
    for assigned in (balanced(daemons, claims), one_for_all(daemons, claims)):
        assert assigned.keys() == frozenset().union(*sets.values())
        assert all(name in sets[id] for name, id in assigned.items())
    assigned = balanced(daemons, claims)
    held = Counter(assigned.values())
    for name, id in assigned.items():
        assert all(held[id] - held[other] <= 1 for other in sets if name in sets[other])


@given(NAMES, IDS)
def test_one_daemon_has_all_and_one_that_wakes_up_late_takes_nothing_back(names: frozenset[str], ids: set[int]) -> None:
    """The oldest has them; while it is suspended the next one does, and keeps them."""
    oldest, *others = sorted({*ids, 2000})
    assert set(one_for_all(all_serve(names, ids | {2000}), {}).values()) <= {oldest}
    taken_over = one_for_all(all_serve(names, others), dict.fromkeys(names, oldest))
    assert set(taken_over.values()) <= {others[0]}
    assert one_for_all(all_serve(names, [oldest, *others]), taken_over) == taken_over


@pytest.mark.parametrize("number", [1, 2, 3, 7])
def test_a_thousand_sources_are_divided_quickly(number: int) -> None:
    """From one daemon that had them all."""
    names = frozenset(f"source-{n}" for n in range(1000))
    assigned = balanced(all_serve(names, range(1, number + 1)), dict.fromkeys(names, 1))
    assert max(numbers(assigned, range(1, number + 1))) == -(-1000 // number)
