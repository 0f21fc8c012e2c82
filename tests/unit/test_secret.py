"""A secret is seen only by who asks for it by name."""

from __future__ import annotations

import pickle

import pytest

from versionsync.config import Secret


def test_a_secret_shows_a_mask_wherever_it_is_printed() -> None:
    secret = Secret("hunter22")
    assert "hunter22" not in f"{secret} {secret!r} {secret!s} {[secret]} {secret:}"
    assert secret.reveal() == "hunter22"


def test_equal_secrets_are_equal_and_an_empty_one_is_false() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret("a") != "a"
    assert not Secret("")


def test_a_secret_is_not_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret("a"))
