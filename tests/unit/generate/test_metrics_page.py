"""The page of metrics follows the code."""

from __future__ import annotations

import re

from docs.generate import metrics_page


def test_notes_are_about_metrics_that_exist() -> None:
    """A renamed metric takes its note with it."""
    names = set(re.findall(r"^\| `(versionsync_\w+)` \|", metrics_page.metrics_page(), re.MULTILINE))
    assert {*metrics_page._NOTES, *metrics_page._VALUES} <= names
