"""Every error has one exit code, every exit code a meaning and a way to be reached."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import itertools
import pkgutil
from datetime import UTC, datetime
from types import ModuleType

import pytest
import typer

import versionsync
from versionsync.cli.exit_codes import BY_ERROR_KIND, DESCRIPTIONS, ExitCode, error_report, exit_code_of, most_severe
from versionsync.cma import errors as cma
from versionsync.config import errors as config
from versionsync.daemon import errors as daemon
from versionsync.errors import ErrorKind, VersionsyncError
from versionsync.ledger.safeguards import Missing
from versionsync.mirror import errors as mirror
from versionsync.sync.deletions import MassDeletionError
from versionsync.sync.run_limits import RequestLimitReached, StalledError
from versionsync.systemd import errors as service

HELD = mirror.LeaseHeld("web", holder="process 1 on here", expires_at=datetime(2026, 1, 1, tzinfo=UTC))

CODES: list[tuple[BaseException, ExitCode]] = [
    (ZeroDivisionError("x"), ExitCode.UNEXPECTED),
    (config.UnknownSetting("x", hint="y"), ExitCode.USAGE),
    (config.SecretProblem("x", hint="y"), ExitCode.USAGE),
    (typer.BadParameter("x"), ExitCode.USAGE),
    (mirror.WrongProject("x"), ExitCode.USAGE),
    (service.NoSystemd("x", hint="y"), ExitCode.USAGE),
    (service.NotStarted("x", hint="y"), ExitCode.PARTIAL),
    (daemon.CannotListen("x", hint="y"), ExitCode.USAGE),
    (daemon.DaemonUnreachable("x", hint="y"), ExitCode.PARTIAL),
    (StalledError(5, "sweeping"), ExitCode.UPSTREAM_UNAVAILABLE),
    (RequestLimitReached(5), ExitCode.PARTIAL),
    (MassDeletionError("web", Missing(None, 30, 100), model_name=None), ExitCode.PARTIAL),
    (cma.AuthenticationError("x", request="GET /site"), ExitCode.UPSTREAM_REFUSED),
    (cma.PermissionDenied("x", request="GET /site"), ExitCode.UPSTREAM_REFUSED),
    (cma.PermissionDenied("x", request="GET /site", code="DEACTIVATED_SITE"), ExitCode.UPSTREAM_REFUSED),
    (cma.EnvironmentNotFound("x", request="GET /site"), ExitCode.UPSTREAM_REFUSED),
    (cma.NotFound("x", request="GET /items/1"), ExitCode.UPSTREAM_REFUSED),
    (cma.InvalidRequest("x", request="GET /items"), ExitCode.UPSTREAM_REFUSED),
    (cma.Unavailable("x", request="GET /site"), ExitCode.UPSTREAM_UNAVAILABLE),
    (cma.Throttled("x", request="GET /site"), ExitCode.UPSTREAM_UNAVAILABLE),
    (cma.OutcomeUnknown("x", request="PUT /items/1"), ExitCode.UPSTREAM_UNAVAILABLE),
    (cma.ProtocolError("x", request="GET /site"), ExitCode.UPSTREAM_UNAVAILABLE),
    (cma.PageShifted("x", request="GET /items"), ExitCode.UPSTREAM_UNAVAILABLE),
    (mirror.DatabaseUnavailable("x"), ExitCode.DATABASE),
    (mirror.NotAMirror("x"), ExitCode.DATABASE),
    (mirror.SchemaBehind("db", current="first", head="second"), ExitCode.DATABASE),
    (mirror.SchemaNewer("db", current="third", head="second"), ExitCode.DATABASE),
    (mirror.SchemaUnreleased("db", current="0003"), ExitCode.DATABASE),
    (mirror.ContentRejected("x"), ExitCode.DATABASE),
    (HELD, ExitCode.LOCKED),
    (mirror.LeaseLost("x"), ExitCode.LOCKED),
    (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    (asyncio.CancelledError(), ExitCode.INTERRUPTED),
    (typer.Abort(), ExitCode.INTERRUPTED),
]


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda value: type(value).__name__)
def test_each_error_has_its_exit_code(error: BaseException, code: ExitCode) -> None:
    assert exit_code_of(error) is code


@pytest.mark.parametrize("module", [cma, mirror, config, service, daemon])
def test_no_error_of_the_package_is_unexpected(module: ModuleType) -> None:
    """A class that someone adds to a tree has the kind of its base."""
    for _, error in inspect.getmembers(module, inspect.isclass):
        if issubclass(error, Exception) and error.__module__ == module.__name__:
            assert exit_code_of(error.__new__(error)) is not ExitCode.UNEXPECTED, error


def test_every_public_exception_derives_from_one_base() -> None:
    """Except in the simulator: its errors are DatoCMS's answers."""
    for found in pkgutil.walk_packages(versionsync.__path__, "versionsync."):
        if not found.name.startswith("versionsync.simulator"):
            module = importlib.import_module(found.name)
            for name, error in inspect.getmembers(module, inspect.isclass):
                if issubclass(error, Exception) and error.__module__ == module.__name__ and not name.startswith("_"):
                    assert issubclass(error, VersionsyncError), f"{found.name}.{name}"


