"""Heartbeats and notifications trust the CA in SSL_CERT_FILE, as everything else."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.fixtures.fake_upstreams import Given, gateway
from versionsync.config import Secret
from versionsync.daemon.notifications.apprise import NotSent, open_channel
from versionsync.daemon.notifications.heartbeat import _get
from versionsync.daemon.notifications.text import Notification

NOTIFICATION = Notification(title="a test", body="of the way", kind=None)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A web server of a company, signed by its own CA, which is in `ca.pem`."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")  # a notification sets it, which must not outlast the test
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    with gateway("", tls=context, instead=lambda _path: Given(200)) as url:
        yield url


async def test_a_heartbeat_trusts_the_named_ca(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no other; a variable that is wrong is named."""
    assert "cannot be reached" in str(await _get(Secret(server)))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert await _get(Secret(server)) is None
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    assert "SSL_CERT_FILE names" in str(await _get(Secret(server)))
    monkeypatch.setenv("https_proxy", "socks5://me:hunter22@proxy")
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "SOCKS" in str(await _get(Secret(server)))


async def test_a_notification_trusts_the_named_ca(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its library has its own variable for that."""
    library = logging.getLogger("apprise")  # a failure shows its reason
    library.addHandler(caplog.handler)
    monkeypatch.setattr(library, "level", logging.DEBUG)
    target = Secret(server.replace("https://", "jsons://") + "/?method=get&cto=60&rto=60")  # the library waits for 4 s
    with pytest.raises(NotSent):
        await asyncio.to_thread(open_channel(target, where="notifications[0]"), NOTIFICATION)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    await asyncio.to_thread(open_channel(target, where="notifications[0]"), NOTIFICATION)
