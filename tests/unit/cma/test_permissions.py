"""What a role's permissions are understood to show of a model."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from versionsync.cma.permissions import Permission, ReadAccess, Role, own_role


def entry(action: str = "all", environment: str = "main", **more: Any) -> Permission:
    """A permission as upstream writes most of them."""
    return msgspec.convert({"on_creator": "anyone", **more, "action": action, "environment": environment}, Permission)


def reading(positive: list[Permission], negative: list[Permission] | None = None) -> ReadAccess:
    """Of the model `article` in `main`."""
    return Role(name="r", positive=tuple(positive), negative=tuple(negative or [])).reading("article", "main")


@pytest.mark.parametrize(
    ("positive", "negative", "shows"),
    [
        ([entry()], [], ReadAccess.ALL),
        ([entry(item_type="")], [], ReadAccess.ALL),
        ([entry("read", item_type="", workflow="", on_stage="", on_creator="")], [], ReadAccess.ALL),
        ([entry(item_type="", on_creator="self")], [], ReadAccess.SOME),
        ([entry()], [entry("read", item_type="")], ReadAccess.NONE),
        ([entry()], [entry("read", item_type="", workflow="w")], ReadAccess.SOME),
        ([entry("read")], [], ReadAccess.ALL),
        ([entry("read", item_type="article")], [], ReadAccess.ALL),
        ([entry("read", item_type="article", on_creator="self"), entry("all")], [], ReadAccess.ALL),
        ([entry()], [entry("delete"), entry("update", item_type="article")], ReadAccess.ALL),
        ([entry()], [entry("read", item_type="another")], ReadAccess.ALL),
        ([entry()], [entry("read", environment="next")], ReadAccess.ALL),
        ([entry(on_creator="self")], [], ReadAccess.SOME),
        ([entry("read", on_stage="done")], [], ReadAccess.SOME),
        ([entry("read", workflow="w")], [], ReadAccess.SOME),
        ([entry()], [entry("read", on_creator="role")], ReadAccess.SOME),
        ([entry()], [entry("read", item_type="article")], ReadAccess.NONE),
        ([entry()], [entry("all")], ReadAccess.NONE),
        ([entry("update")], [], ReadAccess.NONE),
        ([entry(environment="next")], [], ReadAccess.NONE),
        ([entry(item_type="another")], [], ReadAccess.NONE),
        ([], [], ReadAccess.NONE),
    ],
)
def test_it_shows_what_it_allows_less_what_it_forbids(
    positive: list[Permission], negative: list[Permission], shows: ReadAccess
) -> None:
    """Only what is about reading, this model and this environment counts."""
    assert reading(positive, negative) is shows


def test_what_it_forbids_and_is_not_named_is_told_by_its_id() -> None:
    """A model that upstream does not name at all to this token; what is about other environments or acts is not."""
    negative = (
        entry("read", item_type="article"),
        entry("read", item_type="hidden"),
        entry("read", environment="next", item_type="elsewhere"),
        entry("delete", item_type="kept"),
    )
    role = Role(name="r", positive=(entry(),), negative=negative)
    assert role.hides_outside(["article"], "main") == {"hidden"}
    of_all = Role(name="r", positive=(entry(),), negative=(entry("read", item_type=""),))
    assert of_all.hides_outside(["article"], "main") == set()


ENTRIES = st.lists(
    st.builds(
        entry,
        st.sampled_from(["all", "read", "update"]),
        st.sampled_from(["main", "next"]),
        item_type=st.sampled_from([None, "", "article", "another"]),
        on_creator=st.sampled_from(["anyone", "", "self", "role"]),
        on_stage=st.sampled_from([None, "", "done"]),
    ),
    max_size=5,
)


@given(positive=ENTRIES, negative=ENTRIES, more=ENTRIES)
def test_forbidding_more_never_shows_more(
    positive: list[Permission], negative: list[Permission], more: list[Permission]
) -> None:
    """And allowing more never shows less."""
    rank = [ReadAccess.NONE, ReadAccess.SOME, ReadAccess.ALL].index
    assert rank(reading(positive, negative + more)) <= rank(reading(positive, negative))
    assert rank(reading(positive + more, negative)) >= rank(reading(positive, negative))


def role(**permissions: Any) -> Raw:
    """A role on the wire."""
    final = {"positive_item_type_permissions": [], "negative_item_type_permissions": [], "can_edit_site": True}
    document = {
        "id": "1",
        "type": "role",
        "attributes": {"name": "Editor"},
        "meta": {"final_permissions": final | permissions},
    }
    return Raw(msgspec.json.encode(document))


def test_the_role_is_read_from_beside_the_answer() -> None:
    """Whatever else is there, and whatever else its entries say."""
    given = {
        "action": "all",
        "environment": "main",
        "item_type": None,
        "on_creator": "anyone",
        "locale": "en",
        "new": 1,
    }
    found = own_role(Raw(b"{}"), [Raw(b'{"id":"2","type":"user"}'), role(positive_item_type_permissions=[given])])
    assert found is not None
    assert (found.name, found.reading("article", "main")) == ("Editor", ReadAccess.ALL)


def old_role(**relationships: Any) -> Raw:
    """A role in the form of 2021: its own permissions alone, and an empty text for all models."""
    document = {
        "id": "301",
        "type": "role",
        "attributes": {
            "name": "Writer",
            "environments_access": "primary_only",
            "positive_item_type_permissions": [
                {"environment": "main", "item_type": "", "action": "all", "on_creator": "anyone"}
            ],
            "negative_item_type_permissions": [{"environment": "main", "item_type": "7", "action": "read"}],
            "positive_build_trigger_permissions": [{"build_trigger": ""}],
        },
    }
    return Raw(msgspec.json.encode(document | ({"relationships": relationships} if relationships else {})))


@pytest.mark.parametrize("links", [{}, {"inherits_permissions_from": {"data": []}}])
def test_a_role_without_final_permissions_has_its_own(links: dict[str, Any]) -> None:
    """Where it inherits nothing, both are the same."""
    found = own_role(Raw(b"{}"), [old_role(**links)])
    assert found is not None
    assert (found.name, found.reading("article", "main"), found.reading("7", "main")) == (
        "Writer",
        ReadAccess.ALL,
        ReadAccess.NONE,
    )


@pytest.mark.parametrize(
    "included",
    [
        [],
        [old_role(inherits_permissions_from={"data": [{"id": "9", "type": "role"}]})],
        [Raw(b'{"id":"2","type":"user"}')],
        [Raw(b'{"id":"1","type":"role"}')],
        [Raw(b'{"id":"1","type":"role","attributes":{"name":"x"},"meta":{}}')],
        [role(positive_item_type_permissions=None)],
        [role(negative_item_type_permissions=[{"verb": "read"}])],
        [Raw(b"[]")],
    ],
)
def test_what_is_not_understood_says_nothing(included: list[Raw]) -> None:
    """Rather than that all is hidden."""
    assert own_role(Raw(b"{}"), included) is None
