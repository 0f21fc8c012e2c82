"""What upstream would refuse of a content, and which values are unique."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.unit.restore.contents import block, field, fit, model, project, refused

HALF, MORE_THAN_HALF = msgspec.Raw(b"5e-1"), msgspec.Raw(b"51e-2")
SEO_FIELDS = "VALIDATION_REQUIRED_SEO_FIELDS"


@pytest.mark.parametrize(
    ("field_type", "rule", "good", "bad", "code"),
    [
        ("string", {"required": {}}, "x", "", "VALIDATION_REQUIRED"),
        ("integer", {"required": {}}, 0, None, "VALIDATION_REQUIRED"),
        ("boolean", {"required": {}}, False, None, "VALIDATION_REQUIRED"),
        ("string", {"length": {"min": 2, "max": 3}}, "ab", "a", "VALIDATION_LENGTH"),
        ("string", {"length": {"eq": 3}}, "abc", "abcd", "VALIDATION_LENGTH"),
        ("string", {"enum": {"values": ["a", "b"]}}, "a", "c", "VALIDATION_ENUM"),
        ("string", {"format": {"custom_pattern": r"\A[a-z]+\z"}}, "ab", "ab1", "VALIDATION_FORMAT"),
        ("string", {"format": {"predefined_pattern": "email"}}, "a@b.it", "a b", "VALIDATION_FORMAT"),
        ("slug", {"slug_format": {"custom_pattern": "^[a-z]+$"}}, "ab", "A", "VALIDATION_SLUG_FORMAT"),
        ("integer", {"number_range": {"min": 2}}, 2, 1, "VALIDATION_NUMBER_RANGE"),
        (
            "float",
            {"number_range": {"max": 0.5}},
            msgspec.Raw(b"5e-1"),
            msgspec.Raw(b"51e-2"),
            "VALIDATION_NUMBER_RANGE",
        ),
        ("date", {"date_range": {"min": "2026-01-02"}}, "2026-01-02", "2026-01-01", "VALIDATION_DATE_RANGE"),
        (
            "date_time",
            {"date_time_range": {"max": "2026-01-01T12:00:00+02:00"}},
            "2026-01-01T10:00:00Z",
            "2026-01-01T10:00:01Z",
            "VALIDATION_DATE_TIME_RANGE",
        ),
        ("links", {"size": {"max": 1}}, ["ada"], ["ada", "bob"], "VALIDATION_SIZE"),
        ("links", {"size": {"multiple_of": 2}}, ["ada", "bob"], ["ada"], "VALIDATION_SIZE"),
        ("links", {"size": {"min": 1}}, ["ada"], None, "VALIDATION_SIZE"),
        ("rich_text", {"size": {"eq": 1}}, [block("b1")], [], "VALIDATION_SIZE"),
        ("seo", {"title_length": {"max": 2}}, {"title": "ab"}, {"title": "abc"}, "VALIDATION_TITLE_LENGTH"),
        (
            "seo",
            {"required_seo_fields": {"title": True}},
            {"title": "a"},
            {"title": ""},
            "VALIDATION_REQUIRED_SEO_FIELDS",
        ),
    ],
)
def test_a_value_that_breaks_a_validator_is_a_problem(
    field_type: str, rule: dict[str, Any], good: Any, bad: Any, code: str
) -> None:
    rules = project(field("a", field_type, **rule))
    assert refused(fit({"a": good}, rules)) == []
    assert refused(fit({"a": bad}, rules)) == [(code, ("a",))]


def test_each_locale_is_checked() -> None:
    rules = project(field("a", localized=True, required={}))
    assert refused(fit({"a": {"en": "x", "it": None}}, rules)) == [("VALIDATION_REQUIRED", ("a", "it"))]


def test_fields_of_blocks_are_checked() -> None:
    quote = model("quote", field("words", required={}), is_block=True)
    rules = project(field("body", "rich_text"), blocks=(quote,))
    result = fit({"body": [block("b1", words="x"), block("b2", words="")]}, rules)
    assert refused(result) == [("VALIDATION_REQUIRED", ("body", 1, "attributes", "words"))]


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\p{L}+$",
        "[[:alpha:]]+9",
        "(?m)b",
        "(?<a>b)",
        "(",
        r"\h+",
        "/b/",
        "(a+)+b",
        "[c&&b]",
        r"\Ab\Z",
        "[b[c]]",
        r"\\z",
    ],
)
def test_a_pattern_that_python_may_read_otherwise_is_no_problem(pattern: str) -> None:
    assert not fit({"a": "aaaa"}, project(field("a", format={"custom_pattern": pattern}))).problems


def test_a_pattern_may_match_one_line() -> None:
    assert not fit({"a": "x\nb"}, project(field("a", "text", format={"custom_pattern": "^b$"}))).problems


def test_letters_beyond_ascii_are_left_to_upstream() -> None:
    rules = project(field("a", format={"custom_pattern": r"\A\w+\z"}))
    assert refused(fit({"a": "a b"}, rules)) == [("VALIDATION_FORMAT", ("a",))]
    assert not fit({"a": "è"}, rules).problems


def test_an_invalid_draft_is_no_problem_where_the_model_allows_it() -> None:
    options = {"author": field("author", "link", required={}), "title": field("title", required={})}
    lax = project(*options.values(), allows_invalid_drafts=True)
    content = {"title": None, "author": "ada"}
    draft = fit(content, lax, is_draft=True)
    assert not draft.problems
    assert [link.is_required for link in draft.links] == [False]
    assert refused(fit(content, lax)) == [("VALIDATION_REQUIRED", ("title",))]
    assert refused(fit(content, project(*options.values()), is_draft=True)) == [("VALIDATION_REQUIRED", ("title",))]


def test_a_new_record_needs_the_required_fields_that_were_made_later() -> None:
    now = project(field("title", required={}), field("mood", required={}, default="good"))
    assert refused(fit({}, now, project(), is_new=True)) == [("VALIDATION_REQUIRED", ("title",))]
    assert not fit({}, now, project()).problems


def test_what_is_too_large_is_a_problem() -> None:
    rules = project(field("a", "text"), field("body", "rich_text"), allows_invalid_drafts=True)
    deep = block("b")
    for number in range(6):
        deep = block(f"b{number}", inner=[deep])
    for content, what in (
        ({"a": "x" * 310_000}, "The record would have 302 KB; 300 are allowed."),
        ({"body": [block(f"b{n}") for n in range(601)]}, "The record would have 601 blocks; 600 are allowed."),
        ({"body": [deep]}, "The record would have blocks nested 7 deep; 6 are allowed."),
    ):
        result = fit(content, rules, is_draft=True)
        assert [(one.code, one.what) for one in result.problems] == [("TECHNICAL_LIMIT_REACHED", what)]


def test_a_content_that_nests_without_end_is_refused_and_not_an_error() -> None:
    node: Any = {"type": "paragraph", "children": []}
    for _ in range(5000):
        node = {"type": "listItem", "children": [node]}
    result = fit({"a": {"schema": "dast", "document": node}}, project(field("a", "structured_text")))
    assert refused(result) == [("TECHNICAL_LIMIT_REACHED", ())]


def test_unique_values_are_collected_by_field_and_locale() -> None:
    fields = (field("slug", "slug", unique={}), field("title", localized=True, unique={}), field("other"))
    quote = model("quote", field("slug", "slug", unique={}), is_block=True)
    rules = project(*fields, field("one", "single_block"), blocks=(quote,))
    content = {"slug": "a", "title": {"en": "é", "it": None}, "other": "x", "one": block("b1", slug="b")}
    result = fit(content, rules)
    assert result.uniques == {("slug", ""): b'"a"', ("title", "en"): '"é"'.encode()}
