"""What the benchmark of several daemons concludes from what it saw."""

from __future__ import annotations

from benchmarks.fleet.observations import (
    Sample,
    Span,
    ended_by_kill,
    held_at,
    longest_pause,
    overlapping,
    settled_after,
)


def test_work_is_divided_once_every_source_is_held_and_no_daemon_has_too_many() -> None:
    """Ten sources, three daemons: the share is four, and five are allowed."""
    assert Sample(0, {1: 5, 2: 5, 3: 0}).is_settled(sources=10, daemons=3)
    assert not Sample(0, {1: 6, 2: 4, 3: 0}).is_settled(sources=10, daemons=3)
    assert not Sample(0, {1: 4, 2: 3, 3: 2}).is_settled(sources=10, daemons=3)
    assert not Sample(0, {}).is_settled(sources=10, daemons=3)


def test_only_a_division_that_lasts_counts() -> None:
    """It was divided before the change, came apart, was divided for a moment, and then for good."""
    divided, not_divided = {1: 2, 2: 2}, {1: 4, 2: 0}
    samples = [
        Sample(at, held)
        for at, held in enumerate((divided, divided, not_divided, divided, not_divided, divided, divided))
    ]
    assert settled_after(samples, 2, sources=4, daemons=2) == 3
    assert settled_after(samples[:5], 2, sources=4, daemons=2) is None
    assert settled_after([], 2, sources=4, daemons=2) is None


def test_the_last_sample_until_a_time_says_who_held_what() -> None:
    samples = [Sample(1, {1: 4}), Sample(2, {1: 2})]
    assert held_at(samples, 1.5) == {1: 4}
    assert held_at(samples, 3) == {1: 2}
    assert held_at(samples, 0.5) is None


def test_a_pause_counts_if_it_ends_within_the_time_or_has_not_ended() -> None:
    """Of source 1 the pause of 7 s ended before; of source 2 the last run was 9 s ago."""
    runs = [_span(1, 0), _span(1, 7), _span(1, 12), _span(1, 18), _span(2, 5), _span(2, 11)]
    assert longest_pause(runs, 10, 20) == 9
    assert longest_pause(runs, 6, 20) == 9
    assert longest_pause(runs, 6, 14) == 7
    assert longest_pause([], 10, 20) is None


def test_spans_of_two_daemons_overlap_only_within_a_source() -> None:
    spans = [
        Span(1, 1, 0, 10),
        Span(1, 1, 2, 3),  # of the same daemon
        Span(2, 2, 2, 3),  # of another source
        Span(1, 2, 5, 6),  # beside the first
        Span(1, 3, 10, 11),  # after it
    ]
    assert overlapping(spans) == 1
    assert overlapping(reversed(spans)) == 1
    assert overlapping(spans, since=6) == 0


def test_a_run_of_a_killed_process_ends_with_it() -> None:
    """The next holder of the source finds it and records a later end: it did not run until then."""
    runs = [Span(1, 100, 0, 30), Span(1, 200, 20, 25)]
    assert overlapping(runs) == 1
    assert overlapping(ended_by_kill(runs, {100: 5.0})) == 0


def _span(source: int, began: float) -> Span:
    return Span(source, 1, began, began + 1)
