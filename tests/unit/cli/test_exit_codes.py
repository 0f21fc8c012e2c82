"""Every error has one exit code, every exit code a meaning and a way to be reached."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from datetime import UTC, datetime

import pytest
import typer

from versionsync.cli.exit_codes import MEANINGS, Exit, exit_of, problem_of, worst
from versionsync.cma import errors as cma
from versionsync.config import errors as config
from versionsync.ledger.safeguards import Missing
from versionsync.mirror import errors as mirror
from versionsync.sync.deletions import MassDeletionError
from versionsync.systemd import errors as service

HELD = mirror.LeaseHeld("web", holder="process 1 on here", expires_at=datetime(2026, 1, 1, tzinfo=UTC))

CODES: list[tuple[BaseException, Exit]] = [
    (ZeroDivisionError("x"), Exit.UNEXPECTED),
    (config.UnknownSetting("x", hint="y"), Exit.USAGE),
    (config.SecretProblem("x", hint="y"), Exit.USAGE),
    (typer.BadParameter("x"), Exit.USAGE),
    (mirror.WrongProject("x"), Exit.USAGE),
    (service.NoSystemd("x", hint="y"), Exit.USAGE),
    (service.NotStarted("x", hint="y"), Exit.PARTIAL),
    (MassDeletionError("web", Missing(None, 30, 100), model_name=None), Exit.PARTIAL),
    (cma.AuthenticationError("x", request="GET /site"), Exit.REFUSED),
    (cma.PermissionDenied("x", request="GET /site"), Exit.REFUSED),
    (cma.PermissionDenied("x", request="GET /site", code="DEACTIVATED_SITE"), Exit.REFUSED),
    (cma.EnvironmentNotFound("x", request="GET /site"), Exit.REFUSED),
    (cma.NotFound("x", request="GET /items/1"), Exit.REFUSED),
    (cma.InvalidRequest("x", request="GET /items"), Exit.REFUSED),
    (cma.Unavailable("x", request="GET /site"), Exit.UNAVAILABLE),
    (cma.Throttled("x", request="GET /site"), Exit.UNAVAILABLE),
    (cma.OutcomeUnknown("x", request="PUT /items/1"), Exit.UNAVAILABLE),
    (cma.ProtocolError("x", request="GET /site"), Exit.UNAVAILABLE),
    (cma.PageShifted("x", request="GET /items"), Exit.UNAVAILABLE),
    (mirror.DatabaseUnavailable("x"), Exit.DATABASE),
    (mirror.NotAMirror("x"), Exit.DATABASE),
    (mirror.SchemaBehind("db", current="first", head="second"), Exit.DATABASE),
    (mirror.SchemaNewer("db", current="third", head="second"), Exit.DATABASE),
    (mirror.SchemaUnreleased("db", current="0003"), Exit.DATABASE),
    (mirror.ContentRejected("x"), Exit.DATABASE),
    (HELD, Exit.LEASE),
    (mirror.LeaseLost("x"), Exit.LEASE),
    (KeyboardInterrupt(), Exit.INTERRUPTED),
    (asyncio.CancelledError(), Exit.INTERRUPTED),
    (typer.Abort(), Exit.INTERRUPTED),
]


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda value: type(value).__name__)
def test_each_error_has_its_exit_code(error: BaseException, code: Exit) -> None:
    assert exit_of(error) is code


@pytest.mark.parametrize("module", [cma, mirror, config, service])
def test_no_error_of_ours_is_unexpected(module: object) -> None:
    """A class that somebody adds to a tree is told as what it is a kind of."""
    for _, kind in inspect.getmembers(module, inspect.isclass):
        if issubclass(kind, Exception):
            assert exit_of(kind.__new__(kind)) is not Exit.UNEXPECTED, kind


def test_every_code_is_documented_and_can_be_reached() -> None:
    assert set(MEANINGS) == set(Exit)
    reached = {code for _, code in CODES}
    assert set(Exit) - reached == {Exit.DONE, Exit.DIFFERENCES}, "DIFFERENCES belongs to verify"


def test_the_worst_of_several_decides() -> None:
    assert worst([]) is Exit.DONE
    assert worst([Exit.DONE, Exit.PARTIAL]) is Exit.PARTIAL
    assert worst([Exit.PARTIAL, Exit.LEASE, Exit.UNAVAILABLE, Exit.DATABASE]) is Exit.DATABASE
    assert worst([Exit.DATABASE, Exit.REFUSED]) is Exit.REFUSED
    assert worst([Exit.REFUSED, Exit.UNEXPECTED]) is Exit.UNEXPECTED


def test_the_order_of_badness_knows_every_code() -> None:
    for pair in itertools.permutations(Exit, 2):
        assert worst(pair) is worst(reversed(pair))


def test_an_error_of_the_settings_brings_its_own_hint() -> None:
    problem = problem_of(config.UnknownSetting("there is no setting x", hint="Did you mean y?"))
    assert (problem.kind, problem.message, problem.hint) == ("usage", "there is no setting x", "Did you mean y?")


def test_an_unexpected_error_is_named_and_asks_for_a_report() -> None:
    problem = problem_of(KeyError("x\ny"))
    assert problem.message == "KeyError: 'x\\ny'"
    assert "--debug" in (problem.hint or "")


def test_a_message_of_several_lines_becomes_one() -> None:
    assert problem_of(mirror.DatabaseUnavailable("no\n\troute  to host")).message == "no route to host"


def test_every_refusal_of_upstream_says_what_to_do() -> None:
    for error, code in CODES:
        if code in (Exit.REFUSED, Exit.UNAVAILABLE) and type(error) not in (cma.NotFound, cma.InvalidRequest):
            assert problem_of(error).hint, error
