"""Whom the program trusts, and through which proxy it goes: one answer for all that it sends."""

from __future__ import annotations

import errno
import ssl
from pathlib import Path

import pytest
import trustme

from versionsync import outgoing_http
from versionsync.outgoing_http import proxy_for, share_trust, trust

URL = "https://site-api.datocms.com"


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no CA of whoever runs the tests."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_without_variables_there_is_none() -> None:
    """It is reached directly."""
    assert proxy_for(URL) is None


@pytest.mark.parametrize(
    ("variable", "value", "used"),
    [
        ("HTTPS_PROXY", "http://proxy:3128", "http://proxy:3128"),
        ("https_proxy", "proxy:3128", "http://proxy:3128"),
        ("ALL_PROXY", "http://proxy", "http://proxy:80"),
        ("all_proxy", "https://proxy", "https://proxy:443"),
        ("HTTPS_PROXY", "http://[2001:db8::1]:3128/", "http://[2001:db8::1]:3128"),
        ("HTTP_PROXY", "http://proxy:3128", None),
    ],
)
def test_the_variable_of_the_scheme_or_of_all(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, used: str | None
) -> None:
    """As other programs read them."""
    monkeypatch.setenv(variable, value)
    found = proxy_for(URL)
    assert (found and found.url) == used


def test_that_of_the_scheme_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """ALL_PROXY is for the rest."""
    monkeypatch.setenv("ALL_PROXY", "socks5://other")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    found = proxy_for(URL)
    assert found is not None
    assert found.url == "http://proxy:1"


def test_a_password_is_in_the_headers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unquoted, and in no repr."""
    monkeypatch.setenv("HTTPS_PROXY", "http://me:pa%40ss@proxy:3128")
    found = proxy_for(URL)
    assert found is not None
    assert found.headers == {"Proxy-Authorization": "Basic bWU6cGFAc3M="}
    assert "bWU6" not in repr(found)
    assert "pa" not in found.url


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("socks5://me:hunter22@proxy:1080", "HTTPS_PROXY names a SOCKS proxy"),
        ("socks5h://proxy:1080", "SOCKS"),
        ("socks4://proxy", "SOCKS"),
        ("ftp://me:hunter22@proxy", "names no proxy"),
        ("http://", "names no proxy"),
        ("http://me:hunter22@proxy:port", "names no proxy"),
    ],
)
def test_what_is_no_http_proxy_is_refused(monkeypatch: pytest.MonkeyPatch, value: str, why: str) -> None:
    """And never shown."""
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(ValueError, match=why) as refused:
        proxy_for(URL)
    assert "hunter22" not in str(refused.value)


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        ("site-api.datocms.com", URL, True),
        ("datocms.com", URL, True),
        (".datocms.com", URL, True),
        ("*.datocms.com", URL, True),
        ("DatoCMS.com:443", URL, True),
        ("datocms.com:8443", URL, False),
        ("cms.com", URL, False),
        ("*", URL, True),
        ("example.com, datocms.com", URL, True),
        ("", URL, False),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8,192.168.0.0/16", "https://172.16.0.1", False),
        ("10.1.2.3:8080", "http://10.1.2.3:8080", True),
        ("127.0.0.1", "http://127.0.0.1:80", True),
        ("2001:db8::/32", "https://[2001:db8::7]", True),
        ("[2001:db8::7]:443", "https://[2001:db8::7]", True),
        ("10.0.0.0/99", "https://10.1.2.3", False),
    ],
)
def test_no_proxy_names_hosts_domains_and_networks(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str, is_direct: bool
) -> None:
    """With a port or without."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:1")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (proxy_for(url) is None) is is_direct


def test_no_python_is_stricter_than_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """3.13 refuses CAs of companies that 3.12 takes; the check of names and dates is the same on all."""

    def strict() -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(outgoing_http.httpx, "create_ssl_context", strict)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))  # not what another test has read
    context = trust()
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_file_that_cannot_be_used_is_named_and_none_left_is_not_its_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whichever variable names it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(ValueError, match=r"SSL_CERT_FILE names .*ca\.pem, which cannot be used: No such file"):
        trust()
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    assert len(trust().get_ca_certs()) == 1
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem", append=True)

    def fail() -> ssl.SSLContext:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(outgoing_http.httpx, "create_ssl_context", fail)
    with pytest.raises(OSError, match="Too many"):
        trust()


def test_the_cas_are_parsed_once_until_their_file_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A daemon makes a client for each run, and a new file of CAs counts without a restart."""
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    first = trust()
    assert trust() is first
    trustme.CA().cert_pem.write_to_path(file, append=True)
    assert len(trust().get_ca_certs()) == 2
    monkeypatch.delenv("SSL_CERT_FILE")
    assert trust() is not first


def test_libraries_trust_whom_we_trust() -> None:
    """Unless they were told otherwise."""
    for before, after in (
        ({}, None),
        ({"SSL_CERT_FILE": "/ca.pem"}, "/ca.pem"),
        ({"SSL_CERT_DIR": "/cas"}, "/cas"),
        ({"SSL_CERT_FILE": "/ca.pem", "REQUESTS_CA_BUNDLE": "/other.pem"}, "/other.pem"),
        ({"SSL_CERT_FILE": "/ca.pem", "CURL_CA_BUNDLE": "/other.pem"}, None),
    ):
        environ = dict(before)
        share_trust(environ)
        assert environ.get("REQUESTS_CA_BUNDLE") == after
