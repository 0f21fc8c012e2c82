"""Whose files are obeyed and believed, by the owners and modes that service managers and containers give them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from versionsync.config import FileProblem, SecretProblem, load
from versionsync.config.file_trust import Self, check_found, distrust_of_secret, distrust_of_settings

ALICE = Self(1000, frozenset({1000, 4}), private=1000)
SHARED = Self(1000, frozenset({100}))
"""Somebody whose group `users` is everybody's."""
POD = Self(10001, frozenset({10001, 2000}))
"""A container of Kubernetes with `fsGroup: 2000`, whose user has no name."""
DYNAMIC = Self(61184, frozenset({61184}), private=61184)
"""A user of systemd that lives as long as its service."""
ROOT = Self(0, frozenset({0}), private=0)

FILE = Path("versionsync.toml")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def owned(mode: int, uid: int, gid: int) -> os.stat_result:
    """What `stat` says of such a file."""
    return os.stat_result((mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("status", "me"),
    [
        (owned(0o644, 1000, 1000), ALICE),
        (owned(0o664, 1000, 1000), ALICE),  # umask 002, a group of one's own: Fedora, Ubuntu
        (owned(0o644, 1000, 100), SHARED),
        (owned(0o755, 0, 0), ALICE),
        (owned(0o775, 0, 0), POD),
        (owned(0o700, 61184, 61184), DYNAMIC),
        (owned(0o644, 0, 2000), POD),
        (owned(0o600, 0, 0), ROOT),
    ],
)
def test_settings_of_ones_own_or_of_root_are_obeyed(status: os.stat_result, me: Self) -> None:
    assert distrust_of_settings(status, me, FILE) is None


@pytest.mark.parametrize(
    ("status", "me", "why"),
    [
        (owned(0o644, 1001, 1001), ALICE, "belongs to another user (uid 1001, this is 1000)"),
        (owned(0o644, 1000, 1000), ROOT, "belongs to another user (uid 1000, this is 0)"),
        (owned(0o644, 65534, 65534), POD, "belongs to another user (uid 65534, this is 10001)"),
        (owned(0o666, 1000, 1000), ALICE, "can be written by others (mode 0666)"),
        (owned(0o664, 1000, 100), SHARED, "can be written by others (mode 0664)"),
        (owned(0o664, 1000, 4), ALICE, "can be written by others (mode 0664)"),
        (owned(0o1777, 0, 0), ALICE, "can be written by others (mode 1777)"),
        (owned(0o2777, 0, 2000), POD, "can be written by others (mode 2777)"),
    ],
)
def test_settings_that_somebody_else_could_have_written_are_not(status: os.stat_result, me: Self, why: str) -> None:
    doubt = distrust_of_settings(status, me, FILE)
    assert doubt is not None
    assert doubt.reason == why


def test_what_nobody_can_write_is_obeyed_whatever_its_mode() -> None:
    """A volume of Kubernetes is 2777, and mounted read-only."""
    assert distrust_of_settings(owned(0o2777, 0, 2000), POD, FILE, read_only=True) is None
    assert distrust_of_settings(owned(0o644, 1001, 1001), POD, FILE, read_only=True) is not None


@pytest.mark.parametrize(
    ("status", "me"),
    [
        (owned(0o600, 1000, 1000), ALICE),
        (owned(0o400, 1000, 1000), ALICE),
        (owned(0o440, 0, 2000), POD),  # a Secret with defaultMode 0440 and an fsGroup
        (owned(0o640, 0, 10001), POD),
        (owned(0o440, 0, 0), ROOT),  # the same without either
        (owned(0o400, 0, 0), ROOT),
        (owned(0o400, 61184, 61184), DYNAMIC),
        (owned(0o640, 0, 4), ALICE),  # a file of /etc for a group
    ],
)
def test_secrets_that_only_we_and_root_can_read_are_taken(status: os.stat_result, me: Self) -> None:
    assert distrust_of_secret(status, me, FILE) is None


@pytest.mark.parametrize(
    ("status", "me", "why", "command"),
    [
        (owned(0o600, 1001, 1001), ALICE, "belongs to another user (uid 1001, this is 1000)", "chown 1000 "),
        (owned(0o444, 1001, 1001), POD, "belongs to another user (uid 1001, this is 10001)", "chown 10001 "),
        (owned(0o600, 1000, 1000), ROOT, "belongs to another user (uid 1000, this is 0)", "chown 0 "),
        (owned(0o640, 1000, 1000), ALICE, "can be read by others (mode 0640)", "chmod 600 "),
        (owned(0o640, 0, 0), ROOT, "can be read by others (mode 0640)", "chmod 600 "),
        (owned(0o440, 0, 7), POD, "can be read by others (mode 0440)", "chmod 600 "),
        (owned(0o460, 0, 2000), POD, "can be read by others (mode 0460)", "chmod 600 "),
        (owned(0o444, 0, 2000), POD, "can be read by others (mode 0444)", "chmod 600 "),
    ],
)
def test_secrets_of_strangers_and_open_ones_are_not(status: os.stat_result, me: Self, why: str, command: str) -> None:
    doubt = distrust_of_secret(status, me, FILE)
    assert doubt is not None
    assert (doubt.reason, doubt.command) == (why, f"{command}{FILE}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a settings file in it."""
    (tmp_path / "here").mkdir(mode=0o755)
    monkeypatch.chdir(tmp_path / "here")
    FILE.write_text("[http]\nport = 1\n")
    FILE.chmod(0o644)
    return tmp_path / "here"


def give_away_file(folder: Path) -> None:
    os.chown(folder / FILE, 4321, 4321)


def give_away_folder(folder: Path) -> None:
    os.chown(folder, 4321, 4321)


def link_to_stranger(folder: Path) -> None:
    (folder.parent / "open").mkdir()
    (folder.parent / "open").chmod(0o777)
    (folder / FILE).rename(folder.parent / "open" / FILE)
    (folder / FILE).symlink_to(folder.parent / "open" / FILE)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / FILE).chmod(0o646), "versionsync.toml is not used: it can be written by others"),
        (lambda folder: folder.chmod(0o777), "here can be written by others"),
        (lambda folder: folder.chmod(0o1777), r"here can be written by others \(mode 1777\)"),
        pytest.param(give_away_file, r"it belongs to another user \(uid 4321, this is 0\)", marks=needs_root),
        pytest.param(give_away_folder, r"here belongs to another user \(uid 4321", marks=needs_root),
        (link_to_stranger, r"open can be written by others \(mode 0777\)"),
    ],
    ids=["file", "folder", "sticky", "stranger", "strangers-folder", "link"],
)
def test_a_file_that_was_only_found_is_not_obeyed(folder: Path, spoil: Callable[[Path], None], says: str) -> None:
    """And neither skipped: the settings of somebody else's choice would be as bad. Named, it is obeyed."""
    assert load(environ={}).http.port == 1
    spoil(folder)
    with pytest.raises(FileProblem, match=says) as caught:
        load(environ={})
    assert f"--config {FILE}" in caught.value.hint
    assert load(config=FILE, environ={}).http.port == 1
    assert load(environ={}, local_file=Path("none"), system_file=FILE).http.port == 1


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], Path]]:
    """A volume as Kubernetes mounts it: a file is a link to a link to a folder, which is open and read-only."""
    place = tmp_path / "volume"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    (place / "..2026_01_01").mkdir()
    (place / "..data").symlink_to("..2026_01_01")
    (place / "..data" / FILE).write_text("[http]\nport = 1\n")
    (place / FILE).symlink_to(Path("..data") / FILE)
    for open_to_all in (place, place / "..2026_01_01"):
        open_to_all.chmod(0o2777)
    monkeypatch.chdir(place)

    def seal(read_only: bool) -> Path:
        if read_only:
            subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        return place

    yield seal
    monkeypatch.chdir(tmp_path)
    subprocess.run(["umount", "--lazy", place], check=True)


