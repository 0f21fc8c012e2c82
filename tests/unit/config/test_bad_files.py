"""What is wrong with a settings file is told with its place, what is expected there and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from versionsync.config import ConfigError, FileProblem, InvalidSetting, SecretProblem, UnknownSetting, load

NAMED = '[[sources]]\nname = "web"\n'


def problem(tmp_path: Path, text: str | bytes, *, mode: int = 0o600) -> ConfigError:
    """The error that a settings file of this text is answered with; its path is taken out of the message."""
    path = tmp_path / "versionsync.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        load(config=path, environ={})
    error = caught.value
    error.args = (str(error).replace(f"{tmp_path}/", ""),)
    return error


@pytest.mark.parametrize(
    ("text", "path", "meant"),
    [
        ("databse_url = 'x'\n", "databse_url", "database_url"),
        ("# Nothing else.\n[https]\n", "https", "http"),
        (NAMED + "rate_limt = 3\n", "sources[0].rate_limt", "sources[0].rate_limit"),
        (NAMED + "Rate_Limit = 3\n", "sources[0].Rate_Limit", "sources[0].rate_limit"),
        (
            NAMED + "mass_delete_limit = { fracton = 0.1 }\n",
            "sources[0].mass_delete_limit.fracton",
            "sources[0].mass_delete_limit.fraction",
        ),
    ],
)
def test_an_unknown_setting_names_the_nearest_known_one(tmp_path: Path, text: str, path: str, meant: str) -> None:
    error = problem(tmp_path, text)
    assert isinstance(error, UnknownSetting)
    assert (str(error), error.hint) == (
        f"versionsync.toml, line {len(text.splitlines())}: there is no setting {path}",
        f"Did you mean {meant}?",
    )


def test_an_unknown_setting_that_is_near_to_none_lists_them_all(tmp_path: Path) -> None:
    assert problem(tmp_path, "[http]\nqqq = 1\n").hint == "Here are: host, port."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("database_url = 3\n", "database_url must be a text in quotes; it is a whole number"),
        ("sources = 3\n", "sources must be one or more tables, each written [[sources]]; it is a whole number"),
        ("[sources]\n", "sources must be one or more tables, each written [[sources]]; it is a table"),
        ("http = true\n", "http must be a table; it is true or false"),
        ("[http]\nport = '1'\n", "http.port must be a whole number from 0 to 65535; it is a text"),
        ("[http]\nport = 70000\n", "http.port must be a whole number from 0 to 65535; this value is not"),
        ("[http]\nhost = 2020-01-01\n", "http.host must be a text in quotes; it is a date or a time"),
        ("[[sources]]\nname = 'a b'\n", "sources[0].name must be a name of letters, digits, - and _, at most 63; "),
        (
            NAMED + "environment = ''\n",
            "sources[0].environment must be the id of an environment: letters, digits, - and _",
        ),
        (NAMED + "api_token = 3\n", "sources[0].api_token must be a text in quotes; it is a whole number"),
        (
            NAMED + "base_url = 'ftp://x'\n",
            "sources[0].base_url must be an address that starts with https:// or http://",
        ),
        (
            NAMED + "rate_limit = 0\n",
            "sources[0].rate_limit must be a whole number of requests in 3 seconds, 1 or more",
        ),
        (NAMED + "rate_limit = 'no'\n", 'or "none"; this value is not'),
        (NAMED + "rate_limit = true\n", 'or "none"; it is true or false'),
        (
            NAMED + "mass_delete_limit = { fraction = 2 }\n",
            "sources[0].mass_delete_limit.fraction must be a number from 0 to 1; ",
        ),
        (
            NAMED + "mass_delete_limit = { count = 1.5 }\n",
            "must be a whole number, 1 or more; it is a number with a fraction",
        ),
    ],
)
def test_a_wrong_value_is_told_with_its_path_and_what_is_expected(tmp_path: Path, text: str, message: str) -> None:
    error = problem(tmp_path, text)
    assert isinstance(error, InvalidSetting)
    assert str(error).startswith(f"versionsync.toml, line {len(text.splitlines())}: ")
    assert message in str(error)


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("", 3),
        ("# [[sources]]\n\n", 5),
        ('database_url = """\nsqlite:///\\\n[[sources]]\n"""\n', 7),
        ("[[notifications]]\non = [\n  'stale',\n\n  'failing',\n]\nurl_env = 'X'\n", 10),
    ],
    ids=["first", "comments", "text of several lines", "list of several lines"],
)
@pytest.mark.parametrize("after", ["", "[http]\nport = 1\n", "[[sources]]\nname = 'shop'\n" * 40])
def test_the_line_is_that_of_the_statement(tmp_path: Path, before: str, line: int, after: str) -> None:
    """Whatever comes before and after it."""
    error = problem(tmp_path, f"{before}{NAMED}rate_limit = 0\n{after}")
    assert str(error).startswith(f"versionsync.toml, line {line}: sources[0].rate_limit must be ")


