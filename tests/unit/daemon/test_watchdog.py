"""What hangs is told by what does not get done."""

from __future__ import annotations

from versionsync.daemon.watchdog import Activity, Watchdog


def run(mark: object | None) -> list[Activity]:
    """A run that may stand still for ten seconds."""
    return [Activity("website:run", mark, 10.0)]


def test_what_gets_on_does_not_hang() -> None:
    liveness = Watchdog()
    assert not any(liveness.stuck(run(second), float(second)) for second in range(0, 100, 9))


def test_what_stands_still_for_longer_than_it_may_hangs_until_it_gets_on() -> None:
    liveness = Watchdog()
    assert liveness.stuck(run("reading"), 0) == []
    assert liveness.stuck(run("reading"), 10) == []
    assert liveness.stuck(run("reading"), 11) == ["website:run"]
    assert liveness.stuck(run("writing"), 12) == []


def test_what_rests_does_not_hang_and_begins_anew() -> None:
    liveness = Watchdog()
    liveness.stuck(run("reading"), 0)
    assert liveness.stuck(run(None), 50) == []
    assert liveness.stuck(run("reading"), 100) == []
    assert liveness.stuck(run("reading"), 111) == ["website:run"]


def test_one_that_hangs_is_not_hidden_by_others_that_get_on() -> None:
    liveness = Watchdog()
    for second in range(0, 13, 3):
        hanging = liveness.stuck([Activity("a", "still", 10.0), Activity("b", second, 10.0)], float(second))
    assert hanging == ["a"]