@needs_root
@pytest.mark.parametrize("read_only", [True, False])
def test_a_config_map_as_the_current_folder(volume: Callable[[bool], Path], read_only: bool) -> None:
    place = volume(read_only)
    if read_only:
        assert load(environ={}).http.port == 1
    else:
        with pytest.raises(FileProblem, match="can be written by others"):
            load(environ={})
    assert load(config=place / FILE, environ={}).http.port == 1


@needs_root
def test_a_pod_reads_its_secrets_and_no_strangers() -> None:
    """A process of that user and group, at files of the owners and modes that Kubernetes, Docker and systemd give."""
    with TemporaryDirectory() as folder:  # others may not enter that of pytest
        Path(folder).chmod(0o755)
        _reads_its_secrets(Path(folder))


def _reads_its_secrets(tmp_path: Path) -> None:
    cases = {
        "fsgroup": (0o440, 0, 2000, None),
        "own": (0o600, 10001, 10001, None),
        "stranger": (0o444, 4321, 4321, "belongs to another user (uid 4321, this is 10001)"),
        "open": (0o444, 0, 0, "can be read by others (mode 0444)"),
        "handed/api_token": (0o444, 4321, 4321, None),  # compose: a bind of the host's file
    }
    (tmp_path / "handed").mkdir(mode=0o755)
    (tmp_path / "handed").chmod(0o755)
    for name, (mode, uid, gid, _) in cases.items():
        (tmp_path / name).write_text("0123456789abcdef")
        os.chown(tmp_path / name, uid, gid)
        (tmp_path / name).chmod(mode)
    read = "import os, sys; from pathlib import Path; from versionsync.config.credentials import SecretReader\n"
    read += "for name in sys.argv[1:]:\n  try: print(len(SecretReader(Path(), os.environ).read_file(Path(name))))\n"
    read += "  except Exception as error: print(error)\n"
    drop = ["setpriv", "--reuid=10001", "--regid=10001", "--groups=2000"]
    environ = os.environ | {
        "CREDENTIALS_DIRECTORY": str(tmp_path / "handed"),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    names = [str(tmp_path / name) for name in cases]
    ran = subprocess.run(
        [*drop, sys.executable, "-c", read, *names],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    told = ran.stdout.splitlines()
    assert len(told) == len(cases), ran.stderr
    for line, (name, (*_, why)) in zip(told, cases.items(), strict=True):
        assert line == "16" if why is None else line == f"{tmp_path / name} holds a secret and {why}"


@needs_root
def test_a_secret_in_the_settings_of_a_stranger_is_refused(tmp_path: Path) -> None:
    """Though the file was named."""
    path = tmp_path / "web.toml"
    path.write_text("[[sources]]\nname = 'web'\napi_token = '0123456789abcdef'\n")
    path.chmod(0o600)
    os.chown(path, 4321, 4321)
    with pytest.raises(SecretProblem, match=r"holds sources\[0\].api_token and belongs to another user"):
        load(config=path, environ={})
    assert load(config=path, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)}).sources[0].name == "web"


def test_this_user_is_trusted(tmp_path: Path) -> None:
    """Whoever runs the tests: the real owners, groups and names."""
    assert Self.now().uid == os.geteuid()
    (tmp_path / FILE).touch(0o600)
    check_found(tmp_path / FILE)


@pytest.mark.parametrize(
    ("line", "is_told"),
    [
        ("base_url = 'http://dato.example/api'", True),
        ("base_url = 'http://192.0.2.7:8080'", True),
        ("heartbeat_url = 'http://hc.example/uuid-of-mine'", True),
        ("base_url = 'https://dato.example'", False),
        ("base_url = 'http://127.0.0.1:8080'", False),
        ("base_url = 'http://[::1]:8080'", False),
        ("base_url = 'http://localhost:8080'", False),
        ("base_url = 'http://dato.localhost'", False),
    ],
)
def test_an_open_line_to_another_machine_is_told(tmp_path: Path, line: str, is_told: bool) -> None:
    (tmp_path / "a.toml").write_text(f"[[sources]]\nname = 'web'\n{line}\n")
    (tmp_path / "a.toml").chmod(0o600)
    doubts = load(config=tmp_path / "a.toml", environ={}).warnings
    assert bool(doubts) is is_told
    assert "of-mine" not in str(doubts)
