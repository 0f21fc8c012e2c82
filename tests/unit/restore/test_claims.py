"""What a write claims besides its content is left out only as far as upstream refuses it."""

from __future__ import annotations

from datetime import UTC, datetime

from versionsync import cma
from versionsync.restore.claims import Claim, Refusals, block_ids, described, without_block_ids
from versionsync.restore.model import Act, Creation, Reason, Step

BLOCK = {
    "id": "outer",
    "type": "item",
    "attributes": {"inner": [{"id": "inner", "type": "item", "attributes": {}, "relationships": {}}]},
}


def step(creator_id: str = "1") -> Step:
    past = Creation(created_at=datetime(2026, 1, 1, tzinfo=UTC), creator_type="user", creator_id=creator_id)
    return Step(
        number=1,
        act=Act.CREATE,
        reason=Reason.MISSING,
        record_ids=("a",),
        attributes={"body": [BLOCK]},
        creation=past,
        stage="ready",
    )


def refusal(code: str) -> cma.InvalidRequest:
    return cma.InvalidRequest("refused", request="POST /items", code=code)


def test_the_smallest_loss_is_tried_first_and_all_of_them_once() -> None:
    tried: list[frozenset[Claim]] = [frozenset()]
    while without := Refusals().next_without(step(), refusal("INVALID_FORMAT"), tried):
        tried.append(without)
    assert [len(one) for one in tried] == [0, 1, 1, 1, 2, 2, 2, 3]
    assert len(set(tried)) == len(tried)


def test_ids_of_blocks_go_only_if_the_refusal_can_be_about_them() -> None:
    refusals = Refusals()
    assert refusals.next_without(step(), refusal("INVALID_FIELD"), [frozenset()]) == {Claim.BLOCK_IDS}
    assert not refusals.next_without(step(), refusal("ITEM_LOCKED"), [frozenset()])


def test_a_creator_who_is_gone_is_remembered_alone() -> None:
    refusals = Refusals()
    refusals.learn(step("1"), frozenset({Claim.CREATOR}), refusal("INVALID_ATTRIBUTES"))
    assert refusals.known(step("1")) == {Claim.CREATOR}
    assert refusals.known(step("2")) == frozenset()


def test_blocks_lose_their_ids_at_all_depths_but_those_that_exist() -> None:
    assert block_ids([BLOCK]) == {"outer", "inner"}
    assert block_ids(without_block_ids([BLOCK])) == set()
    assert block_ids(without_block_ids([BLOCK], kept=("inner",))) == {"inner"}


def test_a_loss_is_said_in_words() -> None:
    assert described({Claim.TIMES, Claim.CREATOR}) == "DatoCMS did not take its creator and the times of its past"
