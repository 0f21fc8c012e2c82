"""A token is never shown, and never read wrong."""

from __future__ import annotations

import copy
import pickle

import pytest

from versionsync.cma.session import ApiRequest, checked_base_url, checked_token
from versionsync.secret import Secret


def test_no_way_of_printing_shows_it() -> None:
    """repr, str, format, and what an error of its own says."""
    secret = Secret("0123456789abcdef")
    shown = f"{secret} {secret!r} {secret!s} {[secret]} {vars(type(secret))}"
    assert "0123456789" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)
    assert secret.reveal() == "0123456789abcdef"


def test_equal_tokens_are_equal() -> None:
    """So that sources of one token share a limiter."""
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1


def test_white_space_around_a_token_is_dropped() -> None:
    """A file of it ends with a line feed."""
    assert checked_token(Secret(" abc\n")) == Secret("abc")


@pytest.mark.parametrize("token", ["", "  \n", "ab cd", "geheimnißvoll", "a\r\nX-Evil: 1", "a\0b"])
def test_what_cannot_be_a_token_is_refused_without_being_shown(token: str) -> None:
    """Also by the cause of the error."""
    with pytest.raises(ValueError, match="token") as refused:
        checked_token(Secret(token))
    assert token.strip() == "" or token not in repr(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


@pytest.mark.parametrize("url", ["", "site-api.datocms.com", "ftp://x", "https://", "https://user:pw@x", "https://x?y"])
def test_what_cannot_be_the_address_is_refused(url: str) -> None:
    """At once, and not as a failed connection later."""
    with pytest.raises(ValueError, match="base_url"):
        checked_base_url(url)


def test_a_slash_at_the_end_of_the_address_does_not_count() -> None:
    """It would double in every path."""
    assert checked_base_url("https://site-api.datocms.com/") == "https://site-api.datocms.com"


def test_a_request_is_named_without_what_may_be_content() -> None:
    """Errors show pages and models, but no values of filters."""
    params = (("page[offset]", "500"), ("filter[type]", "article"), ("filter[fields][title][eq]", "secret plans"))
    call = ApiRequest("/items", params, method="POST", body=b"secret body")
    assert str(call) == "POST /items?page[offset]=500&filter[type]=article&filter[fields][title][eq]=…"
    assert "secret" not in repr(call)
