"""The public names of the package, and the cost of importing it."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from versionsync import cma
from versionsync.cma import errors


def test_every_public_name_is_there_sorted_and_documented() -> None:
    """`__all__` is what can be used."""
    assert cma.__all__ == sorted(cma.__all__, key=lambda name: (not name.isupper(), name.islower(), name))
    for name in cma.__all__:
        value = getattr(cma, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As with any module."""
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        _ = cma.nothing_of_this_name


def test_every_error_is_public_and_drawn_in_the_tree() -> None:
    """The tree at the head of the module is the documentation."""
    classes = [
        name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, errors.CmaError)
    ]
    assert sorted([*classes, "FieldProblem"]) == sorted(errors.__all__)
    assert set(classes) <= set(cma.__all__)
    assert errors.__doc__ is not None
    for name in classes:
        assert name in errors.__doc__


def test_the_errors_cost_no_http_library() -> None:
    """The command line maps them to exit codes, and `--help` must not pay for it."""
    code = "import sys, versionsync.cma.errors; print({'httpx', 'aiohttp', 'msgspec', 'asyncio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_an_error_says_request_answer_message_and_id() -> None:
    """In one line."""
    error = cma.InvalidRequest("no", request="GET /x", status=422, code="INVALID", request_id="r1")
    assert str(error) == "GET /x: 422 INVALID: no (request r1)"
    assert str(cma.Unavailable("no", request="GET /x")) == "GET /x: no"
