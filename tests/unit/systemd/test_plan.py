"""A plan shows every step before it is executed, and loses no change made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from versionsync.systemd.plan import (
    Activity,
    Command,
    Files,
    FileState,
    Installation,
    Mode,
    Paths,
    Plan,
    Remove,
    Write,
    file_state,
    files_of,
    removal,
    with_checksum,
    without_checksum,
)
from versionsync.systemd.units import DEFAULT_PROGRAM, UnitOptions, units_of

PATHS = Paths(units=Path("/u"), settings=Path("/etc/versionsync"), state=Path("/s"))
UNIT, SOCKET = Path("/u/versionsync.service"), Path("/u/versionsync.socket")
DROP_IN = Path("/u/versionsync.service.d/credentials.conf")
TOKEN = Path("/etc/versionsync/api_token")

Disk = dict[Path, str]


def installation(options: UnitOptions, *credentials: Path, program: PurePosixPath = DEFAULT_PROGRAM) -> Installation:
    """One whose settings name these secrets; none: the token where the unit expects it."""
    named = credentials or (PATHS.settings / options.credential,)
    return Installation(options=options, program=program, paths=PATHS, credentials=named, version="1.0")


def planned(
    what: Installation,
    disk: Disk,
    *,
    force: bool = False,
    at: Activity = Activity.STOPPED,
    enabled: bool = False,
    mode: int = 0o644,
) -> Plan:
    """What installing would do to such a disk."""
    files = files_of(what, disk.get)
    return what.plan(files, force=force, activity=at, enabled=enabled, settings_mode=mode)


def done(plan: Plan, disk: Disk) -> Disk:
    """The disk afterwards."""
    disk = dict(disk)
    for step in plan.steps:
        match step:
            case Write():
                disk[step.path] = step.text
            case Remove():
                disk.pop(step.path, None)
    return disk


def commands(plan: Plan) -> list[str]:
    """The calls of systemctl."""
    return [" ".join(step.argv) for step in plan.steps if isinstance(step, Command)]


def paths(plan: Plan, kind: type[Write | Remove]) -> set[Path]:
    """The files that are written, or removed."""
    return {step.path for step in plan.steps if isinstance(step, kind)}


def installed(options: UnitOptions = UnitOptions()) -> Disk:  # noqa: B008 - a value
    """A disk after an installation."""
    return done(planned(installation(options), {}), {})


def test_a_first_installation_writes_enables_and_starts() -> None:
    """The socket before the service, or the service would have taken the port."""
    plan = planned(installation(UnitOptions()), {})
    assert paths(plan, Write) == {UNIT, SOCKET}
    assert commands(plan) == [
        "daemon-reload",
        "enable versionsync.socket versionsync.service",
        "start versionsync.socket",
        "start --no-block versionsync.service",
    ]


def test_a_timer_is_enabled_and_not_its_service() -> None:
    """The first sync begins at once."""
    plan = planned(installation(UnitOptions(timer=True)), {})
    assert "enable versionsync-sync.timer" in commands(plan)
    assert commands(plan)[-1] == "start --no-block versionsync-sync.service"


def test_an_instance_has_the_template_and_its_own_name() -> None:
    plan = planned(installation(UnitOptions(instance="shop")), {})
    assert paths(plan, Write) == {Path("/u/versionsync@.service")}
    assert "enable versionsync@shop.service" in commands(plan)


def test_one_that_runs_as_it_should_is_left_alone() -> None:
    assert planned(installation(UnitOptions()), installed(), at=Activity.RUNNING, enabled=True).steps == ()


@pytest.mark.parametrize(("at", "enabled"), [(Activity.STOPPED, True), (Activity.RUNNING, False)])
def test_one_that_does_not_run_is_started_without_writing(at: Activity, enabled: bool) -> None:
    plan = planned(installation(UnitOptions()), installed(), at=at, enabled=enabled)
    assert paths(plan, Write) == set()
    assert "daemon-reload" not in commands(plan)
    assert commands(plan)[-1] == "start --no-block versionsync.service"


def test_one_that_fails_is_started_afresh() -> None:
    """Also where systemd has given it up."""
    plan = planned(installation(UnitOptions()), installed(), at=Activity.FAILING, enabled=True)
    assert commands(plan)[1:3] == [
        "stop versionsync.socket versionsync.service",
        "reset-failed versionsync.socket versionsync.service",
    ]


def test_another_version_is_written_over_and_restarted() -> None:
    """Both are stopped first: a socket cannot be started while its service runs without it."""
    moved = installation(UnitOptions(), program=PurePosixPath("/opt/new/versionsync"))
    plan = planned(moved, installed(), at=Activity.RUNNING, enabled=True)
    assert paths(plan, Write) == {UNIT}
    assert "stop versionsync.socket versionsync.service" in commands(plan)
    assert any("+ExecStart=/opt/new/versionsync" in line for line in plan.lines())
    assert any("-ExecStart=/opt/versionsync/bin/versionsync" in line for line in plan.lines())


@pytest.mark.parametrize(
    "text", [installed()[UNIT].replace("WatchdogSec=60", "WatchdogSec=6"), "", "[Service]\nExecStart=/bin/other\n"]
)
def test_what_was_changed_by_hand_is_in_the_way(text: str) -> None:
    """An edit, a masked unit, another program's unit: the plan shows the difference, and only force overwrites it."""
    disk = installed() | {UNIT: text}
    plan = planned(installation(UnitOptions()), disk, at=Activity.RUNNING, enabled=True)
    assert [write.path for write in plan.conflicts] == [UNIT]
    assert any(line.startswith("+") for line in plan.conflicts[0].differences())
    forced = planned(installation(UnitOptions()), disk, force=True, at=Activity.RUNNING, enabled=True)
    assert forced.conflicts == ()
    assert done(forced, disk) == installed()


