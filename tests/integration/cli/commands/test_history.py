"""`versionsync log`, `changes`, `pending`, `as-of`, `deleted`, `usage` and `events`: what people and programs see."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fixtures.news_site import MakeNewsSite
from tests.fixtures.projections import fill
from tests.fixtures.sync_env import SyncEnv
from tests.integration.cli.commands.conftest import Ask
from tests.integration.cli.conftest import Cli
from tests.integration.cli.mirror_queries import rows
from versionsync.mirror.database import Mirror
from versionsync.mirror.schema import records, versions
from versionsync.sync.options import SourceSpec

SINCE = "2026-08-01"
COMMANDS = (
    ("log", "page:imprint"),
    ("log", "--limit", "20"),
    ("log", "--model", "article", "--field", "title"),
    ("changes", "--since", SINCE, "--until", "2026-09-02"),
    ("pending",),
    ("deleted",),
    ("usage", "1.jpg"),
    ("usage", "Giulia Ferrè", "--now"),
    ("as-of", "2026-08-20 12:00"),
    ("as-of", "2026-08-20", "Imprint", "--published"),
    ("grep", "market"),
    ("grep", "--removed", "map", "--limit", "20"),
    ("events",),
    ("events", "--raw", "--limit", "5"),
)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_a_table_fits_the_terminal(
    ask: Ask, argv: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written beyond its width, and titles keep most of the room."""
    from rich.cells import cell_len

    monkeypatch.setattr("versionsync.cli.terminal.output.PIPE_WIDTH", width)
    ran = ask(*argv)
    assert ran.code == 0, ran.written
    lines = ran.out.splitlines()
    assert len(lines) > 1
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_programs_get_one_object_a_line_whose_members_are_columns(ask: Ask, argv: tuple[str, ...]) -> None:
    ran = ask(*argv, "--json")
    assert ran.code == 0, ran.written
    assert ran.lines
    for one in ran.lines:
        assert one["source"] == "website"
        assert {"record_id", "model_id"} <= set(one)
        assert "source_id" not in one
        assert ("key" in one) is (argv[0] == "events"), "the key of an event is a column; that of a record is not"
        assert all(value is None or value.endswith("Z") for name, value in one.items() if name.endswith("_at"))


def test_a_search_says_how_much_a_regular_expression_read(ask: Ask) -> None:
    ran = ask("grep", "--regex", "(?i)forgotten +map", "--model", "article")
    assert ran.code == 0, ran.written
    assert "«forgotten map»" in ran.out
    assert "Read " in ran.err
    assert {one["model"] for one in ask("grep", "--regex", "map", "--model", "article", "--json").lines} == {"article"}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("grep", "--regex", "map"), "needs a record or a model"),
        (("grep", "--regex", "(", "--model", "article"), "no regular expression"),
        (("grep", "--first", "--last", "map"), "only one of"),
        (("grep", "—"), "no letter or digit"),
    ],
)
def test_a_search_that_means_nothing_is_refused(ask: Ask, argv: tuple[str, ...], said: str) -> None:
    ran = ask(*argv)
    assert ran.code == 2
    assert said in " ".join(ran.err.split())


def test_the_members_of_a_version_are_columns_of_the_mirror(ask: Ask) -> None:
    (newest, *_) = ask("log", "page:imprint", "--json", "--content").lines
    own = {"source", "model", "title", "editor_name", "record_id", "version_id", "is_first", "changes", "current"}
    assert set(newest) - own <= {column.name for column in versions.columns} | {"published"}
    assert newest["attributes"]["title"] == {"en": "Imprint", "it": "Note legali"}
    assert "attributes" not in ask("log", "page:imprint", "--json").lines[0]
    (state,) = ask("as-of", "2026-08-20", "page:imprint", "--json").lines
    assert state["attributes"]["slug"] == "imprint"
    pending = ask("pending", "--json").lines[0]
    assert {"publication_scheduled_at", "unpublishing_scheduled_at"} <= set(pending)
    assert (
        {column.name for column in records.columns}
        >= {"deleted_at", "deletion_evidence"}
        <= set(ask("deleted", "--json").lines[0])
    )


def test_a_log_shows_marks_who_saved_what_changed_and_when_it_was_live(ask: Ask) -> None:
    head, _, columns, *lines = ask("log", "page:imprint").out.splitlines()
    assert head.startswith("Imprint  page ")
    assert columns.split() == ["time", "(UTC)", "saved", "by", "what", "changed", "live", "version"]
    assert lines[0].startswith("●◉  ")
    assert lines[0].count("→") == 1
    assert "created" in lines[-1]
    assert "sections" in lines[0]
    (life,) = ask("log", "page:imprint", "--field", "title").out.splitlines()[3:]
    assert "en: Imprint; it: Note legali" in life


def test_acts_say_who_saved_and_ids_only_on_demand(ask: Ask) -> None:
    lines = ask("events", "--limit", "4").out.splitlines()[1:]
    assert [line.split("  ")[1].strip() for line in lines][-1] == "deleted"
    edited = next(line for line in lines if "edited and published" in line)
    assert "Ben Writer" in edited
    last = ask("events", "--json").lines[-1]
    assert last["record_id"] not in "".join(lines)
    with_ids = ask("events", "--limit", "4", "--ids").out.splitlines()
    assert last["record_id"] in with_ids[-1]
    assert with_ids[-1].split()[0] == str(last["id"])


