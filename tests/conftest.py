"""Fixtures, options and hypothesis profiles of all tests.

`.ci/run` runs what finishes in minutes. `--nightly` adds the tests that are marked `nightly`, the PostgreSQL twin of
every test that uses a database, and ten times as many hypothesis examples. It also loads the program anew for each
process that a test starts. `.ci/nightly` runs all of these.
"""

from __future__ import annotations

import gc
import os
import signal
import ssl
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import settings

from tests.integration.cli import processes

pytest_plugins = ["tests.fixtures.databases", "tests.fixtures.sync_env"]

FOLDERS_ON_BOTH = ("tests/integration/mirror/", "tests/nightly/")
"""Where SQL differs, or where the database is what goes away."""

# A loaded machine is slow at random, so no example has a deadline.
settings.register_profile("ci", deadline=None)
settings.register_profile("nightly", deadline=None, max_examples=1000)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nightly", action="store_true", help="also run what .ci/run leaves out; see tests/conftest.py")


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--hypothesis-profile", None):
        settings.load_profile("nightly" if config.getoption("--nightly") else "ci")
    if config.getoption("--nightly"):
        processes.always_fresh = True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --nightly, leave out nightly tests and the PostgreSQL twins that prove nothing about SQL."""
    if config.getoption("--nightly"):
        return
    kept, left_out = list[pytest.Item](), list[pytest.Item]()
    for item in items:
        (left_out if item.get_closest_marker("nightly") or _is_spare_twin(item) else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what all tests share: walking it was a tenth of the CPU time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def _is_spare_twin(item: pytest.Item) -> bool:
    """Return whether the same test runs on SQLite too and is not marked `both_databases`."""
    if item.nodeid.startswith(FOLDERS_ON_BOTH):
        return False
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    is_on_postgres = "postgres" in (parameters.get("database_url"), parameters.get("empty_url"))
    is_for_postgres_alone = "postgres" in _names_of_marks(item)
    return is_on_postgres and not is_for_postgres_alone and not item.get_closest_marker("both_databases")


def _names_of_marks(item: pytest.Item) -> set[str]:
    """Return the marks on the test function and its module; those of a parameter are left out."""
    marks = [*getattr(getattr(item, "obj", None), "pytestmark", []), *item.parent.iter_markers()]  # type: ignore[union-attr]
    return {mark.name for mark in marks}


@pytest.fixture(autouse=True)
def _without_our_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of the user who runs the tests out of them."""
    for name in os.environ:
        if name.startswith(("VERSIONSYNC_", "DATOCMS_")) and not name.startswith("VERSIONSYNC_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def _with_ctrl_c() -> None:
    """A shell has Ctrl-C ignored by what it runs in the background, and that is inherited: programs under test too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _load_certificates_once() -> Iterator[None]:
    """Share the trusted certificates between all HTTP clients of this process.

    Parsing them takes 30 ms of CPU, which was half of what a run against the simulator costs. Where a test changes the
    variables that name them, they are read as usual.
    """
    create, shared = httpx.create_ssl_context, list[ssl.SSLContext]()
    usual = _named_certificates()

    def create_ssl_context(verify: bool | ssl.SSLContext = True, cert: None = None, trust_env: bool = True) -> object:
        if verify is not True or cert is not None or not trust_env or _named_certificates() != usual:
            return create(verify=verify, cert=cert, trust_env=trust_env)
        if not shared:
            shared.append(create())
        return shared[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx, "create_ssl_context", create_ssl_context)
        patch.setattr("httpx._transports.default.create_ssl_context", create_ssl_context)
        yield


def _named_certificates() -> tuple[str | None, ...]:
    return tuple(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
