"""What is taken for a database URL, and that no password of one is ever seen."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis.strategies import DrawFn, characters, composite, lists, sampled_from, text
from sqlalchemy import make_url

from versionsync.database_urls import BadDatabaseUrl, parse, secrets_in
from versionsync.mirror.engine.sqlalchemy_urls import database_url, safe_url
from versionsync.mirror.errors import DatabaseUnavailable
from versionsync.redaction import Redactor

FRAGMENT = text("ABCDEFGHJKMNPQRSTUVWXYZ23456789", min_size=6, max_size=9)
"""A part of a password that stands in no message, with whatever else it may be together."""

FORMS = (
    "postgresql://me:{}@db.internal:5432/mirror",
    "postgres://me:{}@db.internal/mirror?sslmode=require",
    "postgresql+psycopg://:{}@db.internal",
    "postgresql://db.internal/mirror?user=me&password={}",
    "postgresql://me@db.internal/mirror?password={}&sslmode=require",
    "postgresql://db.internal/mirror?sslmode=require&PassWord={}",
    "postgresql://db.internal/mirror?sslpassword={}",
    "postgresql://db.internal/mirror?oauth_client_secret={}",
    "postgresql://me:{}@db.internal:port/mirror",
    "postgresql://me:{}@db.internal:99999/mirror",
    "postgresql//me:{}@db.internal/mirror",
    "postgresql:/me:{}@db.internal/mirror",
    "me:{}@db.internal/mirror",
    "//me:{}@db.internal",
    "mysql://me:{}@db.internal/mirror",
    "sqlite://me:{}@db.internal/mirror",
    "sqlite:///mirror.db?password={}",
    "host=db.internal user=me password={}",
    "Server=db.internal;Uid=me;Pwd={}",
    "jdbc:postgresql://db.internal/mirror?user=me&password={}",
    "psql 'postgresql://me:{}@db.internal/mirror'",
    "DATABASE_URL=postgresql://me:{}@db.internal/mirror",
    '"postgresql://me:{}@db.internal/mirror"',
)


BETWEEN = text(characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["Zs", "Cc"]), max_size=3)


@composite
def passwords(draw: DrawFn) -> tuple[str, list[str]]:
    """A password, and the parts of it of which none may be seen."""
    fragments = draw(lists(FRAGMENT, min_size=1, max_size=3))
    return draw(BETWEEN).join(fragments), fragments


@given(form=sampled_from(FORMS), password=passwords(), is_quoted=sampled_from([True, False]))
def test_no_password_is_shown_or_told(form: str, password: tuple[str, list[str]], is_quoted: bool) -> None:
    """Raw or quoted, among the parameters or before the host, in a URL that is taken or in one that is refused."""
    whole, fragments = password
    url = form.format(quote(whole, safe="") if is_quoted else whole)
    try:
        told = f"{parse(url)!r} {safe_url(url)} {parse(url).without_secrets()}"
    except BadDatabaseUrl as error:
        with pytest.raises(DatabaseUnavailable) as caught:
            database_url(url)
        told = f"{error} {error.hint} {caught.value}"
    assert not [fragment for fragment in fragments if fragment in told]


@given(form=sampled_from(FORMS), password=passwords(), is_quoted=sampled_from([True, False]))
def test_what_repeats_a_url_is_masked(form: str, password: tuple[str, list[str]], is_quoted: bool) -> None:
    """As an error of another program may, or one of a command line."""
    whole, fragments = password
    url = form.format(quote(whole, safe="") if is_quoted else whole)
    redactor = Redactor()
    redactor.learn_url(url)
    assert secrets_in(url)
    told = redactor.redact(f"cannot read {url}: no.")
    assert not [fragment for fragment in fragments if fragment in told]


@given(password=text(characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cc"]), min_size=1))
def test_a_quoted_password_arrives(password: str) -> None:
    """Both ways of writing it, and as SQLAlchemy reads the usual one."""
    quoted = quote(password, safe="")
    usual, other = f"postgresql://me:{quoted}@db/mirror", f"postgresql://me@db/mirror?password={quoted}"
    assert parse(usual).password == make_url(usual).password == database_url(usual).password == password
    assert database_url(other).query["password"] == password
    assert password in parse(usual).secrets
    assert password in parse(other).secrets


@pytest.mark.parametrize("written", ["p@ss", "p/ss", "p?ss", "pa/ss@word", "@", "5432/p"])
def test_a_password_whose_end_can_be_doubted_is_refused(written: str) -> None:
    with pytest.raises(BadDatabaseUrl, match="it is not clear where") as caught:
        parse(f"postgresql://me:{written}@db/mirror")
    assert "%40" in caught.value.hint


@pytest.mark.parametrize("written", ["p#ss", "p:ss", "p&ss", "p=ss", "p+ss", "100%", "p ss", "[x]"])
def test_a_password_that_can_be_read_in_one_way_only_may_be_raw(written: str) -> None:
    assert database_url(f"postgresql://me:{written}@db:5433/mirror").password == written


def test_a_plus_among_the_parameters_is_a_plus() -> None:
    """As libpq has it, and psql with it."""
    assert database_url("postgresql://db/x?password=a+b&application_name=c+d").query == {
        "password": "a+b",
        "application_name": "c+d",
    }


def test_the_rest_of_a_raw_password_is_not_taken_for_a_parameter() -> None:
    with pytest.raises(BadDatabaseUrl, match="one that PostgreSQL does not know"):
        parse("postgresql://db/mirror?password=hunter&22=x")


def test_a_parameter_of_another_program_is_left_to_the_driver_and_not_shown() -> None:
    assert safe_url("postgresql://me@db/x?schema=public&sslmode=require") == "postgresql://me@db/x?***&sslmode=require"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:pw@db:5433/mirror", "postgresql://me:***@db:5433/mirror"),
        ("postgresql://me:@db/mirror", "postgresql://me:***@db/mirror"),
        ("postgres://db", "postgresql://db"),
        ("postgresql:///mirror?host=/run/postgresql", "postgresql:///mirror?host=/run/postgresql"),
        ("postgresql://me%40corp@[::1]:5432/my%20db", "postgresql://me%40corp@[::1]:5432/my%20db"),
        ("postgresql://%2Frun%2Fpostgresql/x", "postgresql://%2Frun%2Fpostgresql/x"),
        ("postgresql://db/x?options=-c%20search_path%3Da", "postgresql://db/x?options=-c%20search_path%3Da"),
        ("sqlite:///mirror.db?timeout=5", "sqlite:///mirror.db?timeout=5"),
        ("sqlite:////var/lib/a%20b.db", "sqlite:////var/lib/a b.db"),
        ("mirror.db", "sqlite:///mirror.db"),
        (" mirror.db\n", "sqlite:///mirror.db"),
        ("/srv/me@corp/mirror.db", "sqlite:////srv/me@corp/mirror.db"),
        ("sqlite:////srv/a:b@c/d=e.db", "sqlite:////srv/a:b@c/d=e.db"),
    ],
)
def test_what_is_shown_still_says_which_database_it_is(url: str, shown: str) -> None:
    assert safe_url(url) == shown


@pytest.mark.parametrize(
    "written",
    [
        "host=db.internal dbname=mirror",
        "dbname = mirror",
        "Driver={PostgreSQL};Server=db",
        "mirror.db?mode=ro",
        "sqlite:mirror.db",
        "sqlite:/mirror.db",
        "postgres:mirror",
        "postgresql//db/mirror",
        "file:mirror.db",
        "localhost:5432/mirror",
        "me:pw@db/mirror",
        "//db/mirror",
        "C:\\mirror.db",
        "postgresql",
        "SQLite",
    ],
)
def test_what_was_to_be_something_else_is_no_path(written: str) -> None:
    """It would become a file of that name, and look like a success."""
    with pytest.raises(BadDatabaseUrl, match="neither a URL nor the path of a file"):
        parse(written)


@pytest.mark.parametrize(
    ("written", "says", "hint"),
    [
        ("", "is empty", "sqlite:///PATH"),
        ("a\nb", "a line break", "sqlite:///PATH"),
        ("mirror\0.db", "control character", "sqlite:///PATH"),
        ('"mirror.db"', "has quotes around it", "without them"),
        ("$DATABASE_URL", "only a placeholder", "sqlite:///PATH"),
        ("${DATABASE_URL}", "only a placeholder", "sqlite:///PATH"),
        ("<url>", "only a placeholder", "sqlite:///PATH"),
        ("data/", "names a folder", "file in it"),
        ("sqlite://mirror.db", "has three slashes", "sqlite:///mirror.db"),
        ("sqlite:///mirror.db?mode=ro", "parameter that versionsync does not know", "`timeout`"),
        ("mysql://db/x", "databases of the kind mysql$", "postgresql://"),
        ("DATABASE_URL=postgresql://db/x", "has something before it", "nothing else"),
        ("postgresql://db:54x/mirror", "cannot be read", "%3A"),
        ("postgresql://db:0/mirror", "cannot be read", "%3A"),
        ("postgresql://a:1,b:2/mirror", "cannot be read", "HOST:PORT"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_write(written: str, says: str, hint: str) -> None:
    with pytest.raises(BadDatabaseUrl, match=says) as caught:
        parse(written)
    assert hint in caught.value.hint
