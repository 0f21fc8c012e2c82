"""Databases that lie where they must not, or were copied as they must not: told as that, and older ones go on."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Cli
from tests.integration.cli.mirror_queries import rows, version_count
from tests.integration.cli.test_bad_input import check
from tests.integration.cli.worlds import blog
from versionsync.mirror.engine import sqlite_files as filesystems
from versionsync.mirror.holder import Holder
from versionsync.simulator import FULL_ACCESS_TOKEN, SimulatorThread, World

MIRROR = "versionsync.db"
PAGE = 4096


@pytest.fixture
def on_a_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the test's folder be one of that type of file system."""

    def mount(kind: str) -> None:
        listed = tmp_path.parent / f"{tmp_path.name}-mounts"
        listed.write_text(f"1 1 0:1 / / rw - ext4 /dev/vda rw\n2 1 0:2 / {tmp_path} rw - {kind} nas:/x rw\n")
        monkeypatch.setattr(filesystems, "MOUNTS", listed)

    return mount


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse.sshfs"])
def test_a_network_file_system_is_refused_before_anything_is_made(
    cli: Cli, at: dict[str, str], on_a_share: Callable[[str], None], tmp_path: Path, kind: str
) -> None:
    """SQLite's write-ahead log breaks there."""
    on_a_share(kind)
    check(
        cli("sync", **at), code=6, says=rf"lies on a file system \({kind}\) .* put it on a local disk, or use Postgre"
    )
    assert list(tmp_path.iterdir()) == []
    ran = cli("doctor", "--json", **at)
    (told,) = [finding for finding in ran.json["findings"] if finding["severity"] == "error"]
    assert (ran.code, told["check"]) == (6, "file system")
    on_a_share("ext4")
    assert cli("sync", **at).code == 0


def test_a_mirror_that_was_moved_to_a_share_is_left_as_it_is(
    cli: Cli, at: dict[str, str], on_a_share: Callable[[str], None], tmp_path: Path
) -> None:
    """Looking at it is refused too: it would open the log."""
    cli("sync", **at)
    before = (tmp_path / MIRROR).read_bytes()
    on_a_share("nfs")
    for verb in ("sync", "status", "events"):
        check(cli(verb, **at), code=6, says="is not safe")
    assert (tmp_path / MIRROR).read_bytes() == before


def test_a_file_system_that_nobody_knows_is_allowed(
    cli: Cli, at: dict[str, str], on_a_share: Callable[[str], None]
) -> None:
    on_a_share("somethingfs")
    assert cli("sync", **at).code == 0


@pytest.fixture
def project() -> Iterator[SimulatorThread]:
    """A simulated project of sixty posts."""
    with SimulatorThread(blog(records=60, versions=3)) as simulator:
        yield simulator


@pytest.fixture
def large(cli: Cli, project: SimulatorThread) -> dict[str, str]:
    """A mirror of it, of some hundred pages: the environment variables with which commands find both."""
    environ = {"DATOCMS_API_TOKEN": FULL_ACCESS_TOKEN, "VERSIONSYNC_BASE_URL": project.url}
    environ["VERSIONSYNC_RATE_LIMIT"] = "none"
    assert cli("sync", **environ).code == 0
    return environ


def write_another_version(world: World) -> None:
    """Of some post; long enough ago to be trusted at once."""
    world.update(world.account, next(iter(world.primary.records)), {"title": "Another"})
    world.clock.advance(timedelta(minutes=1))


