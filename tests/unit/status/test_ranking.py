"""Many sources in few lines: the worst first, and how many are in each state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from versionsync.status.model import Problem, ProblemKind
from versionsync.status.ranking import HealthState, is_pattern, matches, rank, state_of, summary, summary_text

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def problems(*kinds: ProblemKind) -> list[Problem]:
    return [Problem(kind, "too bad") for kind in kinds]


@pytest.mark.parametrize("kind", list(ProblemKind))
def test_every_problem_has_a_state_that_is_not_well(kind: ProblemKind) -> None:
    assert state_of(problems(kind)) in set(HealthState) - {HealthState.WELL, HealthState.STANDBY}


def test_the_worst_problem_decides() -> None:
    assert state_of([]) is HealthState.WELL
    assert state_of([], is_standby=True) is HealthState.STANDBY
    assert state_of(problems(ProblemKind.STALE, ProblemKind.FAILING)) is HealthState.FAILING
    assert state_of(problems(ProblemKind.VIEW_BLOCKED, ProblemKind.STALE)) is HealthState.STALE
    assert state_of(problems(ProblemKind.NEVER_COMPLETE)) is HealthState.STALE


def test_the_worst_come_first_then_the_oldest_then_by_name() -> None:
    def key(state: HealthState, minutes: int | None, name: str) -> tuple[int, float, str]:
        return rank(state, None if minutes is None else NOW - timedelta(minutes=minutes), name)

    wanted = [
        key(HealthState.FAILING, None, "z"),
        key(HealthState.FAILING, 90, "y"),
        key(HealthState.FAILING, 9, "a"),
        key(HealthState.STALE, None, "c"),
        key(HealthState.STALE, 100, "b"),
        key(HealthState.WELL, 1, "a"),
        key(HealthState.WELL, 2, "b"),
        key(HealthState.STANDBY, 99, "a"),
    ]
    shuffled = wanted[::-1]
    assert sorted(shuffled) == wanted


def test_the_summary_has_all_states_and_its_words_only_those_with_sources() -> None:
    numbers = summary([HealthState.WELL] * 1200 + [HealthState.STALE, HealthState.FAILING, HealthState.ATTENTION])
    assert list(numbers) == list(HealthState)
    assert summary_text(numbers) == "1 failing, 1 stale, 1 with another problem, 1,200 well"
    assert summary_text(summary([])) == ""


def test_a_pattern_has_a_character_that_no_name_has() -> None:
    assert [is_pattern(name) for name in ("shop-1", "shop-*", "shop-?", "[ab]")] == [False, True, True, True]
    assert matches("Shop-1", ["web*", "shop-*"])
    assert not matches("shop", ["shop-*"])
