"""The rules of the pace, by property: time is an argument, so every case is a few additions."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cma.fake_limits import Fixed, Limiter, Sliding, Verdict
from versionsync.cma.rate_limit_rules import DOCUMENTED_LIMIT, GUARD_SECONDS, WINDOW_SECONDS, Pacer, Slot

LIMITS = st.integers(1, 100)
# How long a request takes to upstream's counter, and its answer back. The first is the fastest, the others vary.
SECONDS = st.floats(0.0, 2.0)
WAYS = st.builds(
    lambda fastest, more: [fastest, *((fastest[0] + there, fastest[1] + back) for there, back in more)],
    st.tuples(SECONDS, SECONDS),
    st.lists(st.tuples(SECONDS, SECONDS), max_size=40),
)
PAUSES = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.02, 0.3, 1.0, 4.0]), min_size=1, max_size=50)
CONCURRENCY = 24


@dataclass(frozen=True)
class Traffic:
    """What upstream counted: when, and what it refused."""

    arrivals: list[float]
    refused: int

    def rate(self, limit: int, *, after: float) -> float:
        """The share of the allowed rate that was used between `after` and the last arrival."""
        counted = [moment for moment in self.arrivals if moment > after]
        return len(counted) / ((self.arrivals[-1] - after) / WINDOW_SECONDS * limit)


def send_all(
    pacer: Pacer, counter: Limiter, count: int, *, ways: Sequence[tuple[float, float]], pauses: Sequence[float] = (0.0,)
) -> Traffic:
    """Send `count` requests, one after the other as soon as the pacer allows; `pauses` are times without work."""
    now, ready_at, sent = 100.0, 100.0, 0
    events: list[tuple[float, int, Slot, Verdict | None]] = []  # arrivals, and answers with what upstream said
    arrivals: list[float] = []
    refused = under_way = 0
    while sent < count or events:
        wait = pacer.wait(now) if sent < count and under_way < CONCURRENCY and now >= ready_at else math.inf
        if wait <= 0:
            slot = pacer.grant(now)
            pacer.sent(slot, now)
            heapq.heappush(events, (now + ways[sent % len(ways)][0], sent, slot, None))
            sent, under_way = sent + 1, under_way + 1
            ready_at = now + pauses[sent % len(pauses)]
            continue
        wake = max(ready_at, now + wait if math.isfinite(wait) else ready_at)
        if wake > now and (not events or wake < events[0][0]):
            now = wake
            continue
        now, number, slot, verdict = heapq.heappop(events)
        if verdict is None:
            verdict = counter.hit(now)
            if verdict.accepted:
                arrivals.append(now)
            heapq.heappush(events, (now + ways[number % len(ways)][1], number, slot, verdict))
            continue
        under_way -= 1
        pacer.answered(slot, now, limit=counter.limit, remaining=verdict.remaining)
        if not verdict.accepted:
            refused += 1
            pacer.throttled(slot, now, reset=verdict.reset)
    return Traffic(arrivals, refused)


@given(limit=LIMITS, ways=WAYS, pauses=PAUSES, counter=st.sampled_from([Sliding, Fixed]))
def test_upstream_never_has_to_refuse_a_request(
    limit: int, ways: list[tuple[float, float]], pauses: list[float], counter: Callable[[int], Limiter]
) -> None:
    """Whatever the work and the times on the way look like, in windows that slide or are fixed."""
    assert send_all(Pacer(ceiling=limit), counter(limit), limit * 4 + 7, ways=ways, pauses=pauses).refused == 0


SPREAD = [random.Random(1).uniform(0.05, 0.3) for _ in range(997)]
BEFORE = [(seconds, 0.0) for seconds in SPREAD]
AFTER = [(0.0, seconds) for seconds in SPREAD]
BOTH = [(seconds / 2, seconds / 2) for seconds in SPREAD]


@pytest.mark.parametrize(
    ("counter", "ways", "least"),
    [
        (Fixed, BEFORE, 0.99),
        (Fixed, AFTER, 0.99),
        (Fixed, BOTH, 0.99),
        (Sliding, AFTER, 0.98),
        (Sliding, BEFORE, 0.955),
        (Sliding, BOTH, 0.93),
    ],
)
def test_how_much_of_the_limit_is_used(
    counter: Callable[[], Limiter], ways: list[tuple[float, float]], least: float
) -> None:
    """Five minutes of work behind 50 to 300 ms, before or after upstream's counter, without a single 429."""
    traffic = send_all(Pacer(), counter(), 6000, ways=ways)
    assert traffic.refused == 0
    assert traffic.rate(DOCUMENTED_LIMIT, after=106.0) >= least