@pytest.mark.parametrize("missing", [PAGE // 2, PAGE, 50 * PAGE])
def test_a_copy_without_its_end_is_refused_and_not_touched(
    cli: Cli, large: dict[str, str], tmp_path: Path, missing: int
) -> None:
    """Even where only half of its last page is missing, which SQLite would read as zeros."""
    whole = (tmp_path / MIRROR).read_bytes()
    (tmp_path / MIRROR).write_bytes(whole[:-missing])
    for verb in ("sync", "status"):
        check(cli(verb, **large), code=6, says="is damaged: its end is missing.* restore it from a backup")
    assert cli("doctor", **large).code == 6
    assert (tmp_path / MIRROR).read_bytes() == whole[:-missing]
    (tmp_path / MIRROR).write_bytes(whole)
    assert cli("sync", "--full", **large).code == 0
    assert version_count(tmp_path / MIRROR) == 180


def test_a_copy_with_pages_of_another_time_is_found_by_doctor(cli: Cli, large: dict[str, str], tmp_path: Path) -> None:
    """As one that was made page by page while a sync wrote."""
    whole = (tmp_path / MIRROR).read_bytes()
    some = len(whole) // PAGE // 2 * PAGE
    (tmp_path / MIRROR).write_bytes(whole[:some] + bytes(8 * PAGE) + whole[some + 8 * PAGE :])
    ran = cli("doctor", "--json", **large)
    (told,) = [finding for finding in ran.json["findings"] if finding["severity"] == "error"]
    assert (ran.code, told["check"]) == (6, "integrity")
    assert "is damaged" in told["message"]
    assert "backup" in told["hint"]
    check(cli("sync", "--full", **large), code=6, says="is damaged: restore it from a backup; `versionsync doctor`")


def test_a_copy_without_its_log_is_only_older_and_goes_on(
    cli: Cli, project: SimulatorThread, large: dict[str, str], tmp_path: Path
) -> None:
    """What was in the log alone is read again, and told again once."""
    with closing(sqlite3.connect(tmp_path / MIRROR)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM versions").fetchone()  # the log cannot be emptied while this looks
        project.act(write_another_version)
        assert cli("sync", **large).code == 0
        shutil.copy(tmp_path / MIRROR, tmp_path / "copy.db")
    assert version_count(tmp_path / MIRROR) == 181
    assert cli("doctor", "--database", "copy.db", **large).code == 0
    assert cli("sync", "--database", "copy.db", **large).code == 0
    assert_same(tmp_path / MIRROR, tmp_path / "copy.db")


def test_an_older_copy_that_is_put_back_goes_on(
    cli: Cli, project: SimulatorThread, large: dict[str, str], tmp_path: Path
) -> None:
    """A backup of yesterday, whole: today's changes come again."""
    shutil.copy(tmp_path / MIRROR, tmp_path / "backup.db")
    project.act(write_another_version)
    cli("sync", **large)
    shutil.copy(tmp_path / MIRROR, tmp_path / "newer.db")
    shutil.copy(tmp_path / "backup.db", tmp_path / MIRROR)
    assert cli("sync", **large).code == 0
    assert_same(tmp_path / MIRROR, tmp_path / "newer.db")


def test_a_copy_made_while_another_process_writes_waits_for_its_lease(
    cli: Cli, large: dict[str, str], tmp_path: Path
) -> None:
    """The copy says that it is being written, and by whom; that passes in half a minute."""
    shutil.copy(tmp_path / MIRROR, tmp_path / "copy.db")
    held = f"update leases set holder = '{Holder(host='elsewhere', pid=7).to_json()}', epoch = 9, expires_at = "
    rows(tmp_path / "copy.db", f"{held} strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '+30 seconds')")
    check(cli("sync", "--database", "copy.db", **large), code=7, says="being written by process 7 on elsewhere")
    rows(tmp_path / "copy.db", f"{held} strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-1 seconds')")
    assert cli("sync", "--full", "--database", "copy.db", **large).code == 0
    assert_same(tmp_path / MIRROR, tmp_path / "copy.db")


def assert_same(one: Path, other: Path) -> None:
    """Both hold the same versions, with the same events."""
    for sql in (
        "select id, record_id, is_current, is_published, attributes from versions order by id",
        "select key, type, version_id from events order by key",
    ):
        assert rows(one, sql) == rows(other, sql)
