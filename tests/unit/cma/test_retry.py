"""What is asked again and when, by table and by property."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.cma.retry import Failure, Kind, Policy, backoff

NOT_SENT = {Kind.DNS, Kind.REFUSED, Kind.CONNECT_TIMEOUT, Kind.PROXY}
MENDS = {Kind.TIMEOUT, Kind.RESET, Kind.TORN, Kind.NOT_JSON, Kind.SERVER, Kind.TRANSIENT, Kind.THROTTLED} | NOT_SENT


def wait(kind: Kind, *, method: str = "GET", tries: int = 1, **more: object) -> float | None:
    arguments = {"elapsed": 0.0, "random": random.Random(1)} | more
    return Policy().wait(Failure(kind, "x"), method=method, tries=tries, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", list(Kind))
def test_a_read_is_asked_again_whenever_that_can_help(kind: Kind) -> None:
    """Certificates, too large answers and maintenance do not change within minutes; everything else may."""
    assert (wait(kind) is not None) == (kind in MENDS)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_write_is_asked_again_only_if_it_cannot_have_happened(kind: Kind, method: str) -> None:
    """Never sent, or refused for the rate: nothing else."""
    assert (wait(kind, method=method) is not None) == (kind in NOT_SENT | {Kind.THROTTLED})


@given(kind=st.sampled_from(list(Kind)), method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]))
def test_what_is_asked_again_as_a_write_certainly_did_not_happen(kind: Kind, method: str) -> None:
    """The two judgements of the module agree."""
    if method != "GET" and wait(kind, method=method) is not None:
        assert not Failure(kind, "x").may_have_happened


@given(
    kind=st.sampled_from(list(Kind)),
    tries=st.integers(1, 10_000),
    elapsed=st.floats(0, 1e6),
    after=st.none() | st.floats(0, 1e6),
    deadline=st.floats(1, 1000),
)
def test_no_wait_passes_the_deadline(
    kind: Kind, tries: int, elapsed: float, after: float | None, deadline: float
) -> None:
    """Whatever upstream asks for and however often it failed."""
    waited = Policy(deadline=deadline).wait(
        Failure(kind, "x", after), method="GET", tries=tries, elapsed=elapsed, random=random.Random(tries)
    )
    assert waited is None or (waited >= 0 and elapsed + waited < deadline)


@given(tries=st.integers(1, 10_000), seed=st.integers())
def test_every_wait_is_capped_and_jittered(tries: int, seed: int) -> None:
    """A half second to twenty seconds, never 9e116 ms."""
    assert 0.25 <= backoff(tries, random=random.Random(seed)) <= 20.0


def test_waits_grow() -> None:
    """Even with the worst luck of the jitter, three tries later it is more."""
    assert backoff(4, random=random.Random(1)) > backoff(1, random=random.Random(2))


class Longest(random.Random):
    """A jitter that takes nothing away."""

    def random(self) -> float:
        return 1.0


def test_waits_double_from_the_first_until_the_most() -> None:
    """Half a second, one, two, …, and never more than 20."""
    waits = [backoff(tries, random=Longest()) for tries in range(1, 9)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]


def test_retry_after_is_honoured() -> None:
    """Upstream knows better than our doubling."""
    waited = Policy().wait(
        Failure(Kind.SERVER, "x", retry_after=42.0), method="GET", tries=1, elapsed=0.0, random=random.Random(1)
    )
    assert waited == 42.0


def test_a_429_waits_in_the_rate_limiter_and_not_here() -> None:
    """Otherwise the request that got the 429 would wait twice."""
    assert wait(Kind.THROTTLED) == 0.0


def test_a_wrong_address_is_told_within_three_tries() -> None:
    """Who typed it wants to know now; once upstream answered, the same failure is an outage and is waited for."""
    assert wait(Kind.DNS, tries=2, answered_before=False) is not None
    assert wait(Kind.DNS, tries=3, answered_before=False) is None
    assert wait(Kind.DNS, tries=30, answered_before=True) is not None


def test_who_always_hangs_up_is_told_within_three_tries() -> None:
    """As a port does that expects TLS and is spoken to without; a server that restarts is waited for."""
    assert wait(Kind.RESET, tries=2, answered_before=False) is not None
    assert wait(Kind.RESET, tries=3, answered_before=False) is None
    assert wait(Kind.RESET, tries=30, answered_before=True) is not None


def test_timeouts_are_counted() -> None:
    """A page that times out again and again is asked for smaller instead."""
    assert wait(Kind.TIMEOUT, tries=1, max_timeouts=2) is not None
    assert wait(Kind.TIMEOUT, tries=2, max_timeouts=2) is None
    assert wait(Kind.TIMEOUT, tries=5) is None
