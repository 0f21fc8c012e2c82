"""Invariant 11: whatever is written for somebody to read holds no secret."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis.strategies import characters, text

from versionsync.database_urls import EXAMPLES
from versionsync.mirror.engine.driver_errors import POSTGRES_CONNECT_ERRORS, POSTGRES_ERRORS, SQLITE_ERRORS
from versionsync.redaction import Redactor

PRINTABLE = characters(min_codepoint=33, max_codepoint=126)


@given(secret=text(PRINTABLE, min_size=4), before=text(), after=text())
def test_a_known_secret_is_never_left_in_a_text(secret: str, before: str, after: str) -> None:
    assume(secret not in "********")
    redactor = Redactor()
    redactor.learn(secret)
    assert secret not in redactor.redact(f"{before} {secret} {after}").replace("********", "")


def test_a_secret_is_masked_also_where_it_is_quoted_for_a_url() -> None:
    redactor = Redactor()
    redactor.learn_url("postgresql://me:p%40ss%2Fword@db/x")
    for form in ("p%40ss%2Fword", "p@ss/word", quote("p@ss/word", safe="")):
        assert form not in redactor.redact(f"failed with {form}.")


@pytest.mark.parametrize(
    "url",
    [
        "postgres//me:hunter22@db/x",
        "postgresql:/me:hunter22@db/x",
        "me:hunter22@db/x",
        "postgresql://me:hunter22@db/x",
        "//me:hunter22@db",
    ],
)
def test_a_mistyped_url_still_has_a_password(url: str) -> None:
    redactor = Redactor()
    redactor.learn_url(url)
    assert redactor.redact("there is no file hunter22 here") == "there is no file ******** here"


def test_a_url_without_a_password_is_shown_as_it_is() -> None:
    redactor = Redactor()
    redactor.learn_url("postgresql://postgres@127.0.0.1:5432/mirror")
    said = "the database postgresql://postgres@127.0.0.1:5432/mirror is empty"
    assert redactor.redact(said) == said


def test_of_two_secrets_the_longer_one_is_masked_whole() -> None:
    redactor = Redactor()
    redactor.learn("abcd")
    redactor.learn("abcdefgh")
    assert redactor.redact("abcdefgh abcd") == "******** ********"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer 9f1c7e5b", "Authorization: Bearer ********"),
        ("postgresql+psycopg://me:hunter22@db:5432/x", "postgresql+psycopg://me:********@db:5432/x"),
        ("https://:pw@proxy", "https://:********@proxy"),
        ("host=db password=hunter22 user=me", "host=db password=******** user=me"),
        ('{"api_token": "9f1c7e5b"}', '{"api_token": "********"}'),
        ("/items?page[limit]=500&access_token=9f1c", "/items?page[limit]=500&access_token=********"),
        ("postgresql://me:p@ss/w@rd@db/x", "postgresql://me:********@db/x"),
        ("password: hunter22", "password: ********"),
        ("Api-Token: abcdefghijklmnopqrst", "Api-Token: ********"),
        ("password='hunter'", "password='********'"),
    ],
)
def test_what_looks_like_a_secret_is_masked_though_nobody_knows_it(text: str, shown: str) -> None:
    assert Redactor().redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "3 records of 20,000, at 19.9/s",
        "https://site-api.datocms.com/items/abc/versions?page[offset]=50",
        "sqlite:////var/lib/versionsync/mirror.db",
        "postgresql://me@db/x",
        "access_token: ids only",
        "the password: see its file, the secret: nobody knows",
        "a basic plan, the bearer of this, Basic authentication",
        "http://127.0.0.1:8765/status and me@example.com",
        "https://host.example:8443/hook?to=me@example.com",
        EXAMPLES,
        "process 4711 on host-3; its lease ends at 2026-03-01 10:00:00 UTC",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor().redact(text) == text


def test_a_very_short_secret_does_not_eat_plain_words() -> None:
    redactor = Redactor()
    redactor.learn("a")
    assert redactor.redact("a banana") == "a banana"


def test_a_password_that_is_a_plain_word_does_not_eat_longer_ones() -> None:
    redactor = Redactor()
    redactor.learn_url("postgresql://postgres:postgres@db/x")
    assert redactor.redact("postgresql: no postgres here") == "postgresql: no ******** here"


def test_what_is_said_of_passwords_is_not_taken_for_one() -> None:
    """The sentences about databases come through whole."""
    for meaning in (*SQLITE_ERRORS.values(), *dict((*POSTGRES_ERRORS, *POSTGRES_CONNECT_ERRORS)).values()):
        assert Redactor().redact(meaning) == meaning
