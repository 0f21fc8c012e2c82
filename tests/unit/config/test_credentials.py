"""Where tokens and database URLs come from, and what is not taken for one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from versionsync.config import Secret, SecretProblem, Settings, SourceSettings, credentials
from versionsync.config.credentials import SecretReader, looks_like_a_placeholder

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a secret file below the test's folder; its mode is 0600 unless another is given."""

    def write(name: str, text: str, *, mode: int = 0o600) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def token(source: SourceSettings, tmp_path: Path, **environ: str) -> str:
    return SecretReader(tmp_path, environ).api_token(source).reveal()


def test_a_source_that_names_no_token_takes_the_usual_variable(tmp_path: Path) -> None:
    assert token(SourceSettings(name="web"), tmp_path, DATOCMS_API_TOKEN="abc") == "abc"


def test_a_named_variable_is_the_only_one_looked_at(tmp_path: Path) -> None:
    source = SourceSettings(name="web", api_token_env="OTHER")
    assert token(source, tmp_path, OTHER="abc", DATOCMS_API_TOKEN="def") == "abc"
    with pytest.raises(SecretProblem, match=r"^source web has no API token: OTHER is not set$"):
        token(source, tmp_path, DATOCMS_API_TOKEN="def")


def test_a_relative_token_file_is_beside_the_settings(tmp_path: Path, write: Write) -> None:
    write("web.token", "abc\n")
    assert token(SourceSettings(name="web", api_token_file="web.token"), tmp_path) == "abc"


def test_a_token_file_with_a_mark_of_windows_editors_is_read(tmp_path: Path, write: Write) -> None:
    write("web.token", "\ufeffabc\r\n")
    assert token(SourceSettings(name="web", api_token_file="web.token"), tmp_path) == "abc"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path, write: Write, mode: int) -> None:
    path = write("web.token", "abc123\n", mode=mode)
    with pytest.raises(SecretProblem) as caught:
        token(SourceSettings(name="web", api_token_file=str(path)), tmp_path)
    assert str(caught.value) == f"{path} holds a secret and can be read by others (mode {mode:04o})"
    assert caught.value.hint == f"Run: chmod 600 {path}"


def test_credentials_of_the_service_manager_are_found_by_the_name_of_the_source(tmp_path: Path, write: Write) -> None:
    write("given/web", "abc\n", mode=0o444)
    write("given/api_token", "def\n", mode=0o444)
    given = {"CREDENTIALS_DIRECTORY": str(tmp_path / "given"), "DATOCMS_API_TOKEN": "ghi"}
    assert token(SourceSettings(name="web"), tmp_path, **given) == "abc"
    assert token(SourceSettings(name="shop"), tmp_path, **given) == "def"


def test_a_relative_token_file_is_looked_up_among_the_credentials_first(tmp_path: Path, write: Write) -> None:
    write("given/web.token", "abc\n", mode=0o444)
    write("web.token", "def\n")
    source = SourceSettings(name="web", api_token_file="web.token")
    assert token(source, tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path / "given")) == "abc"


def test_container_secrets_may_have_any_mode(tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("run/secrets/token", "abc\n", mode=0o444)
    monkeypatch.setattr(credentials, "CONTAINER_SECRETS", tmp_path / "run/secrets")
    assert token(SourceSettings(name="web", api_token_file=str(path)), tmp_path) == "abc"


def test_a_link_out_of_the_credentials_is_not_trusted_less_than_its_place(tmp_path: Path, write: Write) -> None:
    """Kubernetes mounts each secret as a link into a folder beside it."""
    write("given/..data/token", "abc\n", mode=0o444)
    (tmp_path / "given/token").symlink_to("..data/token")
    source = SourceSettings(name="web", api_token_file=str(tmp_path / "given/token"))
    assert token(source, tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path / "given")) == "abc"


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_an_empty_token_has_its_own_message(tmp_path: Path, text: str) -> None:
    with pytest.raises(SecretProblem, match=r"^the API token of source web is empty \(DATOCMS_API_TOKEN\)$"):
        token(SourceSettings(name="web"), tmp_path, DATOCMS_API_TOKEN=text)


@pytest.mark.parametrize(
    "text",
    [
        "YOUR_API_TOKEN",
        "your-datocms-api-token",
        "<token>",
        "<your token here>",
        "${DATOCMS_API_TOKEN}",
        "$TOKEN",
        "{{ token }}",
        "xxxxxxxx",
        "XXX",
        "...",
        "…",
        "changeme",
        "change-me",
        "api_token",
        "token",
        "TODO",
        "null",
        "********",
        "insert token",
    ],
)
def test_a_placeholder_has_its_own_message(tmp_path: Path, text: str) -> None:
    with pytest.raises(SecretProblem, match=r"is only a placeholder \(DATOCMS_API_TOKEN\)$"):
        token(SourceSettings(name="web"), tmp_path, DATOCMS_API_TOKEN=text)