def test_every_kind_of_error_has_an_exit_code() -> None:
    assert set(BY_ERROR_KIND) == set(ErrorKind)


def test_a_hint_belongs_to_the_class_or_to_the_one_error() -> None:
    class Full(VersionsyncError):
        hint = "Free some space."

    assert (Full("full").hint, Full("full", hint="Ask the admin.").hint) == ("Free some space.", "Ask the admin.")
    assert VersionsyncError("x").hint is None


def test_every_code_is_documented_and_can_be_reached() -> None:
    assert set(DESCRIPTIONS) == set(ExitCode)
    reached = {code for _, code in CODES}
    assert set(ExitCode) - reached == {ExitCode.OK, ExitCode.DIFFERENCES}, "DIFFERENCES belongs to verify"


def test_the_worst_of_several_decides() -> None:
    assert most_severe([]) is ExitCode.OK
    assert most_severe([ExitCode.OK, ExitCode.PARTIAL]) is ExitCode.PARTIAL
    assert (
        most_severe([ExitCode.PARTIAL, ExitCode.LOCKED, ExitCode.UPSTREAM_UNAVAILABLE, ExitCode.DATABASE])
        is ExitCode.DATABASE
    )
    assert most_severe([ExitCode.DATABASE, ExitCode.UPSTREAM_REFUSED]) is ExitCode.UPSTREAM_REFUSED
    assert most_severe([ExitCode.UPSTREAM_REFUSED, ExitCode.UNEXPECTED]) is ExitCode.UNEXPECTED


def test_the_order_of_badness_knows_every_code() -> None:
    for pair in itertools.permutations(ExitCode, 2):
        assert most_severe(pair) is most_severe(reversed(pair))


def test_an_error_of_the_settings_brings_its_own_hint() -> None:
    problem = error_report(config.UnknownSetting("there is no setting x", hint="Did you mean y?"))
    assert (problem.kind, problem.message, problem.hint) == ("usage", "there is no setting x", "Did you mean y?")


def test_an_unexpected_error_is_named_and_asks_for_a_report() -> None:
    problem = error_report(KeyError("x\ny"))
    assert problem.message == "KeyError: 'x\\ny'"
    assert "--debug" in (problem.hint or "")


def test_a_message_of_several_lines_becomes_one() -> None:
    assert error_report(mirror.DatabaseUnavailable("no\n\troute  to host")).message == "no route to host"


def test_every_refusal_of_upstream_says_what_to_do() -> None:
    for error, code in CODES:
        if code in (ExitCode.UPSTREAM_REFUSED, ExitCode.UPSTREAM_UNAVAILABLE) and type(error) not in (
            cma.NotFound,
            cma.InvalidRequest,
        ):
            assert error_report(error).hint, error
