"""The queue of runs: so many at once, none left out, and room beside the long ones."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.daemon.run_queue import LONG_SECONDS, Places, RunQueue, Turn

SOURCES = st.sampled_from("abcdefgh")
WISHES = st.lists(st.tuples(SOURCES, st.booleans()), min_size=1, max_size=40)
"""Who wants to run, and whether it takes long."""
STEPS = st.lists(st.integers(0, 1_000_000), max_size=200)
"""What happens next: a turn joins, one that runs ends, or one that waits gives up."""


def check(places: Places) -> None:
    """Assert what is true at any time."""
    running = places.running
    assert len(running) <= places.number
    assert len({turn.source for turn in running}) == len(running)
    assert sum(turn.is_long for turn in running) <= places.most_long
    long_fit = sum(turn.is_long for turn in running) < places.most_long
    busy = {turn.source for turn in running}
    could_run = [turn for turn in places.waiting if turn.source not in busy and (long_fit or not turn.is_long)]
    assert not could_run or len(running) == places.number, "a place is empty, and one that may have it waits"


@given(number=st.integers(1, 6), wishes=WISHES, steps=STEPS)
def test_no_place_is_given_twice_or_left_empty(
    number: int, wishes: Sequence[tuple[str, bool]], steps: list[int]
) -> None:
    """Whatever happens in which order. In the end each that did not give up has run."""
    places, joined, began, gave_up = Places(number), list[Turn](), set[Turn](), set[Turn]()
    left = list(wishes)
    while left or places.running or places.waiting:
        step = steps.pop() if steps else 1
        if left and (step % 3 == 0 or not (places.running or places.waiting)):
            joined.append(Turn(*left.pop(0)))
            began.update(places.join(joined[-1], 0.0))
        elif places.running and step % 3 == 1:
            began.update(places.leave(places.running[step % len(places.running)], 0.0))
        elif places.waiting and step % 3 == 2:
            quitter = places.waiting[step % len(places.waiting)]
            gave_up.add(quitter)
            began.update(places.leave(quitter, 0.0))
        elif left:
            joined.append(Turn(*left.pop(0)))
            began.update(places.join(joined[-1], 0.0))
        check(places)
    assert began | gave_up == set(joined)
    assert not began & gave_up


@given(number=st.integers(1, 6), rounds=st.integers(1, 20), others=st.integers(1, 20))
def test_no_source_starves(number: int, rounds: int, others: int) -> None:
    """Others that want to run again at once do not overtake one that waits, be it long or short."""
    for is_long in (False, True):
        places = Places(number)
        for other in range(others + number):
            places.join(Turn(f"other {other}", other % 2 == 0), 0.0)
        ahead = len(places.waiting)
        mine = Turn("mine", is_long)
        places.join(mine, 0.0)
        for _ in range(2 * (ahead + number) + rounds):
            if mine.began_at is not None:
                break
            ended = places.running[0]
            places.leave(ended, 0.0)
            places.join(Turn(ended.source, ended.is_long), 0.0)
        assert mine.began_at is not None


def test_checks_go_on_while_first_syncs_wait() -> None:
    places = Places(4)
    long = [Turn(f"new {number}", is_long=True) for number in range(10)]
    for turn in long:
        places.join(turn, 0.0)
    assert places.running == long[:2]
    check_of_known = Turn("known", is_long=False)
    assert places.join(check_of_known, 0.0) == [check_of_known]


def test_a_check_does_not_wait_behind_a_scrub_of_its_source_that_waits() -> None:
    places = Places(2)
    places.join(Turn("new", is_long=True), 0.0)
    scrub, check_of_it = Turn("known", is_long=True), Turn("known", is_long=False)
    assert places.join(scrub, 0.0) == []
    assert places.join(check_of_it, 0.0) == [check_of_it]


def test_a_check_that_lasts_counts_as_long() -> None:
    """Such as one that finds ten thousand new records: no first sync begins beside many of them."""
    places = Places(4)
    for number in range(2):
        places.join(Turn(f"changed {number}", is_long=False), 0.0)
    assert places.join(Turn("new", is_long=True), LONG_SECONDS + 1) == []
    assert len(places.join(Turn("known", is_long=False), LONG_SECONDS + 1)) == 1


async def test_a_run_that_ends_lets_the_next_one_begin() -> None:
    """In the order in which they came, and never more than there are places."""
    queue, order, most = RunQueue(2), list[int](), 0

    async def run(number: int) -> None:
        nonlocal most
        async with queue.turn(f"source {number}", is_long=False):
            order.append(number)
            most = max(most, len(queue.places.running))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(run(number))
    assert order == list(range(20))
    assert most == 2
    assert not queue.places.running


@pytest.mark.parametrize("is_late", [False, True])
async def test_one_that_is_cancelled_keeps_no_place(is_late: bool) -> None:
    """Nor if it is cancelled at the moment at which it would have begun."""
    queue, release = RunQueue(1), asyncio.Event()

    async def run(source: str) -> None:
        async with queue.turn(source, is_long=False):
            await release.wait()

    first, second = asyncio.create_task(run("first")), asyncio.create_task(run("second"))
    await asyncio.sleep(0)
    if is_late:
        (turn,) = queue.places.running
        release.set()
        for _ in range(10):
            if queue.places.running != [turn]:
                break
            await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    release.set()
    await first
    async with asyncio.timeout(5), queue.turn("third", is_long=True):
        pass
