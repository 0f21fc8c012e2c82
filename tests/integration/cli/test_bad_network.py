"""What stands between here and DatoCMS, and does not belong there: told as what it is, at once, and nothing is lost."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.fixtures.fake_upstreams import Given, gateway, unused_port
from tests.integration.cli.conftest import Cli, Ran
from tests.integration.cli.mirror_queries import rows, version_count
from tests.integration.cli.test_bad_input import check
from versionsync.simulator import SimulatorThread

HERE = "127.0.0.1"
LOGIN = "<!doctype html><title>Welcome</title><form><input name=password></form>"
SOON_SECONDS = 60.0
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _no_detours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a proxy and CAs of their own."""
    for name in ("no_proxy", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between tries are hardly any; how often is tried stays as it is."""
    monkeypatch.setattr("versionsync.cma.retry.backoff", lambda tries, **_: 0.01 * tries)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    """A CA that nobody knows."""
    return trustme.CA()


@pytest.fixture
def trusted(ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CA is named by SSL_CERT_FILE."""
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


def served_with(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """A server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def timed(run: Callable[[], Ran]) -> tuple[Ran, float]:
    """What it came to, and how many seconds that took."""
    began = time.monotonic()
    return run(), time.monotonic() - began


def both_tell(cli: Cli, at: dict[str, str], *, says: str) -> None:
    """`sync` and `doctor` say so, within seconds, and end with the code of an upstream that is not there."""
    ran, seconds = timed(lambda: cli("sync", **at))
    check(ran, code=5, says=says)
    assert seconds < SOON_SECONDS
    assert "Nothing is lost" in ran.err
    ran = cli("doctor", "--json", **at)
    (told,) = [finding for finding in ran.json["findings"] if finding["severity"] == "error"]
    assert (ran.code, told["check"], told["exit"]) == (5, "token", 5)


def test_a_ca_that_ssl_cert_file_names_is_trusted(
    cli: Cli, at: dict[str, str], ca: trustme.CA, trusted: None, tmp_path: Path
) -> None:
    """As where a company's own proxy signs for everybody."""
    with gateway(at["VERSIONSYNC_BASE_URL"], tls=served_with(ca.issue_cert(HERE))) as url:
        assert cli("sync", **(at | {"VERSIONSYNC_BASE_URL": url})).code == 0
    assert version_count(tmp_path / "versionsync.db") == 6


def test_a_certificate_that_nobody_has_signed(cli: Cli, at: dict[str, str], ca: trustme.CA) -> None:
    with gateway(at["VERSIONSYNC_BASE_URL"], tls=served_with(ca.issue_cert(HERE))) as url:
        both_tell(cli, at | {"VERSIONSYNC_BASE_URL": url}, says="no trusted CA has signed .* SSL_CERT_FILE")


def test_a_certificate_of_another_host(cli: Cli, at: dict[str, str], ca: trustme.CA, trusted: None) -> None:
    with gateway(at["VERSIONSYNC_BASE_URL"], tls=served_with(ca.issue_cert("portal.example"))) as url:
        both_tell(cli, at | {"VERSIONSYNC_BASE_URL": url}, says="not valid for '127.0.0.1': another server answers")


@pytest.mark.parametrize(("begins", "ends", "why"), [(-3, -1, "has expired"), (1, 3, "is not yet valid")])
def test_a_certificate_out_of_its_time(
    cli: Cli, at: dict[str, str], ca: trustme.CA, trusted: None, begins: int, ends: int, why: str
) -> None:
    """Which a wrong clock of this machine looks like."""
    now = datetime.now(UTC)
    certificate = ca.issue_cert(HERE, not_before=now + begins * DAY, not_after=now + ends * DAY)
    with gateway(at["VERSIONSYNC_BASE_URL"], tls=served_with(certificate)) as url:
        both_tell(cli, at | {"VERSIONSYNC_BASE_URL": url}, says=f"certificate {why}: check this machine's clock")


def test_https_where_no_tls_is_spoken(cli: Cli, at: dict[str, str]) -> None:
    url = at["VERSIONSYNC_BASE_URL"].replace("http://", "https://")
    both_tell(cli, at | {"VERSIONSYNC_BASE_URL": url}, says="speaks no TLS: should base_url begin with http://")


def test_http_where_tls_is_spoken(cli: Cli, at: dict[str, str], ca: trustme.CA) -> None:
    with gateway(at["VERSIONSYNC_BASE_URL"], tls=served_with(ca.issue_cert(HERE))) as url:
        plain = url.replace("https://", "http://")
        both_tell(cli, at | {"VERSIONSYNC_BASE_URL": plain}, says="base_url says http, should it be https?")


@pytest.mark.parametrize("content", [None, "", "no certificate at all"])
def test_a_file_of_cas_that_is_none(
    cli: Cli, at: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    """Settings are wrong, not the network."""
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    check(cli("sync", **at), code=2, says=r"SSL_CERT_FILE names .*ca\.pem, which cannot be used: ")
    assert cli("doctor", **at).code == 2


def test_a_proxy_that_is_no_address(cli: Cli, at: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its password stays unsaid."""
    monkeypatch.setenv("http_proxy", "htp://me:hunter22@proxy:x")
    monkeypatch.setenv("no_proxy", "")
    ran = cli("sync", **at)
    check(ran, code=2, says="HTTP_PROXY names no proxy")
    assert "hunter22" not in ran.written


HTML = {"Content-Type": "text/html"}
ELSEWHERE = {"Location": "https://login.example/?to=x"}
PORTALS = {
    "a login page": (Given(200, LOGIN, HTML), "a web page came instead of the API's answer"),
    "a login page that may not be seen": (Given(403, LOGIN, HTML), "a web page came instead"),
    "no such page": (Given(404, LOGIN, HTML), "a web page came instead"),
    "a redirect": (Given(302, "", ELSEWHERE), r"redirected to login\.example: a login page on the way"),
    "a proxy's password": (
        Given(407, LOGIN, HTML),
        "the proxy wants a user and a password, which HTTPS_PROXY can hold",
    ),
    "a network's login": (Given(511, LOGIN, HTML), "wants a login before it lets anyone out"),
    "JSON of another": (
        Given(200, '{"login": "x"}', {"Content-Type": "application/json"}),
        "no document of the API: .*`data`",
    ),
}


MID_RUN = 3  # beacon, schema and list were answered


@pytest.mark.parametrize("portal", PORTALS)
@pytest.mark.parametrize("after", [0, MID_RUN - 1, MID_RUN])
def test_a_portal_is_no_empty_project(
    cli: Cli, at: dict[str, str], hurried: None, tmp_path: Path, portal: str, after: int
) -> None:
    """Neither from the start nor when it comes in the middle of a run; afterwards all is as it should be."""
    given, says = PORTALS[portal]
    cli("sync", **at)
    asked: list[str] = []

    def instead(path: str) -> Given | None:
        asked.append(path)
        return given if len(asked) > after else None

    with gateway(at["VERSIONSYNC_BASE_URL"], instead=instead) as url:
        check(cli("sync", "--full", **(at | {"VERSIONSYNC_BASE_URL": url})), code=5, says=says)
    assert "! the last run failed: " in cli("status", **at).out
    assert rows(tmp_path / "versionsync.db", "select count(*), count(deleted_at) from records") == [(3, 0)]
    assert rows(tmp_path / "versionsync.db", "select count(*) from models where deleted_at is not null") == [(0,)]
    assert cli("sync", "--full", **at).code == 0
    assert rows(tmp_path / "versionsync.db", "select count(*), count(deleted_at) from records") == [(3, 0)]
    assert version_count(tmp_path / "versionsync.db") == 6


def test_a_proxy_that_refuses_and_one_that_is_not_there(
    cli: Cli, at: dict[str, str], hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the way to an https address, where the proxy is asked for a tunnel."""
    far = at | {"VERSIONSYNC_BASE_URL": "https://site-api.datocms.invalid"}
    with gateway("", instead=lambda _path: Given(407)) as proxy:
        monkeypatch.setenv("https_proxy", proxy)
        both_tell(cli, far, says="the proxy on the way to .* said 407: check HTTPS_PROXY and NO_PROXY")
    monkeypatch.setenv("https_proxy", "http://proxy.of-nobody.invalid:3128")
    both_tell(cli, far, says=r"the name of the proxy, proxy\.of-nobody\.invalid, cannot be resolved: check HTTPS_PROXY")
    monkeypatch.setenv("https_proxy", "socks5://me:hunter22@proxy:1080")
    check(cli("sync", **far), code=2, says="HTTPS_PROXY names a SOCKS proxy")
    monkeypatch.setenv("https_proxy", f"http://{HERE}:{unused_port()}")
    both_tell(cli, far, says="the proxy on the way to .* is not there: check HTTPS_PROXY and NO_PROXY")


def test_a_project_in_maintenance_is_mirrored_all_the_same(
    cli: Cli, at: dict[str, str], upstream: SimulatorThread, tmp_path: Path
) -> None:
    """Only writes wait for its end, and a sync writes nothing upstream."""
    upstream.act(lambda world: setattr(world, "maintenance_mode", True))
    assert cli("sync", **at).code == 0
    ran = cli("doctor", **at)
    assert ran.code == 0
    assert "! default: maintenance: the project is in maintenance" in ran.out
    assert version_count(tmp_path / "versionsync.db") == 6


def test_maintenance_that_refuses_reads_is_told_and_ends(cli: Cli, at: dict[str, str], tmp_path: Path) -> None:
    """The vendor does not promise that it never will."""
    error = {"id": "1", "type": "api_error", "attributes": {"code": "MAINTENANCE_MODE", "details": {}}}
    closed = Given(503, json.dumps({"data": [error]}), {"Content-Type": "application/json"})
    with gateway(at["VERSIONSYNC_BASE_URL"], instead=lambda _path: closed) as url:
        both_tell(
            cli, at | {"VERSIONSYNC_BASE_URL": url}, says="503 MAINTENANCE_MODE: the project is in maintenance mode"
        )
    assert cli("sync", **at).code == 0
    assert version_count(tmp_path / "versionsync.db") == 6
