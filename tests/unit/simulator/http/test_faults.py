"""Choosing faults: at random from a seed, or at a certain request."""

from collections import Counter

from versionsync.simulator import FaultKind, Faults, World
from versionsync.simulator.http.faults import Fault


def test_nothing_goes_wrong_unless_it_is_told_to() -> None:
    assert [Faults().choose("GET", "/items") for _ in range(100)] == [None] * 100


def test_rates_are_kept_and_a_seed_decides() -> None:
    rates = {FaultKind.INTERNAL_ERROR: 0.1, FaultKind.RESET: 0.3}
    one, two = Faults(seed=5, rates=dict(rates)), Faults(seed=5, rates=dict(rates))
    chosen = [one.choose("GET", "/items") for _ in range(4000)]
    assert chosen == [two.choose("GET", "/items") for _ in range(4000)]
    counts = Counter(fault.kind for fault in chosen if fault)
    assert 320 < counts[FaultKind.INTERNAL_ERROR] < 480
    assert 1080 < counts[FaultKind.RESET] < 1320
    assert one.injected == counts


def test_random_faults_can_be_kept_to_some_requests() -> None:
    faults = Faults(rates={FaultKind.RESET: 1.0}, path="/versions")
    assert faults.choose("GET", "/items?page[limit]=30") is None
    assert faults.choose("GET", "/items/x/versions") == Fault(FaultKind.RESET)


def test_a_planted_fault_hits_the_nth_matching_request_and_so_many_in_a_row() -> None:
    faults = Faults()
    faults.plant(FaultKind.THROTTLED, path=r"^/items\?", method="GET", nth=2, times=2)
    hits = [
        faults.choose(method, path) is not None
        for method, path in [
            ("GET", "/items?a"),
            ("POST", "/items?a"),
            ("GET", "/site"),
            ("GET", "/items?b"),
            ("GET", "/items?c"),
            ("GET", "/items?d"),
        ]
    ]
    assert hits == [False, False, False, True, True, False]


def test_two_faults_planted_at_one_request_hit_it_once_and_the_first_counts() -> None:
    faults = Faults()
    faults.plant(FaultKind.SLOW, seconds=0.5)
    faults.plant(FaultKind.RESET)
    assert faults.choose("GET", "/") == Fault(FaultKind.SLOW, 0.5)
    assert faults.choose("GET", "/") is None


def test_acts_between_requests_come_once() -> None:
    faults, world = Faults(), World()
    faults.run_after(lambda world: world.tick(), path="page", nth=2)
    assert [len(faults.acts_after("GET", "/items?page")) for _ in range(3)] == [0, 1, 0]
    assert world.now()


def test_clearing_stops_everything() -> None:
    faults = Faults(rates={FaultKind.RESET: 1.0}, vanished_share=0.5)
    faults.plant(FaultKind.STALL)
    faults.clear()
    assert faults.choose("GET", "/") is None
    assert faults.vanished_share == 0.0


def test_a_stale_answer_is_one_from_before_the_last_change() -> None:
    faults = Faults()
    faults.plant(FaultKind.STALE, nth=100)
    for body in (b"one", b"two", b"two"):
        faults.remember("/items", "/items?a", body)
    assert faults.stale("/items?a") == b"one"
    assert faults.stale("/items?b") is None
    assert faults.last_page("/items") == b"two"


def test_answers_are_not_kept_when_no_fault_shows_them() -> None:
    faults = Faults(rates={FaultKind.RESET: 0.1})
    faults.remember("/items", "/items?a", b"one")
    assert faults.last_page("/items") is None
