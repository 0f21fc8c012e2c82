"""What hangs is told by what does not get done."""

from __future__ import annotations

from versionsync.daemon.watchdog import Activity, Liveness


def run(mark: object | None) -> list[Activity]:
    """A run that may stand still for ten seconds."""
    return [Activity("website:run", mark, 10.0)]


def test_what_gets_on_does_not_hang() -> None:
    liveness = Liveness()
    assert not any(liveness.hanging(run(second), float(second)) for second in range(0, 100, 9))


def test_what_stands_still_for_longer_than_it_may_hangs_until_it_gets_on() -> None:
    liveness = Liveness()
    assert liveness.hanging(run("reading"), 0) == []
    assert liveness.hanging(run("reading"), 10) == []
    assert liveness.hanging(run("reading"), 11) == ["website:run"]
    assert liveness.hanging(run("writing"), 12) == []


def test_what_rests_does_not_hang_and_begins_anew() -> None:
    liveness = Liveness()
    liveness.hanging(run("reading"), 0)
    assert liveness.hanging(run(None), 50) == []
    assert liveness.hanging(run("reading"), 100) == []
    assert liveness.hanging(run("reading"), 111) == ["website:run"]


def test_one_that_hangs_is_not_hidden_by_others_that_get_on() -> None:
    liveness = Liveness()
    for second in range(0, 13, 3):
        hanging = liveness.hanging([Activity("a", "still", 10.0), Activity("b", second, 10.0)], float(second))
    assert hanging == ["a"]