def test_a_little_work_leaves_at_once() -> None:
    """A third of a window waits for nothing."""
    traffic = send_all(Pacer(), Sliding(), DOCUMENTED_LIMIT // 3, ways=[(0.1, 0.1)])
    assert traffic.arrivals[-1] == traffic.arrivals[0]


def test_what_was_granted_but_has_not_left_counts_without_a_time() -> None:
    """A request that waits for its connection may arrive at any moment: nothing may take its place meanwhile."""
    pacer = Pacer(ceiling=1)
    slot = pacer.grant(100.0)
    assert pacer.wait(200.0) == float("inf")
    pacer.sent(slot, 200.0)
    assert pacer.wait(200.0) == math.inf, "and after it has left, until it is answered"
    pacer.answered(slot, 200.4)
    assert pacer.wait(200.4) == pytest.approx(WINDOW_SECONDS + GUARD_SECONDS)


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
    pacer.over(slot, 100.6)
    pacer.over(slot, 100.7)
    pacer.grant(100.7)
    assert pacer.wait(100.7) == pytest.approx(WINDOW_SECONDS + GUARD_SECONDS - 0.1)


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


def test_a_share_leaves_the_rest_to_other_processes() -> None:
    """Of what upstream announces, and never less than one request."""
    pacer = Pacer()
    pacer.share = 1 / 3
    assert (pacer.limit, pacer.budget(100.0)) == (60, 20)
    answered(pacer, 100.0, limit=2, remaining=1)
    assert pacer.budget(100.1) == 1
    for share in (0.0, -1.0, 1.5):
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            pacer.share = share


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


def test_a_small_use_that_shows_for_a_moment_counts_for_one_window() -> None:
    """It looks the same if this process stood still and read some answers late. That is common, and costs little."""
    pacer = Pacer()
    answered(pacer, 100.0, remaining=60 - 1 - 5)
    assert pacer.budget(100.2) < 60
    assert pacer.budget(102.9) < 60
    assert pacer.budget(103.2) == 60


def test_a_small_use_that_shows_again_counts_for_longer() -> None:
    """A program that is there shows in many answers."""
    pacer = Pacer()
    answered(pacer, 100.0, remaining=60 - 1 - 5)
    answered(pacer, 100.5, remaining=60 - 2 - 5)
    answered(pacer, 129.0, remaining=59)
    assert pacer.budget(129.1) < 60


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
    one, many = throttled_pacer(times=1), throttled_pacer(times=1, at_once=12)
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
    assert pace(pacer, start=102.0) == pytest.approx(3.03, abs=0.005)
    assert pace(pacer, start=700.0) == pytest.approx(3.003, abs=0.001)


def test_429s_in_a_row_slow_down_to_half_of_what_is_allowed() -> None:
    """Each doubles the guard, up to a window."""
    assert pace(throttled_pacer(times=4), start=110.0) == pytest.approx(3.24, abs=0.05)
    assert 5.5 < pace(throttled_pacer(times=20), start=121.1) <= 6.01


def throttled_pacer(*, times: int, at_once: int = 1) -> Pacer:
    """One that met `times` 429s, each after the wait for the one before; `at_once` requests got each of them."""
    pacer, now = Pacer(), 100.0
    for _ in range(times):
        slots = [pacer.grant(now) for _ in range(at_once)]
        for slot in slots:
            pacer.sent(slot, now)
        for slot in slots:
            pacer.over(slot, now)
            pacer.throttled(slot, now, reset=1.0)
        now += pacer.blocked(now)
    return pacer


def pace(pacer: Pacer, *, start: float) -> float:
    """Seconds for as many requests as the limit has, if there is always work and answers take no time."""
    now, left = start, []
    for _ in range(2 * DOCUMENTED_LIMIT + 1):
        while (wait := pacer.wait(now)) > 0:
            now += wait
        slot = pacer.grant(now)
        pacer.sent(slot, now)
        pacer.over(slot, now)
        left.append(now)
    return left[-1] - left[-1 - DOCUMENTED_LIMIT]


def test_a_rate_limit_below_one_is_refused() -> None:
    """Zero requests is not a pace."""
    with pytest.raises(ValueError, match="at least 1"):
        Pacer(ceiling=0)
