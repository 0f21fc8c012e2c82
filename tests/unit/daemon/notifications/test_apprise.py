"""The parts of an address that may be secrets are masked; the others stay readable."""

from __future__ import annotations

import pytest

from versionsync.config import Secret
from versionsync.daemon.notifications.apprise import secrets_in


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("tgram://123456789:AbC-dEf_1234/987654321", {"123456789", "AbC-dEf_1234", "987654321"}),
        (
            "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
            {"T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ"},
        ),
        ("mailtos://someone:short@example.com", {"short"}),
        ("mailtos://someone:p%40ss-word1@example.com", {"p%40ss-word1", "p@ss-word1"}),
        ("mailtos://someone:p@ss/wo@example.com", {"p", "p@ss/wo"}),
        ("mailtos://me:short@example.com?to=you@example.com", {"short", "short@example.com?to=you"}),
        ("json://hooks.example.com/versionsync/webhooks", set()),
        ("ntfy://localhost/versionsync", set()),
    ],
)
def test_the_secrets_of_an_address(url: str, secrets: set[str]) -> None:
    """The address itself always is one."""
    assert set(secrets_in(Secret(url))) == {url} | secrets