def test_the_line_of_a_value_of_several_lines_is_its_first(tmp_path: Path) -> None:
    error = problem(tmp_path, "[[notifications]]\nurl_env = 'X'\non = [\n  'stale',\n  'other',\n]\n")
    assert str(error).startswith("versionsync.toml, line 3: notifications[0].on must be ")


def test_a_wrong_value_is_never_repeated(tmp_path: Path) -> None:
    """Somebody may have put a token in the wrong place."""
    error = problem(tmp_path, NAMED + "rate_limit = 'da1ab3fe9c'\nenvironment = ''\n")
    assert "da1ab3fe9c" not in f"{error}{error.hint}"


def test_a_source_without_a_name_is_told_what_the_name_is_for(tmp_path: Path) -> None:
    error = problem(tmp_path, "[[sources]]\nenvironment = 'main'\n")
    assert str(error) == "versionsync.toml, line 1: sources[0] has no name"
    assert error.hint.startswith("Add name = …: The name of this source")


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    error = problem(tmp_path, NAMED + "[[sources]]\nname = 'Web'\n")
    assert str(error) == "versionsync.toml, line 4: sources[1].name: the name Web is taken by sources[0]"


def test_a_token_given_twice_is_refused(tmp_path: Path) -> None:
    error = problem(tmp_path, NAMED + "api_token_env = 'A'\napi_token_file = 'b'\n")
    assert str(error) == "versionsync.toml, line 4: sources[0] has api_token_env and api_token_file"


def test_a_database_given_twice_is_refused(tmp_path: Path) -> None:
    error = problem(tmp_path, "database_url = 'sqlite:///a'\ndatabase_url_file = 'b'\n")
    assert str(error) == "versionsync.toml, line 2: database_url and database_url_file are both set"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[[sources]]\nname = \n", "line 2, column 8"),
        ('[[sources]]\nname = "we', "line 2, column 11"),
        ("[[sources]]\nname = [", "line 2, column 9"),
        ("[[sources\n", "line 1, column 10"),
        ("a = 1\na = 2\n", "line 2, column 6"),
    ],
)
def test_half_written_toml_is_told_with_line_and_column(tmp_path: Path, text: str, place: str) -> None:
    error = problem(tmp_path, text)
    assert isinstance(error, FileProblem)
    assert str(error).startswith(f"versionsync.toml is not valid TOML: {place}: ")


def test_broken_toml_is_not_quoted(tmp_path: Path) -> None:
    """The parser puts parts of the file into some of its messages."""
    for text in (
        "api_token = da1ab3fe9cda1ab3\n",
        "'da1ab3fe9cda1ab3'.x = 1\n'da1ab3fe9cda1ab3' = 2\n",
        "[da1ab3fe9cda1ab3]\n" * 2,
    ):
        error = problem(tmp_path, text)
        assert "da1ab3fe9cda1ab3" not in f"{error}{error.hint}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="there is no settings file"):
        load(config=tmp_path / "nowhere.toml", environ={})


def test_a_folder_and_a_binary_are_no_settings(tmp_path: Path) -> None:
    assert "is not UTF-8 text" in str(problem(tmp_path, b"\xff\xfe"))
    with pytest.raises(FileProblem, match="cannot be read: Is a directory"):
        load(config=tmp_path, environ={})


@pytest.mark.parametrize("text", [NAMED + "api_token = 'abc123'\n", "database_url = 'postgresql://me:hunter22@db/x'\n"])
def test_a_file_with_a_secret_that_others_can_read_is_refused(tmp_path: Path, text: str) -> None:
    for mode in (0o644, 0o640, 0o604):
        error = problem(tmp_path, text, mode=mode)
        assert isinstance(error, SecretProblem)
        assert f"can be read by others (mode {mode:04o})" in str(error)
        assert error.hint == f"Run: chmod 600 {tmp_path}/versionsync.toml"


def test_a_file_without_a_secret_may_be_read_by_anybody(tmp_path: Path) -> None:
    path = tmp_path / "versionsync.toml"
    path.write_text(NAMED + "api_token_env = 'X'\n[http]\n")
    path.chmod(0o644)
    assert load(config=path, environ={}).sources[0].name == "web"
