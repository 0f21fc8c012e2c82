"""Where settings come from, and which of them wins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from versionsync.config import Configuration, InvalidSetting, SecretProblem, UnknownSource, load

Load = Callable[..., Configuration]


@pytest.fixture
def loads(tmp_path: Path) -> Load:
    """`load` that sees only the files of the test: `local` and `system` are their texts."""

    def loads(*, local: str | None = None, system: str | None = None, **arguments: object) -> Configuration:
        files = {"local_file": tmp_path / "local.toml", "system_file": tmp_path / "system.toml"}
        for path, text in zip(files.values(), (local, system), strict=True):
            if text is not None:
                path.write_text(text)
                path.chmod(0o600)
        return load(**{"environ": {}, **files, **arguments})  # type: ignore[arg-type]

    return loads


def test_without_anything_one_source_follows_the_primary_environment_into_sqlite(loads: Load) -> None:
    found = loads()
    assert [(s.name, s.environment, s.base_url, s.rate_limit) for s in found.sources] == [
        ("default", None, "https://site-api.datocms.com", None)
    ]
    assert found.database_url().reveal() == "sqlite:///versionsync.db"
    assert found.path is None


def test_the_environment_describes_the_only_source_where_no_file_does(loads: Load) -> None:
    environ = {
        "VERSIONSYNC_ENVIRONMENT": "sandbox",
        "VERSIONSYNC_BASE_URL": "http://127.0.0.1:8080",
        "VERSIONSYNC_RATE_LIMIT": "30",
        "DATOCMS_API_TOKEN": "abc123",
    }
    found = loads(environ=environ)
    (source,) = found.sources
    assert (source.environment, source.base_url, source.rate_limit) == ("sandbox", "http://127.0.0.1:8080", 30)
    assert found.secrets.api_token(source).reveal() == "abc123"


def test_a_rate_limit_of_none_is_told_from_no_rate_limit(loads: Load) -> None:
    assert loads(environ={"VERSIONSYNC_RATE_LIMIT": "none"}).sources[0].rate_limit == "none"
    assert loads(environ={"VERSIONSYNC_RATE_LIMIT": ""}).sources[0].rate_limit is None


def test_sources_of_a_file_are_not_touched_by_the_environment(loads: Load) -> None:
    found = loads(local='[[sources]]\nname = "web"\n', environ={"VERSIONSYNC_ENVIRONMENT": "sandbox"})
    assert [(source.name, source.environment) for source in found.sources] == [("web", None)]


def test_the_local_file_hides_the_system_one(loads: Load) -> None:
    found = loads(local='[[sources]]\nname = "here"\n', system='[[sources]]\nname = "there"\n')
    assert [source.name for source in found.sources] == ["here"]


def test_the_system_file_is_read_where_there_is_no_local_one(loads: Load) -> None:
    assert [source.name for source in loads(system='[[sources]]\nname = "there"\n').sources] == ["there"]


def test_a_named_file_hides_both(loads: Load, tmp_path: Path) -> None:
    named = tmp_path / "named.toml"
    named.write_text('[[sources]]\nname = "named"\n')
    found = loads(local='[[sources]]\nname = "here"\n', config=named)
    assert ([source.name for source in found.sources], found.path) == (["named"], named)


@pytest.mark.parametrize(
    ("database_url", "environ", "expected"),
    [
        ("sqlite:///line.db", {"VERSIONSYNC_DATABASE_URL": "sqlite:///env.db"}, "sqlite:///line.db"),
        (None, {"VERSIONSYNC_DATABASE_URL": "sqlite:///env.db"}, "sqlite:///env.db"),
        (None, {}, "sqlite:///file.db"),
    ],
    ids=["command line", "environment", "file"],
)
def test_the_database_is_what_the_first_of_them_says(
    loads: Load, database_url: str | None, environ: dict[str, str], expected: str
) -> None:
    found = loads(local='database_url = "sqlite:///file.db"\n', database_url=database_url, environ=environ)
    assert found.database_url().reveal() == expected


def test_a_url_of_the_environment_wins_over_a_url_file_of_the_settings(loads: Load) -> None:
    found = loads(local='database_url_file = "nowhere"\n', environ={"VERSIONSYNC_DATABASE_URL": "sqlite:///env.db"})
    assert found.database_url().reveal() == "sqlite:///env.db"


def test_the_http_server_is_set_by_file_and_environment(loads: Load) -> None:
    found = loads(local='[http]\nhost = "::1"\nport = 1\n', environ={"VERSIONSYNC_HTTP_PORT": "9000"})
    assert (found.http.host, found.http.port) == ("::1", 9000)


@pytest.mark.parametrize("port", ["x", "-1", "70000", "1.5"])
def test_a_variable_with_a_wrong_value_is_named(loads: Load, port: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^the environment variable VERSIONSYNC_HTTP_PORT must be a whole number"):
        loads(environ={"VERSIONSYNC_HTTP_PORT": port})


def test_a_password_on_the_command_line_is_refused_and_not_repeated(loads: Load) -> None:
    for url in ("postgresql://me:hunter22@db/mirror", "postgresql://db?user=me&password=hunter22"):
        with pytest.raises(SecretProblem, match="can be read by every user") as caught:
            loads(database_url=url)
        assert "hunter22" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize(
    "url", ["postgresql://me:hunter22@db", "postgresql://db?password=hunter22", "postgresql://:#@db"]
)
def test_a_settings_file_that_others_can_read_has_no_password_of_a_database(tmp_path: Path, url: str) -> None:
    path = tmp_path / "versionsync.toml"
    path.write_text(f"database_url = '{url}'\n")
    path.chmod(0o644)
    with pytest.raises(SecretProblem, match="holds the password in database_url and can be read by others"):
        load(config=path, environ={})
    path.chmod(0o600)
    assert load(config=path, environ={}).database_url().reveal() == url


@pytest.mark.parametrize("url", ["host=db user=me password=hunterX7Q", "postgresql://me:hunter@X7Q@db", "mysql://db/x"])
def test_what_is_no_database_url_is_refused_with_its_place_and_not_repeated(
    loads: Load, tmp_path: Path, url: str
) -> None:
    (tmp_path / "url").write_text(url)
    (tmp_path / "url").chmod(0o600)
    places: dict[str, Callable[[], object]] = {
        "--database": lambda: loads(database_url=url),
        "the variable VERSIONSYNC_DATABASE_URL": lambda: loads(environ={"VERSIONSYNC_DATABASE_URL": url}),
        "/url": lambda: loads(environ={"VERSIONSYNC_DATABASE_URL_FILE": str(tmp_path / "url")}).database_url(),
        "local.toml, line 1: database_url": lambda: loads(local=f"database_url = '{url}'\n"),
    }
    for place, read in places.items():
        with pytest.raises(InvalidSetting) as caught:
            read()
        assert f"{place})" in str(caught.value)
        assert not [part for part in ("hunter", "X7Q") if part in f"{caught.value}{caught.value.hint}"]


def test_a_source_is_found_by_its_name_or_the_nearest_one_is_named(loads: Load) -> None:
    found = loads(local='[[sources]]\nname = "website"\n[[sources]]\nname = "shop"\n')
    assert found.source("shop").name == "shop"
    with pytest.raises(UnknownSource, match="no source called webiste") as caught:
        found.source("webiste")
    assert caught.value.hint == "Did you mean website?"


def test_no_representation_shows_a_secret(loads: Load) -> None:
    text = 'database_url = "postgresql://me:hunter22@db/x"\n[[sources]]\nname = "web"\napi_token = "abc123def"\n'
    shown = repr(loads(local=text, environ={"DATOCMS_API_TOKEN": "fed321cba"}))
    assert not [secret for secret in ("hunter22", "abc123def", "fed321cba") if secret in shown]


READER = 'database_url = "sqlite:///file.db"\nreader_url = "sqlite:///reader.db"\n'


@pytest.mark.parametrize(
    ("local", "database_url", "environ", "expected"),
    [
        ("", None, {}, None),
        (READER, None, {}, "sqlite:///reader.db"),
        (READER, "other.db", {}, None),
        (READER, "other.db", {"VERSIONSYNC_READER_URL": "env.db"}, None),
        (READER, None, {"VERSIONSYNC_DATABASE_URL": "env.db"}, None),
        (READER, None, {"VERSIONSYNC_READER_URL": "env-reader.db"}, "env-reader.db"),
        (READER, None, {"VERSIONSYNC_DATABASE_URL": "env.db", "VERSIONSYNC_READER_URL": "of-it.db"}, "of-it.db"),
    ],
)
def test_a_url_for_readers_never_leads_to_another_database(
    loads: Load, local: str, database_url: str | None, environ: dict[str, str], expected: str | None
) -> None:
    """It counts beside a database of the same place alone."""
    found = loads(local=local, database_url=database_url, environ=environ).reader_url()
    assert (found and found.reveal()) == expected


def test_the_password_in_a_url_for_readers_is_protected(tmp_path: Path) -> None:
    path = tmp_path / "versionsync.toml"
    path.write_text("reader_url = 'postgresql://me:hunter22@db/x'\n")
    path.chmod(0o644)
    with pytest.raises(SecretProblem, match="holds the password in reader_url and can be read by others"):
        load(config=path, environ={})
