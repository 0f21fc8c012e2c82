"""The messages for a failed handshake."""

from __future__ import annotations

import ssl

import pytest

from versionsync.cma.transport import handshake_problem


def refused(code: int, message: str) -> ssl.SSLError:
    """A certificate that OpenSSL does not accept."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    return error


def failed(reason: str | None) -> ssl.SSLError:
    """A handshake that did not get as far as a certificate."""
    error = ssl.SSLError(1, "it failed")
    error.reason = reason  # type: ignore[assignment]
    return error


@pytest.mark.parametrize(
    ("error", "says", "advises"),
    [
        (refused(10, "certificate has expired"), "certificate has expired: ", "this machine's clock"),
        (refused(9, "certificate is not yet valid"), "not yet valid: ", "this machine's clock"),
        (refused(18, "self-signed certificate"), "self-signed certificate: ", "SSL_CERT_FILE"),
        (refused(20, "unable to get local issuer certificate"), "local issuer certificate: ", "SSL_CERT_FILE"),
        (refused(62, "Hostname mismatch, not valid for 'x'."), "not valid for 'x': ", "base_url"),
        (refused(64, "IP address mismatch."), "IP address mismatch: ", "base_url"),
        (refused(23, "certificate revoked"), "certificate revoked: ", "renewed"),
        (refused(99, "something new"), "something new: ", "SSL_CERT_FILE"),
        (failed("WRONG_VERSION_NUMBER"), "speaks no TLS", "http://"),
        (failed("SSLV3_ALERT_HANDSHAKE_FAILURE"), "SSLV3_ALERT_HANDSHAKE_FAILURE: ", "base_url"),
        (failed(None), "the handshake failed: ", "base_url"),
    ],
)
def test_it_says_what_openssl_says_and_what_to_do(error: ssl.SSLError, says: str, advises: str) -> None:
    """In one line."""
    problem = handshake_problem(error)
    assert says in problem
    assert advises in problem.partition(says)[2]
    assert "\n" not in problem


@pytest.mark.parametrize("code", [2, 18, 19, 20, 21])
def test_a_ca_that_is_not_known_can_be_named(code: int) -> None:
    """OpenSSL has five codes for it."""
    assert "let SSL_CERT_FILE name the file with its CA" in handshake_problem(refused(code, "not known"))
