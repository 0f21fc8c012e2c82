"""Structured text is compared as prose."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.history.diff.build import block, bullets, dast, diff_of, heading, kinds, para, shown, span
from versionsync.history.diff import ABSENT, changes_meaning, is_not_formatting

LONG = "one two three four five six"
OTHER = "seven eight nine ten eleven twelve"


def table(size: int) -> Any:
    return {"type": "table", "size": size, "children": [{"type": "row", "children": [para("a")]}]}


def document_diff(before: list[Any], after: list[Any]) -> Any:
    return diff_of(dast(*before), dast(*after), "structured_text")


def test_a_changed_word_is_one_change_of_its_paragraph() -> None:
    diff = document_diff([para(LONG), para(OTHER)], [para(LONG), para(OTHER.replace("nine", "9"))])
    (change,) = diff.changes
    assert shown(change) == "seven eight[- nine][+ 9] ten eleven twelve"
    assert (change.words_added, change.words_removed) == (1, 1)
    assert change.place.member == (1,)


def test_a_split_is_a_split() -> None:
    diff = document_diff([para(LONG)], [para("one two"), para("three four five six")])
    (change,) = diff.changes
    assert kinds(diff.changes) == ["structure changed split"]
    assert shown(change) == "one two[- ][+¶]three four five six"
    assert (diff.words_added, diff.words_removed) == (0, 0)
    assert len(change.targets) == 2


def test_a_split_with_other_words_shows_both() -> None:
    diff = document_diff([para(LONG)], [para("one two"), para("three 4 five six")])
    assert kinds(diff.changes) == ["structure changed split", "text changed"]
    assert shown(diff.changes[1]) == "one two[- ][+¶]three[- four][+ 4] five six"


def test_three_parts_are_one_split() -> None:
    diff = document_diff([para(LONG)], [para("one"), para("two three"), para("four five six")])
    assert kinds(diff.changes) == ["structure changed split"]


def test_a_split_in_a_list_makes_two_items() -> None:
    diff = document_diff([bullets(LONG, OTHER)], [bullets("one two three", "four five six", OTHER)])
    assert kinds(diff.changes) == ["structure changed split"]


def test_records_and_blocks_that_were_added_to_a_part_do_not_hide_the_split() -> None:
    nodes = [{"type": "inlineItem", "item": id} for id in ("r1", "r2", "r3")]
    diff = document_diff([para("one two three")], [para(*nodes, "one"), para("two three")])
    assert kinds(diff.changes) == ["structure changed split", "reference added"]
    assert (diff.words_added, diff.words_removed) == (0, 0)


def test_a_merge_is_a_merge() -> None:
    diff = document_diff([para(LONG), para(OTHER)], [para(f"{LONG} {OTHER}")])
    assert kinds(diff.changes) == ["structure changed merged"]
    assert shown(diff.changes[0]) == f"{LONG}[-¶][+ ]{OTHER}"


def test_a_border_that_moved_is_neither() -> None:
    diff = document_diff([para(f"{LONG} a b"), para(OTHER)], [para(LONG), para(f"a b {OTHER}")])
    assert kinds(diff.changes) == ["structure changed redivided"]
    assert (diff.words_added, diff.words_removed) == (0, 0)


def test_one_word_moves_over_a_border_behind_which_the_same_word_stays() -> None:
    diff = document_diff([para(LONG), para(f"so so {OTHER}")], [para(f"a b {LONG} so"), para(f"so {OTHER}")])
    assert kinds(diff.changes) == ["structure changed redivided", "text changed"]
    assert (diff.words_added, diff.words_removed) == (2, 0)


def test_one_word_moves_over_a_border_and_a_record_is_added_before_it() -> None:
    record = {"type": "inlineItem", "item": "r1"}
    diff = document_diff([para("one so"), para(OTHER)], [para("one"), para(record, f"so {OTHER}")])
    assert kinds(diff.changes) == ["structure changed redivided", "reference added"]
    assert (diff.words_added, diff.words_removed) == (0, 0)


def test_one_word_moves_over_a_border_and_another_word_is_added_before_it() -> None:
    diff = document_diff([para("one so"), para("we went")], [para("one"), para("and so we went")])
    assert kinds(diff.changes) == ["structure changed redivided", "text changed"]
    assert (diff.words_added, diff.words_removed) == (1, 0)


def test_two_words_that_were_split_off_are_a_part_even_if_the_words_beside_them_changed() -> None:
    diff = document_diff([para("a b c d e f gone x y before")], [para("a b c d e f"), para("x y after")])
    assert kinds(diff.changes) == ["structure changed split", "text changed"]
    assert (diff.words_added, diff.words_removed) == (1, 2)


def test_one_word_in_a_quote_is_not_the_same_word_that_was_split_off_from_a_paragraph() -> None:
    record = {"type": "inlineItem", "item": "r1"}
    before = [{"type": "blockquote", "children": [para("so")]}, para("what so")]
    after = [{"type": "blockquote", "children": [para(record, "so")]}, para("what"), para("so")]
    diff = document_diff(before, after)
    assert kinds(diff.changes) == ["reference added", "structure changed split"]
    assert (diff.words_added, diff.words_removed) == (0, 0)


def test_the_lesser_part_of_a_paragraph_was_moved_if_the_rest_went_to_another_one() -> None:
    part, rest = "h i j k l m n", "1 2 3 4 5 6 7 8"
    diff = document_diff(
        [para(LONG), para(OTHER), para(f"{rest} {part}")], [para(f"{LONG} {rest}"), para(part), para(OTHER)]
    )
    assert "structure moved" in kinds(diff.changes)
    assert (diff.words_added, diff.words_removed) == (8, 8)


def test_one_word_that_was_split_off_is_a_part_whatever_else_begins_with_it() -> None:
    new = "so a text about the sea and the boats that went out at night"
    diff = document_diff([para(LONG), para("so what")], [para(LONG), para(new), para("so"), para("what")])
    assert kinds(diff.changes) == ["structure added", "structure changed split"]
    assert (diff.words_added, diff.words_removed) == (14, 0)


def test_one_word_that_was_split_off_at_the_end_is_a_part_too() -> None:
    new = "and so"
    diff = document_diff([para("what so"), para(LONG)], [para("what"), para("so"), para(new), para(LONG)])
    assert kinds(diff.changes) == ["structure changed split", "structure added"]
    assert (diff.words_added, diff.words_removed) == (2, 0)


def test_one_word_that_was_split_off_is_a_part_whatever_was_added_between() -> None:
    before, between = [para(f"{OTHER} so {OTHER}"), para("so what")], [para(LONG), para("a b c")]
    diff = document_diff(before, [para("so"), *between, para("what")])
    assert kinds(diff.changes) == ["structure removed", "structure changed split", *["structure added"] * 2]
    assert (diff.words_added, diff.words_removed) == (9, 13)


def test_a_border_that_moved_is_seen_whichever_line_is_known_to_stay_first() -> None:
    diff = document_diff(
        [para(LONG), para("go"), para("so 2 far we went")], [para("go so we know far"), para("we went")]
    )
    assert kinds(diff.changes) == ["structure removed", "structure changed redivided", "text changed"]
    assert (diff.words_added, diff.words_removed) == (2, 7)


def test_a_record_within_a_paragraph_does_not_hide_that_half_of_it_was_moved() -> None:
    record = {"type": "inlineItem", "item": "r1"}
    stays = "a b c d e f g h i j"
    diff = document_diff([para(stays), para(f"{LONG} ", record, f" {OTHER}")], [para(LONG), para(stays)])
    assert kinds(diff.changes) == ["structure moved", "text changed", "reference removed"]
    assert (diff.words_added, diff.words_removed) == (0, 6)


def test_a_part_that_stands_elsewhere_is_still_a_part() -> None:
    diff = document_diff(
        [para(f"{LONG} {OTHER}"), para("a b c d e f g h i")], [para(LONG), para("a b c d e f g h i"), para(OTHER)]
    )
    assert kinds(diff.changes) == ["structure changed split"]


def test_a_paragraph_that_was_moved_is_moved() -> None:
    between = [para("a b c d e f g"), para("h i j k l m n")]
    diff = document_diff([para(LONG), *between], [*between, para(LONG)])
    assert kinds(diff.changes) == ["structure moved"]
    assert diff.changes[0].sources[0][-1] == 0
    assert diff.changes[0].targets[0][-1] == 2


def test_a_paragraph_that_was_moved_and_edited_is_both() -> None:
    between = [para("a b c d e f g"), para("h i j k l m n")]
    diff = document_diff([para(LONG), *between], [*between, para(f"{LONG} 7")])
    assert kinds(diff.changes) == ["structure moved", "text changed"]
    assert (diff.words_added, diff.words_removed) == (1, 0)


def test_words_of_a_removed_paragraph_do_not_hide_that_another_one_was_moved() -> None:
    """The removed one has the first word of the moved one, too. An alignment may take either."""
    one, other = para("a b c d e f g h i j k l m n"), para("o p q r s t u v w x y z")
    diff = document_diff(
        [para(f"one {OTHER}"), one, other, para(LONG)], [one, para("one two three four five 5 6"), other]
    )
    assert kinds(diff.changes) == ["structure removed", "structure moved", "text changed"]
    assert (diff.words_added, diff.words_removed) == (2, 8)


def test_a_short_paragraph_is_not_split_into_others_by_some_words_in_common() -> None:
    """A part has little else, or it is no part."""
    diff = document_diff(
        [para("by the old harbour"), para(LONG)],
        [heading("Not the"), para("an old man and a boat that left its harbour at night"), para(OTHER)],
    )
    assert "split" not in " ".join(kinds(diff.changes))


def test_a_passage_that_was_moved_within_its_paragraph_is_removed_and_added() -> None:
    diff = document_diff([para(f"{LONG} a b")], [para(f"a b {LONG}")])
    assert kinds(diff.changes) == ["text changed"]
    assert shown(diff.changes[0]) == f"[+a b ]{LONG}[- a b]"


def test_what_is_too_short_to_be_sure_of_is_not_moved() -> None:
    between = [para("a b c d e f g"), para("h i j k l m n"), para("o p q r s t u")]
    diff = document_diff([para("Yes."), *between], [*between, para("Yes.")])
    assert kinds(diff.changes) == ["structure removed", "structure added"]


def test_a_word_in_common_makes_no_paragraphs_one() -> None:
    """Texts of one language share words: a new paragraph before an edited one is neither a split nor a part of it."""
    new = "a text about the sea and the boats that went out at night"
    diff = document_diff([para("the lights of the town")], [para(new), para("the lights of our town")])
    assert kinds(diff.changes) == ["structure added", "text changed"]


def test_lines_that_are_edited_one_after_the_other_stay_pairs() -> None:
    old = [para(f"{number} a b c d e f") for number in "123456"]
    new = [para(f"{number} a x c y e f") for number in "123456"]
    diff = document_diff(old, new)
    assert kinds(diff.changes) == ["text changed"] * 6
    assert (diff.words_added, diff.words_removed) == (12, 12)


def test_merged_paragraphs_may_have_stood_apart() -> None:
    between = {"type": "block", "item": block("b1", "a b")}
    diff = document_diff([para(LONG), between, para(OTHER)], [para(f"{LONG} {OTHER}"), between])
    assert kinds(diff.changes) == ["structure changed merged"]
    assert (diff.words_added, diff.words_removed) == (0, 0)


def test_new_and_removed_paragraphs_count_their_words() -> None:
    diff = document_diff([para(LONG), para(OTHER)], [para(LONG), heading("A b c"), para("d e")])
    assert kinds(diff.changes) == ["structure removed", "structure added", "structure added"]
    assert (diff.words_added, diff.words_removed) == (5, 6)
    assert diff.changes[0].after is ABSENT
    assert diff.changes[1].before is ABSENT


def test_a_paragraph_that_was_written_again_is_a_change_of_its_text() -> None:
    diff = document_diff([para("a b"), para(LONG)], [para("a b"), para(OTHER)])
    assert kinds(diff.changes) == ["text changed"]


def test_marks_are_a_change_of_formatting() -> None:
    diff = document_diff([para(LONG)], [para("one ", span("two", "strong"), " three four five six")])
    (change,) = diff.changes
    assert kinds(diff.changes) == ["formatting changed"]
    assert shown(change) == "one [~two] three four five six"
    assert change.spans[1].marks == {"strong"}
    assert change.spans[1].marks_before == frozenset()
    assert diff.only(is_not_formatting) == ()
    assert diff.only(changes_meaning) == ()


def test_a_mark_on_half_a_word_is_formatting_too() -> None:
    diff = document_diff([para(LONG)], [para("one tw", span("o", "emphasis"), " three four five six")])
    assert kinds(diff.changes) == ["formatting changed"]
    assert shown(diff.changes[0]) == "one tw[~o] three four five six"


def test_a_word_and_its_neighbours_mark_are_two_changes() -> None:
    diff = document_diff([para(LONG)], [para("one ", span("two", "strong"), " 3 four five six")])
    assert kinds(diff.changes) == ["text changed", "formatting changed"]
    assert kinds(diff.only(is_not_formatting)) == ["text changed"]


def test_a_link_to_a_page_is_formatting_and_one_to_a_record_is_a_reference() -> None:
    link = {"type": "link", "url": "https://example.com", "children": [span("two")]}
    record = {"type": "itemLink", "item": "r1", "children": [span("two")]}
    plain = para("one two three")
    assert kinds(document_diff([plain], [para("one ", link, " three")]).changes) == ["formatting changed"]
    assert kinds(document_diff([plain], [para("one ", record, " three")]).changes) == ["reference added"]
    elsewhere = record | {"item": "r2"}
    diff = document_diff([para("one ", record, " three")], [para("one ", elsewhere, " three")])
    assert kinds(diff.changes) == ["reference changed"]
    assert (diff.changes[0].spans[1].record_id_before, diff.changes[0].spans[1].record_id) == ("r1", "r2")


def test_settings_of_a_link_are_formatting() -> None:
    link = {"type": "link", "url": "https://example.com", "children": [span("two")]}
    other = link | {"meta": [{"id": "rel", "value": "nofollow"}]}
    assert kinds(document_diff([para(link)], [para(other)]).changes) == ["formatting changed"]


def test_spans_that_are_cut_otherwise_are_no_change() -> None:
    diff = document_diff([para("one two")], [para("one ", span("two"), span(""))])
    assert not diff
    assert len(diff.respellings) == 1


def test_a_paragraph_that_becomes_a_heading_or_an_item_keeps_its_words() -> None:
    assert kinds(document_diff([para(LONG)], [heading(LONG)]).changes) == ["structure changed retyped"]
    diff = document_diff([para(LONG)], [bullets(LONG)])
    assert kinds(diff.changes) == ["structure changed retyped"]
    assert (diff.words_added, diff.words_removed) == (0, 0)


def test_levels_and_styles_are_attributes() -> None:
    (change,) = document_diff([heading("A b")], [heading("A b", level=3)]).changes
    assert (change.kind, change.before, change.after, change.place.member) == ("attribute", 2, 3, (0, "level"))
    (change,) = document_diff([bullets("a", "b")], [bullets("a", "b", style="numbered")]).changes
    assert (change.kind, change.before, change.after, change.place.member) == (
        "attribute",
        "bulleted",
        "numbered",
        (0, "style"),
    )


def test_a_list_that_was_divided_is_seen() -> None:
    diff = document_diff([bullets("a b", "c d", "e f")], [bullets("a b"), bullets("c d", "e f")])
    assert kinds(diff.changes) == ["structure changed split"]
    diff = document_diff([bullets("a b"), bullets("c d")], [bullets("a b", "c d")])
    assert kinds(diff.changes) == ["structure changed merged"]


def test_a_block_is_matched_by_its_id_and_compared_by_field() -> None:
    old, new = (
        {"type": "block", "item": block("b1", LONG)},
        {"type": "block", "item": block("b1", "one 2 three four five six")},
    )
    diff = document_diff([para(OTHER), old], [new, para(OTHER)])
    assert sorted(kinds(diff.changes)) == ["structure moved", "text changed"]
    (place,) = (change.place for change in diff.changes if change.kind == "text")
    assert (place.record_field, place.field, place.block_path, place.model_id) == ("value", "words", ("b1",), "quote")


def test_a_block_with_another_id_and_the_same_content_is_the_same_block() -> None:
    diff = document_diff(
        [para(LONG), {"type": "block", "item": block("b1", OTHER)}], [{"type": "block", "item": block("b2", OTHER)}]
    )
    assert kinds(diff.changes) == ["structure removed"]
    assert [change.after for change in diff.respellings] == ["b2"]


def test_a_block_within_a_text_is_added_moved_changed_and_removed() -> None:
    one = {"type": "inlineBlock", "item": block("b1", "a b")}
    two = {"type": "inlineBlock", "item": block("b1", "a c")}
    assert kinds(document_diff([para("x y ")], [para("x y ", one)]).changes) == ["structure added"]
    assert kinds(document_diff([para("x y ", one)], [para("x y ")]).changes) == ["structure removed"]
    diff = document_diff([para("x y ", one)], [para("x y ", two)])
    assert kinds(diff.changes) == ["text changed"]
    assert diff.changes[0].place.block_path == ("b1",)
    assert not diff.respellings
    assert kinds(document_diff([para("x y ", one, " z")], [para("x ", one, "y  z")]).changes) == ["structure moved"]


def test_a_block_within_a_text_that_only_has_another_id_is_the_same_block() -> None:
    old, new = ({"type": "inlineBlock", "item": block(id, "a b")} for id in ("b1", "b2"))
    diff = document_diff([para("x y ", old, " z")], [para("x y ", new, " z")])
    assert not diff
    assert [change.after for change in diff.respellings if isinstance(change.after, str)] == ["b2"]


def test_a_block_within_a_text_is_not_hidden_by_one_that_says_the_same_elsewhere() -> None:
    old, new = ({"type": "inlineBlock", "item": block(id, "a b")} for id in ("b1", "b2"))
    diff = document_diff([para("x y ", old), para(LONG)], [para("x y "), para(LONG), para("u v ", new)])
    assert sorted(kinds(diff.changes)) == ["structure added", "structure removed"]
    diff = document_diff([para("x y ", old), para(LONG)], [para("x y "), para(LONG, new)])
    assert sorted(kinds(diff.changes)) == ["structure added", "structure removed"]
    diff = document_diff([para("x ", old, " y z")], [para("x  y z", new)])
    assert sorted(kinds(diff.changes)) == ["structure added", "structure removed"]


def test_a_link_to_a_record_within_a_text_is_a_reference() -> None:
    node = {"type": "inlineItem", "item": "r1"}
    diff = document_diff([para("x y ")], [para("x y ", node)])
    assert kinds(diff.changes) == ["reference added"]
    assert diff.changes[0].spans[-1].record_id == "r1"


def test_a_record_that_stands_behind_the_next_word_now_changes_no_word() -> None:
    """The words stay and the record moves: of two ways to see it, this is the one that editors see."""
    node = {"type": "inlineItem", "item": "r1"}
    diff = document_diff([para("one two ", node, " three four")], [para("one two three ", node, " four")])
    assert kinds(diff.changes) == ["reference changed"]
    assert (diff.words_added, diff.words_removed) == (0, 0)
    diff = document_diff([para("one ", node, " ", node, " two")], [para("one two ", node, " ", node)])
    assert (diff.words_added, diff.words_removed) == (0, 0)


def test_code_is_compared_as_text() -> None:
    old, new = (
        {"type": "code", "language": "sql", "code": "select 1"},
        {"type": "code", "language": "sql", "code": "select 2"},
    )
    (change,) = document_diff([old], [new]).changes
    assert shown(change) == "select[- 1][+ 2]"
    assert kinds(document_diff([old], [old | {"language": "py"}]).changes) == ["attribute changed"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"type": "table", "rows": [1, {"x": "a"}]}, {"type": "table", "rows": [1, {"x": "b"}]}),
        ({"type": "thematicBreak"}, {"type": "thematicBreak", "style": "wide"}),
        (table(1), table(2)),
        (para({"type": "footnote", "value": "1"}), para({"type": "footnote", "value": "2"})),
        ("a text", "another text"),
        (5, None),
    ],
)  # fmt: skip
def test_nodes_that_are_not_known_are_compared_as_json(before: Any, after: Any) -> None:
    assert document_diff([para(LONG), before], [para(LONG), after]).changes
    assert document_diff([before, para(LONG)], [para(LONG), after]).changes


def test_the_rest_of_the_document_is_compared_too() -> None:
    old, new = dast(para("a")), dast(para("a"))
    new["document"]["lang"] = "en"
    new["more"] = True
    diff = diff_of(old, new, "structured_text")
    assert [change.targets[0][1:] for change in diff.changes] == [("more",), ("document", "lang")]


def test_true_is_not_one() -> None:
    assert document_diff([para(LONG) | {"x": True}], [para(LONG) | {"x": 1}]).changes


def test_a_text_that_is_too_long_to_compare_says_so() -> None:
    old = " ".join(f"a{number}" for number in range(11_000))
    new = " ".join(f"b{number}" for number in range(11_000))
    diff = document_diff([para(old)], [para(new)])
    assert diff.is_limited
    assert all(change.is_limited for change in diff.changes)
    assert diff.words_removed == 11_000


def test_a_long_text_with_few_edits_is_compared_in_full() -> None:
    words = [f"w{hash((number, 1)) % 5000}" for number in range(60_000)]
    other = list(words)
    for place in range(0, 60_000, 600):
        other[place] = "new"
    diff = document_diff([para(" ".join(words))], [para(" ".join(other))])
    assert not diff.is_limited
    assert (diff.words_added, diff.words_removed) == (100, 100)