def test_usage_shows_the_file_and_where_it_is(ask: Ask) -> None:
    head, _, columns, *lines = ask("usage", "1.jpg").out.splitlines()
    assert head.startswith("1.jpg  image/jpeg, 1216 × 800, ")
    assert columns.split() == ["title", "model", "where", "since", "(UTC)", "until", "live", "record"]
    assert lines[0].startswith("●◉  ")
    live = ask("usage", "1.jpg", "--live", "--json").lines
    assert 0 < len(live) < len(ask("usage", "1.jpg", "--json").lines)
    assert {one["is_published"] for one in live} == {True}
    assert {one["target_kind"] for one in live} == {"upload"}
    assert "No record ever used it." in ask("usage", "page:imprint").err


def test_a_time_is_echoed_with_its_zone_on_standard_error(ask: Ask) -> None:
    assert ask("as-of", "2026-08-20 12:00").err == "as of 2026-08-20 12:00:00 UTC\n"
    in_rome = ask("as-of", "20 August 2026 12:00", "--zone", "Europe/Rome")
    assert in_rome.err == "as of 2026-08-20 12:00:00 +02:00 (Europe/Rome)\n"
    assert "since (Europe/Rome)" in in_rome.out
    assert ask("as-of", "2026-08-20 12:00", "--json").err == ""


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("log", "no such title"), "no record is called “no such title”, and none ever was"),
        (("log", "night bus"), "records are meant by “night bus”"),
        (("log", "zzzzzzzz0123456789zzzz"), "and the mirror has never seen one"),
        (("log", "--model", "articel"), "Did you mean article?"),
        (("log", "--editor", "Ben Wirter"), "Did you mean Ben Writer?"),
        (("log", "--field", "titel"), "Did you mean title?"),
        (("log", "--source", "webiste"), "Did you mean website?"),
        (("as-of", "03/04/2026"), "could be 3 April or 4 March"),
        (("as-of", "someday"), "the time “someday” is not understood"),
        (("as-of", "2019-01-01"), "the history begins at 2026-"),
        (("as-of", "now", "--zone", "Europe/Roma"), "Did you mean Europe/Rome?"),
        (("changes", "--since", "31 June 2026"), "does not exist"),
        (("events", "--type", "version.publshed"), "Did you mean version.published?"),
        (("events", "--record", "nothing at all"), "no record is called"),
    ],
)
def test_a_wrong_name_or_time_ends_with_2_and_says_what_to_do(ask: Ask, argv: tuple[str, ...], says: str) -> None:
    ran = ask(*argv)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert "hint: " in ran.err
    assert ask(*argv, "--json").code == 2


def test_an_ambiguous_name_lists_the_records_with_their_titles(ask: Ask) -> None:
    lines = ask("log", "night bus").err.splitlines()
    assert lines[1] == "versionsync: hint: Name one of them:"
    assert len(lines) > 3
    for line in lines[2:]:
        assert "ight bus" in line
        name = line.split()[0]
        assert ask("log", name).code == 0


def test_an_answer_that_is_empty_says_why(ask: Ask) -> None:
    assert ask("log", "--since", "2026-09-02").err.endswith("UTC.\n")
    assert "The history begins at" in ask("changes", "--since", "2026-09-02").err
    assert "Nothing was deleted." in ask("deleted", "--model", "page").err
    assert "“Imprint” was not there then." in ask("as-of", "2026-03-06", "Imprint").err


def test_projections_that_are_behind_are_reported_with_their_time(
    cli: Cli, news_site: MakeNewsSite, tmp_path: Path
) -> None:
    """An answer is given as far as it is known; without any it ends with 6."""
    path = tmp_path / "copy.db"
    shutil.copy(news_site("sqlite").url.removeprefix("sqlite:///"), path)
    rows(path, "UPDATE projection_cursors SET event_id = 700")
    argv = ("as-of", "2026-08-20", "--database", str(path))
    behind = cli(*argv)
    assert behind.code == 0
    assert "intervals and titles only know what was mirrored until 2026-09-01 13:05:00 UTC" in behind.err
    assert cli("log", "page:imprint", "--database", str(path)).err == ""
    rows(path, "DELETE FROM projection_cursors")
    rows(path, "DELETE FROM intervals")
    empty = cli(*argv)
    assert empty.code == 6
    assert "the intervals of website are not computed yet" in empty.err
    assert cli(*argv, "page:imprint").code == 0
    with Mirror.open(f"sqlite:///{path}") as mirror:
        fill(mirror)
    assert cli(*argv).code == 0


def test_a_database_without_a_mirror_ends_with_6(cli: Cli, tmp_path: Path) -> None:
    for argv in (("log",), ("changes", "--since", "now"), ("pending",), ("deleted",), ("as-of", "now"), ("events",)):
        ran = cli(*argv, "--database", "none.db")
        assert ran.code == 6
        assert "there is no database at" in ran.err
        assert not (tmp_path / "none.db").exists()
    assert cli("db", "upgrade", "--database", "empty.db").code == 0
    ran = cli("log", "--database", "empty.db")
    assert ran.code == 6
    assert "nothing is mirrored yet: run `versionsync sync`" in ran.err


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_several_sources_of_one_postgresql_have_to_be_named_after_an_id(
    cli: Cli, sync_env: SyncEnv, database_url: str
) -> None:
    """A lower id may be committed after a higher one of another source."""
    sync_env.act(lambda world: world.create(world.user, "post", {"title": "Fish"}))
    sync_env.sync()
    sync_env.spec = SourceSpec(name="second", base_url=sync_env.spec.base_url)
    sync_env.sync()
    where = {"VERSIONSYNC_DATABASE_URL": database_url}
    refused = cli("events", "--after", "0", "--json", **where)
    assert refused.code == 2
    assert "--source website" in refused.err
    assert cli("events", "--after", "0", "--json", "--source", "website", **where).lines
    assert cli("events", "--json", **where).lines