def test_a_unit_copied_from_the_repository_is_as_good() -> None:
    """It has no checksum, but is the same unit."""
    copied = {PATHS.units / unit.name: unit.text for unit in units_of(UnitOptions())}
    assert planned(installation(UnitOptions()), copied, at=Activity.RUNNING, enabled=True).steps == ()


def test_secrets_that_the_settings_name_are_handed_over() -> None:
    """Under their names, and no others."""
    secrets = [Path("/etc/versionsync/web.token"), Path("/etc/versionsync/webhook")]
    first = planned(installation(UnitOptions(), *secrets), {})
    (drop_in,) = [step for step in first.steps if isinstance(step, Write) and step.path == DROP_IN]
    assert "LoadCredential=\nLoadCredential=web.token:/etc/versionsync/web.token\n" in drop_in.text
    assert "LoadCredential=webhook:/etc/versionsync/webhook\n" in drop_in.text
    later = planned(installation(UnitOptions()), done(first, {}), at=Activity.RUNNING, enabled=True)
    assert paths(later, Remove) == {DROP_IN}


def test_the_socket_listens_where_the_settings_say() -> None:
    """And no more when they say nothing."""
    elsewhere = replace(installation(UnitOptions()), address="[::1]:9000")
    first = planned(elsewhere, {})
    path = Path("/u/versionsync.socket.d/address.conf")
    (drop_in,) = [step for step in first.steps if isinstance(step, Write) and step.path == path]
    assert "[Socket]\nListenStream=\nListenStream=[::1]:9000\n" in drop_in.text
    assert paths(planned(installation(UnitOptions()), done(first, {})), Remove) == {path}
    for options in (UnitOptions(instance="shop"), UnitOptions(timer=True)):
        assert path not in paths(planned(replace(installation(options), address="[::1]:9000"), {}), Write)


def test_a_user_hands_nothing_over() -> None:
    """Its service reads the files itself."""
    plan = planned(installation(UnitOptions(user=True), Path("/etc/versionsync/web.token")), {})
    assert DROP_IN not in paths(plan, Write)
    assert {step.user for step in plan.steps if isinstance(step, Command)} == {True}


@pytest.mark.parametrize(
    ("user", "mode", "changes"), [(False, 0o600, True), (False, 0o644, False), (True, 0o600, False)]
)
def test_the_services_user_must_be_able_to_read_the_settings(user: bool, mode: int, changes: bool) -> None:
    plan = planned(installation(UnitOptions(user=user)), {}, mode=mode)
    assert any(isinstance(step, Mode) for step in plan.steps) is changes


def test_removing_stops_first_and_leaves_nothing() -> None:
    disk = installed()
    files = files_of(installation(UnitOptions()), disk.get)
    plan = removal(UnitOptions(), files, force=False, shared=False)
    assert commands(plan)[:2] == [
        "disable versionsync.socket versionsync.service",
        "stop versionsync.socket versionsync.service",
    ]
    assert commands(plan)[-1] == "reset-failed versionsync.socket versionsync.service"
    assert done(plan, disk) == {}


def test_removing_keeps_what_was_changed_by_hand() -> None:
    files = files_of(installation(UnitOptions()), (installed() | {SOCKET: "mine"}).get)
    assert [write.path for write in removal(UnitOptions(), files, force=False, shared=False).conflicts] == [SOCKET]
    assert removal(UnitOptions(), files, force=True, shared=False).conflicts == ()


def test_a_template_stays_while_another_instance_needs_it() -> None:
    options = UnitOptions(instance="shop")
    files = files_of(installation(options), installed(options).get)
    assert paths(removal(options, files, force=False, shared=True), Remove) == set()
    assert paths(removal(options, files, force=False, shared=False), Remove) == {Path("/u/versionsync@.service")}


def test_what_is_not_there_is_not_removed() -> None:
    files = Files({UNIT: "x"}, {UNIT: None})
    assert removal(UnitOptions(), files, force=False, shared=False).steps == ()


def test_the_checksum_distinguishes_an_old_file_from_a_changed_one() -> None:
    old = with_checksum("as 1.0 wrote it\n", "1.0")
    assert without_checksum(old) == "as 1.0 wrote it\n"
    assert file_state(old, "as 1.0 wrote it\n") is FileState.CURRENT
    assert file_state(old, "as 2.0 would\n") is FileState.OLD
    assert file_state(old.replace("wrote", "had"), "as 2.0 would\n") is FileState.CHANGED
    assert file_state(old + "# mine\n", "as 1.0 wrote it\n") is FileState.CHANGED
    assert file_state(None, "x") is FileState.MISSING
    assert file_state(None, None) is FileState.CURRENT
