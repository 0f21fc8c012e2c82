"""The rules of the pace, by property: time is an argument, so every case is a few additions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.cma.pacing import DOCUMENTED_LIMIT, GUARD_SECONDS, WINDOW_SECONDS, Pacer, Slot

LIMITS = st.integers(1, 200)
# How long after leaving a request arrives: any fixed time, and a jitter of less than the guard.
WAY = st.floats(0.0, 2.0)
JITTERS = st.lists(st.floats(0.0, GUARD_SECONDS * 0.999), min_size=1, max_size=50)
PAUSES = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.02, 0.3, 1.0, 4.0]), min_size=1, max_size=50)


def send_all(pacer: Pacer, count: int, *, pauses: list[float], start: float = 100.0) -> list[float]:
    """Return when `count` requests leave if one always waits, except in the pauses."""
    now, left = start, []
    for number in range(count):
        now += pauses[number % len(pauses)]
        while (wait := pacer.wait(now)) > 0:
            now += wait
        slot = pacer.grant(now)
        pacer.sent(slot, now)
        left.append(now)
    return left


def most_in_a_window(arrivals: list[float]) -> int:
    arrivals = sorted(arrivals)
    first, most = 0, 0
    for last, moment in enumerate(arrivals):
        while arrivals[first] <= moment - WINDOW_SECONDS:
            first += 1
        most = max(most, last - first + 1)
    return most


@given(limit=LIMITS, way=WAY, jitters=JITTERS, pauses=PAUSES)
def test_no_three_seconds_at_upstream_hold_more_than_the_limit(
    limit: int, way: float, jitters: list[float], pauses: list[float]
) -> None:
    """Whatever the work and the way look like, as long as the way varies by less than the guard."""
    pacer = Pacer(ceiling=limit)
    left = send_all(pacer, limit * 4 + 7, pauses=pauses)
    arrivals = [moment + way + jitters[number % len(jitters)] for number, moment in enumerate(left)]
    # Floats: an arrival exactly 3 s after another may round to just below.
    assert most_in_a_window([round(moment, 9) for moment in arrivals]) <= limit


@given(limit=LIMITS)
def test_when_there_is_work_at_least_98_percent_is_used(limit: int) -> None:
    """Counted from the second window on, so that the first, which is free, does not flatter."""
    windows = 20
    left = send_all(Pacer(ceiling=limit), limit * windows + 1, pauses=[0.0])
    seconds = left[-1] - left[0]
    assert limit * windows / (seconds / WINDOW_SECONDS) >= 0.98 * limit


def test_a_little_work_leaves_at_once() -> None:
    """A third of a window waits for nothing."""
    left = send_all(Pacer(), DOCUMENTED_LIMIT // 3, pauses=[0.0])
    assert left[-1] == left[0]


def test_what_was_granted_but_has_not_left_counts_without_a_time() -> None:
    """A request that waits for its connection may arrive at any moment: nothing may take its place meanwhile."""
    pacer = Pacer(ceiling=1)
    slot = pacer.grant(100.0)
    assert pacer.wait(200.0) == float("inf")
    pacer.sent(slot, 200.0)
    assert pacer.wait(200.0) == pytest.approx(WINDOW_SECONDS + GUARD_SECONDS)


def test_what_never_left_costs_nothing() -> None:
    """A refused connection gives its place back."""
    pacer = Pacer(ceiling=1)
    slot = pacer.grant(100.0)
    pacer.unsent(slot)
    pacer.sent(slot, 100.0)
    assert pacer.wait(100.0) == 0.0


def test_sending_twice_counts_once() -> None:
    """The transport and the end of the slot both say so."""
    pacer = Pacer(ceiling=2)
    slot = pacer.grant(100.0)
    pacer.sent(slot, 100.0)
    pacer.sent(slot, 100.5)
    assert pacer.budget(100.5) == 2
    pacer.grant(100.5)
    assert 0 < pacer.wait(100.5) < float("inf")


def answered(pacer: Pacer, now: float, *, remaining: int, limit: int = 60) -> Slot:
    slot = pacer.grant(now)
    pacer.sent(slot, now)
    pacer.answered(slot, now + 0.1, limit=limit, remaining=remaining)
    return slot


def test_the_announced_limit_is_followed_up_and_down() -> None:
    """60 is only where it starts."""
    pacer = Pacer()
    assert pacer.limit == DOCUMENTED_LIMIT
    answered(pacer, 100.0, limit=300, remaining=299)
    assert (pacer.limit, pacer.budget(100.1)) == (300, 300)
    answered(pacer, 101.0, limit=20, remaining=18)
    assert (pacer.limit, pacer.budget(101.1)) == (20, 20)


def test_a_ceiling_never_raises_what_upstream_announces() -> None:
    """Invariant 12 holds whatever the settings say."""
    pacer = Pacer(ceiling=100)
    answered(pacer, 100.0, limit=60, remaining=59)
    assert pacer.limit == 60
    answered(pacer, 104.0, limit=500, remaining=499)
    assert pacer.limit == 100


@pytest.mark.parametrize("limit", [0, -5, 10_000_000])
def test_an_absurd_limit_is_not_followed(limit: int) -> None:
    """A broken header must neither stop us nor let us loose."""
    pacer = Pacer()
    answered(pacer, 100.0, limit=limit, remaining=10)
    assert pacer.limit == DOCUMENTED_LIMIT


def test_it_gives_way_to_other_programs_and_takes_it_back() -> None:
    """30 of 60 are used by somebody else: we ask for less than the rest, until they have been gone for a while."""
    pacer = Pacer()
    answered(pacer, 100.0, remaining=60 - 1 - 30)
    assert 10 <= pacer.budget(100.2) <= 30
    answered(pacer, 103.2, remaining=59)
    assert pacer.budget(103.3) <= 30
    answered(pacer, 129.0, remaining=59)
    assert pacer.budget(129.1) <= 30
    answered(pacer, 131.0, remaining=59)
    assert pacer.budget(131.1) == 60


def test_others_never_starve_us() -> None:
    """However busy they are, a tenth is asked for."""
    pacer = Pacer()
    answered(pacer, 100.0, remaining=0)
    assert pacer.budget(100.2) == 6


@given(st.lists(st.floats(0.0, 0.05), min_size=120, max_size=120))
def test_alone_we_do_not_mistake_ourselves_for_others(pauses: list[float]) -> None:
    """What upstream has left is explained by our own requests, in flight ones included: the budget stays whole."""
    pacer, now = Pacer(), 100.0
    sent: list[tuple[Slot, float]] = []
    for pause in pauses:
        now += pause
        while (wait := pacer.wait(now)) > 0:
            now += wait
        slot = pacer.grant(now)
        pacer.sent(slot, now)
        sent.append((slot, now))
        if len(sent) >= 8:  # the answer comes seven requests later
            earlier, left_at = sent[-8]
            arrived = [moment for _, moment in sent if left_at - WINDOW_SECONDS < moment <= left_at]
            pacer.answered(earlier, now, limit=60, remaining=60 - len(arrived))
    assert pacer.budget(now) == 60


def test_a_429_holds_everybody_until_the_reset() -> None:
    """Not only the one who got it."""
    pacer = Pacer()
    slot = pacer.grant(100.0)
    pacer.sent(slot, 100.0)
    pacer.throttled(slot, 100.1, reset=2.0)
    assert pacer.wait(100.1) >= 2.0
    assert pacer.wait(102.0) > 0.0
    assert pacer.wait(102.2) == 0.0


def test_429s_of_one_moment_are_one_episode() -> None:
    """Twelve requests under way all get one; that is one reason to slow down, not twelve."""
    one, many = Pacer(), Pacer()
    for pacer, count in ((one, 1), (many, 12)):
        slots = [pacer.grant(100.0) for _ in range(count)]
        for slot in slots:
            pacer.sent(slot, 100.0)
        for slot in slots:
            pacer.throttled(slot, 100.1, reset=1.0)
    assert many.blocked(100.1) == one.blocked(100.1)
    assert pace(many, start=102.0) == pytest.approx(pace(one, start=102.0), abs=0.02)


def test_429s_without_a_reset_wait_longer_each_time_up_to_a_cap() -> None:
    """1, 2, 4 … seconds, never more than half a minute."""
    pacer, now, waits = Pacer(), 100.0, []
    for _ in range(12):
        slot = pacer.grant(now)
        pacer.sent(slot, now)
        waits.append(pacer.throttled(slot, now, reset=None) - GUARD_SECONDS)
        now += waits[-1] + 1.0
    assert waits[:4] == pytest.approx([1, 2, 4, 8])
    assert max(waits) == pytest.approx(30)


def test_after_a_429_the_pace_recovers() -> None:
    """Slower for some minutes, then as before."""
    pacer = throttled_pacer(times=1)
    assert pace(pacer, start=102.0) == pytest.approx(3.1, abs=0.01)
    assert pace(pacer, start=700.0) == pytest.approx(3.05, abs=0.001)


def test_429s_in_a_row_slow_down_to_half_of_what_is_allowed() -> None:
    """Each doubles the guard, up to a window."""
    assert pace(throttled_pacer(times=3), start=110.0) == pytest.approx(3.4, abs=0.05)
    assert 5.5 < pace(throttled_pacer(times=20), start=121.1) <= 6.0


def throttled_pacer(*, times: int) -> Pacer:
    """Return a pacer after a number of 429s, each after the wait for the previous one."""
    pacer, now = Pacer(), 100.0
    for _ in range(times):
        slot = pacer.grant(now)
        pacer.sent(slot, now)
        now += pacer.throttled(slot, now, reset=1.0)
    return pacer


def pace(pacer: Pacer, *, start: float) -> float:
    """Seconds for as many requests as the limit has, when there is always work."""
    left = send_all(pacer, 2 * DOCUMENTED_LIMIT + 1, pauses=[0.0], start=start)
    return left[-1] - left[-1 - DOCUMENTED_LIMIT]


def test_a_rate_limit_below_one_is_refused() -> None:
    """Zero requests is not a pace."""
    with pytest.raises(ValueError, match="at least 1"):
        Pacer(ceiling=0)
