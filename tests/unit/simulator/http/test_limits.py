"""The rate limit, as the vendor's examples describe it."""

import pytest

from versionsync.simulator import RateLimit


class Watch:
    """A clock of seconds that stands still."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("windows", ["sliding", "fixed"])
def test_of_80_at_once_the_last_20_are_refused_and_may_come_back(windows: str) -> None:
    watch = Watch()
    limit = RateLimit(windows=windows, monotonic=watch)  # type: ignore[arg-type]
    allowances = [limit.take("a") for _ in range(80)]
    assert [one.is_refused for one in allowances] == [False] * 60 + [True] * 20
    assert [one.remaining for one in allowances[:60]] == list(range(59, -1, -1))
    reset = allowances[-1].reset_seconds
    assert reset is not None
    assert 1 <= reset <= 3
    watch.now += reset
    assert not any(limit.take("a").is_refused for _ in range(20))
    assert limit.refused == 20


def test_twenty_a_second_go_on_for_ever() -> None:
    watch = Watch()
    limit = RateLimit(monotonic=watch)
    for _ in range(20):
        assert not any(limit.take("a").is_refused for _ in range(20))
        watch.now += 1


def test_a_sliding_window_refuses_what_a_fixed_one_lets_pass() -> None:
    watch = Watch()
    watch.now = 102.0 - 0.1  # windows of 3 s begin at 99 and at 102
    sliding, fixed = RateLimit(monotonic=watch), RateLimit(windows="fixed", monotonic=watch)
    for limit in (sliding, fixed):
        for _ in range(60):
            assert not limit.take("a").is_refused
    watch.now = 102.0
    assert sliding.take("a").is_refused
    assert not fixed.take("a").is_refused


def test_tokens_are_counted_apart_unless_the_project_is() -> None:
    watch = Watch()
    apart, together = RateLimit(1, monotonic=watch), RateLimit(1, scope="project", monotonic=watch)
    assert [apart.take(token).is_refused for token in "ab"] == [False, False]
    assert [together.take(token).is_refused for token in "ab"] == [False, True]


def test_another_program_leaves_less() -> None:
    watch = Watch()
    limit = RateLimit(10, monotonic=watch)
    limit.reserve(9)
    assert limit.take("a").remaining == 0
    assert limit.take("a").headers() == {
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "3",
    }
