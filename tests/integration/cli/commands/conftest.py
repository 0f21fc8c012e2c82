"""Asks the mirror of the news site by command."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fixtures.news_site import MakeNewsSite, news_site
from tests.integration.cli.conftest import Cli, Ran

__all__ = ["Ask", "news_site"]

Ask = Callable[..., Ran]


@pytest.fixture
def ask(cli: Cli, news_site: MakeNewsSite) -> Ask:
    """Ask the mirror of the news site."""
    url = news_site("sqlite").url

    def ask(*argv: str, **environ: str) -> Ran:
        return cli(*argv, "--database", url, **environ)

    return ask
