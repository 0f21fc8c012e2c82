"""What a failed TLS handshake means, and what to do about it: pure.

Such a failure mends by no second try, so that whoever reads of it must be told all: OpenSSL's own words, and the cure.
"""

from __future__ import annotations

import ssl
from typing import Final

__all__ = ["handshake_problem"]

_TRUST: Final = (
    "nobody trusted has signed the certificate: if a proxy of your own network did, "
    "let SSL_CERT_FILE name the file with its CA"
)
_CLOCK: Final = "check this machine's clock; if it is right, whoever runs that server has to renew the certificate"
_OTHER: Final = (
    "the certificate, or that of a CA above it, is not made as it must be: whoever made it has to make another, "
    "or SSL_CERT_FILE has to name the right CA"
)
_OTHER_HOST: Final = "another server answers there: check base_url, and what is between here and there"

# By OpenSSL's codes of verification (X509_V_ERR_…), which have kept their numbers since it has had them.
_BY_CODE: Final = {
    2: _TRUST,  # no issuer
    9: _CLOCK,  # not yet valid
    10: _CLOCK,  # expired
    18: _TRUST,  # signed by itself
    19: _TRUST,  # one in the chain is
    20: _TRUST,  # no issuer here
    21: _TRUST,  # nothing but the certificate itself
    23: "the certificate was revoked: another server answers there, or it has to be renewed",
    62: _OTHER_HOST,  # of another name
    64: _OTHER_HOST,  # of another address
}
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE"})


def handshake_problem(error: ssl.SSLError) -> str:
    """`error` in a line: what OpenSSL says, and what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        said = str(error.verify_message).rstrip(".")
        advice = _BY_CODE.get(error.verify_code, _OTHER)
        return f"{said}: {advice}"
    if error.reason in _NOT_TLS:
        return "what answers there speaks no TLS: should base_url begin with http://, or name another port?"
    return f"{error.reason or 'the handshake failed'}: check base_url, and what is between here and there"
