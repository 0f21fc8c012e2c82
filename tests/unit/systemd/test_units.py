"""The units come from one set of templates, are valid for systemd, and restrict the service."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from versionsync.config.source_files import folder_of
from versionsync.systemd.units import Unit, UnitOptions, units_of

WORST_EXPOSURE = 1.5
NEWER_KEYS = re.compile(r".*Unknown key (name )?'Restart(Steps|MaxDelaySec)'.*")
HERE = PurePosixPath("/bin/true")

FORMS = [
    UnitOptions(user=user, timer=timer, instance=instance)
    for user in (False, True)
    for timer in (False, True)
    for instance in (None, "shop")
]
each_form = pytest.mark.parametrize("options", FORMS, ids=lambda options: f"{'user-' * options.user}{options.service}")
each_form_of_the_machine = pytest.mark.parametrize(
    "options", [options for options in FORMS if not options.user], ids=str
)
needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")


def written(units: tuple[Unit, ...], folder: Path, *, instance: str | None = None) -> list[str]:
    """The files of the units, those of templates with the name of an instance."""
    files = [folder / unit.name.replace("@.", f"@{instance}.") for unit in units]
    for file, unit in zip(files, units, strict=True):
        file.write_text(unit.text)
    return [str(file) for file in files]


def analyzed(*argv: str) -> subprocess.CompletedProcess[str]:
    """What systemd-analyze says; its warnings come with the rest."""
    command = ["systemd-analyze", "--no-pager", *argv]
    return subprocess.run(command, text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def lines_of(options: UnitOptions) -> list[str]:
    """The lines of a service that are no comment."""
    return [line for line in units_of(options)[0].text.splitlines() if line and not line.startswith("#")]


@needs_analyze
@each_form_of_the_machine
def test_systemd_understands_each_line(options: UnitOptions, tmp_path: Path) -> None:
    """But what older ones do not know, which they leave out."""
    ran = analyzed("verify", *written(units_of(options, HERE), tmp_path, instance=options.instance))
    assert ran.returncode == 0
    assert [line for line in ran.stdout.splitlines() if not NEWER_KEYS.fullmatch(line)] == []


@needs_analyze
@each_form_of_the_machine
def test_each_service_is_shut_in(options: UnitOptions, tmp_path: Path) -> None:
    service = written(units_of(options, HERE), tmp_path, instance=options.instance)[0]
    exposure = re.search(r"exposure level for .*: ([\d.]+)", analyzed("security", "--offline=true", service).stdout)
    assert exposure is not None
    assert float(exposure[1]) <= WORST_EXPOSURE


def test_what_shuts_in_is_the_same_for_all() -> None:
    """A service of a user lacks what only root can ask for, and has nothing else."""
    first, *others = [lines_of(options) for options in FORMS if not options.user]
    shut = first[first.index("ProtectSystem=strict") : first.index("[Install]")]
    assert len(shut) > 25
    assert all(set(shut) <= set(lines) for lines in others)
    own = [lines[lines.index("UMask=0077") + 1 :] for lines in (lines_of(options) for options in FORMS if options.user)]
    assert all(
        {line for line in lines if "=" in line and "WantedBy" not in line} <= {*shut, "Also=versionsync.socket"}
        for lines in own
    )


@each_form
def test_each_has_its_own_state_directory(options: UnitOptions) -> None:
    """Settings, state, and for the machine a user and a token."""
    lines = lines_of(options)
    name = "%i" if options.instance else "versionsync"
    state = "versionsync-%i" if options.instance else "versionsync"
    assert f"StateDirectory={state}" in lines
    assert f"WorkingDirectory=%S/{state}" in lines
    folder = "%E/versionsync" if options.user else "/etc/versionsync"
    verb = "sync" if options.timer else "run"
    assert f"ExecStart=/opt/versionsync/bin/versionsync --config {folder}/{name}.toml {verb}" in lines
    assert (f"User={state}" in lines) is not options.user
    token = "%i.token" if options.instance else "api_token"
    assert (f"LoadCredential={token}:/etc/versionsync/{token}" in lines) is not options.user


@each_form
def test_what_starts_the_service_starts_its_socket(options: UnitOptions) -> None:
    """One that has given up, since its service could not be started, comes up again with it."""
    wants = [line for line in lines_of(options) if line.startswith("Sockets=")]
    assert wants == ([] if options.timer or options.instance else ["Sockets=versionsync.socket"])


def test_a_user_and_a_group_of_that_name_can_be_made() -> None:
    """31 characters at the most, which leaves 19 for an instance."""
    assert len(UnitOptions(instance="x" * 19).state) == 31


@pytest.mark.parametrize(
    ("program", "start"),
    [
        ("/opt/v/bin/versionsync", "/opt/v/bin/versionsync"),
        ("/opt/50%/versionsync", "/opt/50%%/versionsync"),
        ('/opt/my "own" tools/versionsync', '"/opt/my \\"own\\" tools/versionsync"'),
    ],
)
def test_a_path_is_written_as_systemd_reads_it(program: str, start: str) -> None:
    text = units_of(UnitOptions(), PurePosixPath(program))[0].text
    assert f"\nExecStart={start} --config" in text


@pytest.mark.parametrize("user", [False, True])
def test_a_single_file_has_a_folder_to_unpack_itself(user: bool) -> None:
    """Its user has no home; and where it has one, the service may not be let in there."""
    text = units_of(UnitOptions(user=user, instance="shop"), is_single_file=True)[0].text
    assert "\nCacheDirectory=versionsync-%i\nEnvironment=SHIV_ROOT=%C/versionsync-%i\n" in text
    assert "SHIV_ROOT" not in units_of(UnitOptions(user=user))[0].text


@pytest.mark.parametrize("timer", [False, True])
def test_an_end_that_starting_again_does_not_mend_is_final(timer: bool) -> None:
    """Wrong settings, or a secret that is not there to be handed over, stop the daemon.

    A timer goes on, and a partial sync is a failure.
    """
    lines = lines_of(UnitOptions(timer=timer))
    if timer:
        assert "SuccessExitStatus=7 130" in lines
        assert not any(line.startswith("Restart=") for line in lines)
    else:
        assert "RestartPreventExitStatus=2 243" in lines
        assert {"RestartSec=5", "RestartSteps=6", "RestartMaxDelaySec=60", "StartLimitBurst=20"} <= set(lines)


@pytest.mark.parametrize("instance", [None, "shop"])
def test_more_sources_are_where_the_program_looks_for_them(instance: str | None) -> None:
    options = UnitOptions(instance=instance)
    assert folder_of(Path(options.settings)) == Path(options.sources)