@pytest.mark.parametrize("text", ["9f1c7e5b3a2d4c6e8f0a1b2c3d4e5f", "simulator-full-access", "tokenizer", "a"])
def test_a_token_is_not_taken_for_a_placeholder(text: str) -> None:
    assert not looks_like_a_placeholder(text)


@pytest.mark.parametrize("text", ["abc def", "DATOCMS_API_TOKEN: abc", "abc\ndef", "abc\x00def", "abcé", "abc\x1b[0m"])
def test_what_cannot_be_a_token_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    """Such a value would end as an invalid header, whose message shows it."""
    with pytest.raises(SecretProblem, match="has characters that no token has") as caught:
        token(SourceSettings(name="web"), tmp_path, DATOCMS_API_TOKEN=text)
    assert "abc" not in f"{caught.value}{caught.value.hint}"


def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretProblem, match=r"^there is no file .*/nowhere$"):
        token(SourceSettings(name="web", api_token_file="nowhere"), tmp_path)


def test_a_folder_a_huge_file_and_a_binary_are_no_secret(tmp_path: Path, write: Write) -> None:
    write("huge", "a" * 100_000)
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")
    (tmp_path / "binary").chmod(0o600)
    for name, message in {"huge": "too large", "folder": "is not a file", "binary": "is not text"}.items():
        with pytest.raises(SecretProblem, match=message):
            token(SourceSettings(name="web", api_token_file=name), tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every file")
def test_an_unreadable_file_is_told(tmp_path: Path, write: Write) -> None:
    write("web.token", "abc", mode=0o000)
    with pytest.raises(SecretProblem, match="cannot be read: Permission denied"):
        token(SourceSettings(name="web", api_token_file="web.token"), tmp_path)


def test_a_database_url_may_stand_in_a_file(tmp_path: Path, write: Write) -> None:
    path = write("url", "postgresql://me:pw@db/x\n")
    settings = Settings(database_url_file=str(path))
    assert SecretReader(tmp_path, {}).database_url(settings) == Secret("postgresql://me:pw@db/x")


def test_a_database_url_is_found_among_the_credentials(tmp_path: Path, write: Write) -> None:
    write("given/database_url", "postgresql://me:pw@db/x\n", mode=0o444)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "given")}
    assert SecretReader(tmp_path, environ).database_url(Settings()).reveal() == "postgresql://me:pw@db/x"
    own = Settings(database_url=Secret("sqlite:///own.db"))
    assert SecretReader(tmp_path, environ).database_url(own).reveal() == "sqlite:///own.db"


def test_an_empty_database_url_is_told(tmp_path: Path, write: Write) -> None:
    path = write("url", "\n")
    with pytest.raises(SecretProblem, match="the database URL is empty"):
        SecretReader(tmp_path, {}).database_url(Settings(database_url_file=str(path)))


def restore_token(source: SourceSettings, tmp_path: Path, **environ: str) -> str | None:
    found = SecretReader(tmp_path, environ).restore_token(source)
    return None if found is None else found.reveal()


def test_a_restore_token_is_never_the_token_that_reads(tmp_path: Path) -> None:
    web = SourceSettings(name="web")
    assert restore_token(web, tmp_path, DATOCMS_API_TOKEN="abc") is None
    assert restore_token(web, tmp_path, DATOCMS_API_TOKEN="abc", DATOCMS_RESTORE_TOKEN=" ") is None
    assert restore_token(web, tmp_path, DATOCMS_API_TOKEN="abc", DATOCMS_RESTORE_TOKEN="def") == "def"


def test_a_restore_token_is_where_the_source_says(tmp_path: Path, write: Write) -> None:
    named = SourceSettings(name="web", restore_token_env="OTHER")
    assert restore_token(named, tmp_path, OTHER="abc", DATOCMS_RESTORE_TOKEN="def") == "abc"
    assert restore_token(named, tmp_path, DATOCMS_RESTORE_TOKEN="def") is None
    in_file = SourceSettings(name="web", restore_token_file="web.restore")
    with pytest.raises(SecretProblem, match="there is no file"):
        restore_token(in_file, tmp_path)
    write("web.restore", "abc\n")
    assert restore_token(in_file, tmp_path) == "abc"
    write("web.restore", "")
    with pytest.raises(SecretProblem, match="the restore token of source web is empty"):
        restore_token(in_file, tmp_path)


@pytest.mark.parametrize("text", ["<token>", "your-token", "two words", "'quoted'"])
def test_what_cannot_be_a_restore_token_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SecretProblem, match="the restore token of source web"):
        restore_token(SourceSettings(name="web"), tmp_path, DATOCMS_RESTORE_TOKEN=text)
