"""Who may use the control endpoints."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from versionsync.simulator.http.control import ControlToken, is_loopback, refusal

TOKEN = ControlToken("a-token-of-the-tests")
OWN = "http://127.0.0.1:8080"


def refused(
    remote: str | None = "127.0.0.1", *, own: str = OWN, token: ControlToken | None = None, **headers: str
) -> str | None:
    """Why a request with *headers* (`_` for `-`) is refused."""
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return refusal(remote, named, own_origin=own, token=token)


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_a_program_on_this_machine_needs_no_token(remote: str) -> None:
    assert refused(remote) is None
    assert refused(remote, token=TOKEN) is None
    assert is_loopback(remote)


@pytest.mark.parametrize("remote", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "fe80::1%eth0", "0.0.0.0", None])
def test_a_program_on_another_machine_needs_the_token(remote: str | None) -> None:
    assert "start the simulator with a control token" in (refused(remote) or "")
    assert "send the control token" in (refused(remote, token=TOKEN) or "")
    assert refused(remote, token=TOKEN, Authorization="Bearer wrong-token-of-tests") is not None
    assert refused(remote, token=TOKEN, Authorization="Basic a-token-of-the-tests") is not None
    assert refused(remote, Authorization="Bearer a-token-of-the-tests") is not None
    assert refused(remote, token=TOKEN, Authorization="Bearer a-token-of-the-tests") is None
    assert remote is None or not is_loopback(remote)


@pytest.mark.parametrize("header", ["X-Forwarded-For", "x-forwarded-for", "Forwarded", "X-Real-IP"])
def test_what_a_proxy_on_this_machine_hands_on_comes_from_elsewhere(header: str) -> None:
    assert refused(**{header: "192.0.2.1"}) is not None
    assert refused(token=TOKEN, Authorization="Bearer a-token-of-the-tests", **{header: "192.0.2.1"}) is None


@pytest.mark.parametrize("origin", ["https://example.com", "null", "http://127.0.0.1:9090", "http://localhost:8080"])
def test_a_page_of_another_site_is_refused_even_with_the_token(origin: str) -> None:
    assert "another site" in (refused(Origin=origin) or "")
    assert refused(Origin=origin, token=TOKEN, Authorization="Bearer a-token-of-the-tests") is not None


def test_a_page_of_another_site_is_known_without_an_origin_too() -> None:
    """Browsers send no `Origin` for pictures and scripts."""
    assert refused(Sec_Fetch_Site="cross-site") is not None
    assert refused(Sec_Fetch_Site="same-site") is not None
    assert refused(Sec_Fetch_Site="none") is None


def test_a_request_with_its_own_origin_is_answered() -> None:
    assert refused(Origin=OWN, Sec_Fetch_Site="same-origin") is None


def test_a_name_that_leads_to_this_machine_is_not_trusted() -> None:
    """A page can have its own name lead to 127.0.0.1; its requests then have its own origin, or none."""
    assert refused(own="http://example.com:8080", Origin="http://example.com:8080") is not None
    assert refused(own="http://example.com:8080") is not None
    assert refused(own="http://localhost.example.com:8080") is not None
    for own in ("http://localhost:8080", "http://sim.localhost", "http://[::1]:8080", "http://192.0.2.1:8080"):
        assert refused(own=own) is None
    assert refused(own="http://simulator:8080", token=TOKEN, Authorization="Bearer a-token-of-the-tests") is None


@pytest.mark.parametrize("secret", ["", "short", "sixteen letters ", "sixteen-letters-é", "sixteen-letters\n"])
def test_a_token_that_is_easy_to_guess_or_fits_no_header_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="16 characters"):
        ControlToken(secret)


def test_a_token_that_is_shown_in_other_letters_is_wrong_and_no_error() -> None:
    assert not TOKEN.matches("Bearer ünicöde")
    assert not TOKEN.matches("")
    assert TOKEN.matches("bearer  a-token-of-the-tests")
