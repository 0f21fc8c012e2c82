"""Links between records when these are published, unpublished or deleted: the strategies of the linking fields."""

from __future__ import annotations

from collections.abc import Container, Iterator

from versionsync.simulator.errors import ApiError, raise_all
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.checks import Checks
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.event_log import Cause
from versionsync.simulator.world.links import Link, can_link, links_of, without_links
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.simulator.world.records import Record, Version
from versionsync.simulator.world.state import NotificationType
from versionsync.simulator.world.validation import Validated
from versionsync.simulator.world.version_actions import VersionActions

__all__ = ["ReferenceActions"]

PUBLISH = "on_publish_with_unpublished_references_strategy"
UNPUBLISH = "on_reference_unpublish_strategy"
DELETE = "on_reference_delete_strategy"


class ReferenceActions(VersionActions):
    """What an action on one record means for those that it links to, and that link to it."""

    def _needed_to_publish(
        self,
        where: Environment,
        record: Record,
        content: bytes,
        *,
        recursive: bool = False,
        together: Container[str] = (),
    ) -> list[Record]:
        """Return the records that must be published before *content* of *record*, in this order.

        They are its parents (*recursive*), and what its links with the strategy `publish_references` point to. Raise
        ApiError if a parent or another linked record is not published. *together*: the ids of records that count as
        published, because the same request publishes them.
        """
        needed: dict[str, Record] = {}
        visiting = {record.id}

        def is_published(one: Record) -> bool:
            return one.published is not None or not one.model.draft_mode or one.id in together or one.id in visiting

        def visit(one: Record, content: bytes) -> None:
            parent = where.records.get(one.parent_in(content) or "")
            if parent is not None and not is_published(parent):
                if not recursive:
                    raise ApiError("UNPUBLISHED_PARENT", item=one.id, parent=parent.id)
                need(parent)
            for link in links_of(one.model, content, where.models):
                target = where.records.get(link.record_id)
                if target is None or is_published(target):
                    continue
                if link.strategy(PUBLISH) != "publish_references":
                    raise ApiError("UNPUBLISHED_LINK", item=one.id, field=link.path, unpublished_item=target.id)
                need(target)

        def need(one: Record) -> None:
            visiting.add(one.id)
            self._check_publishable(where, one, one.head.read())
            visit(one, one.head.read())
            needed[one.id] = one

        visit(record, content)
        return list(needed.values())

    def _check_publishable(self, where: Environment, record: Record, content: bytes) -> None:
        """Raise ApiError if *content* of *record* is not valid: now, or when it was saved."""
        if content is record.head.content and not record.head.is_valid:
            raise ApiError("INVALID_FIELD", code="VALIDATION_INVALID", item=record.id)
        if self.options.improved_validation_at_publishing:
            checks = Checks(where, record.model, self.options)
            if errors := checks.broken_rules(contents.split(content), record):
                raise_all(errors)

    def _to_unpublish(
        self, where: Environment, record_ids: list[str], *, recursive: bool
    ) -> tuple[list[Record], list[Record]]:
        """Return the records to unpublish with those of *record_ids*, and those that only lose their links to them.

        Raise ApiError if a published child, or a link with the strategy `fail`, forbids it.
        """
        ended = {id: where.records[id] for id in record_ids}
        trimmed: dict[str, Record] = {}
        waiting = list(ended.values())
        forbidding: list[tuple[Record, Link]] = []
        while waiting:
            record = waiting.pop(0)
            for child in self._published_children(where, record):
                if child.id not in ended:
                    if not recursive:
                        raise ApiError("PUBLISHED_CHILDREN", item=record.id, child=child.id)
                    ended[child.id] = child
                    waiting.append(child)
            for other, links in self._linking(where, record.id, published_only=True):
                strategies = {link.strategy(UNPUBLISH) for link in links}
                if "fail" in strategies or ("unpublish" in strategies and not other.model.draft_mode):
                    forbidding.append((other, links[0]))
                elif "unpublish" in strategies:
                    if other.id not in ended:
                        ended[other.id] = other
                        waiting.append(other)
                else:
                    trimmed[other.id] = other
        for other, link in forbidding:
            if other.id not in ended:
                raise ApiError("PUBLISHED_REFERENCES", item=link.record_id, field=link.path, published_item=other.id)
        return list(ended.values()), [other for id, other in trimmed.items() if id not in ended]

    def _check_deletion(self, where: Environment, record_id: str) -> list[Record]:
        """Return the records that lose their links to this one when it is deleted. Raise DELETE_RESTRICTION."""
        linking = list(self._linking(where, record_id))
        if forbidding := [
            other.id for other, links in linking if any(link.strategy(DELETE) == "fail" for link in links)
        ]:
            raise ApiError("DELETE_RESTRICTION", item_ids=forbidding)
        if self.options.deleted_links == "kept":
            return []
        for other, _ in linking:
            self._check_still_valid(where, other, record_id, "DELETE_RESTRICTION")
        return [other for other, _ in linking]

    def _check_still_valid(self, where: Environment, record: Record, target_id: str, code: str) -> None:
        """Raise *code* if *record* would break a validator without its links to *target_id*."""
        if record.model.draft_saving:
            return
        checks = Checks(where, record.model, self.options)
        for version in record.shown_versions:
            before, after = version.read(), without_links(record.model, version.read(), where.models, target_id)
            if before != after:
                known = {str(error.details) for error in checks.broken_rules(contents.split(before), record)}
                for error in checks.broken_rules(contents.split(after), record):
                    if str(error.details) not in known:
                        raise ApiError(code, item_ids=[record.id], problem=error.details)

    def _remove_links(
        self, editor: Editor, where: Environment, record: Record, target_id: str, *, published_only: bool = False
    ) -> None:
        """Remove the links of *record* to *target_id*: from its published version, and from a draft after it."""
        if not any(self._links_to(where, version, target_id) for version in record.shown_versions):
            return
        before, live, head = self.before(where, record), record.published, record.head
        in_place = self.options.deleted_links == "rewritten"
        if live is not None and live is not head and self._links_to(where, live, target_id):
            content = without_links(record.model, live.read(), where.models, target_id)
            if in_place:
                self._rewrite_version(where, live, content, Cause.LINKS_REMOVED)
            else:
                self._make_live(where, record, self._save_beside(where, record, editor, content))
        if (live is head or not published_only) and self._links_to(where, head, target_id):
            content = without_links(record.model, head.read(), where.models, target_id)
            if in_place:
                self._rewrite_version(where, head, content, Cause.LINKS_REMOVED)
            else:
                self._save(where, record, editor, Validated(content, head.is_valid), may_merge=False)
                if live is head:
                    self._make_live(where, record, record.head)
        self._touch_published(where, record)
        self.notify(NotificationType.UPDATE, where, record, before)

    def _linking(
        self, where: Environment, record_id: str, *, published_only: bool = False
    ) -> Iterator[tuple[Record, list[Link]]]:
        """Yield the other records with links to this one in their current or published version, with these links.

        Records of models that cannot link are not read: a large project has many of them.
        """
        reading = {id for id, model in where.models.items() if can_link(model, where.models)}
        for record in list(where.records.values()):
            if record.id == record_id or record.model.id not in reading:
                continue
            versions = record.shown_versions
            if published_only:
                versions = [version for version in versions if version.is_published]
            links = [link for version in versions for link in self._links_to(where, version, record_id)]
            if links:
                yield record, links

    def _links_to(self, where: Environment, version: Version, record_id: str) -> list[Link]:
        text = version.read()
        if f'"{record_id}"'.encode() not in text:
            return []
        links = links_of(version.record.model, text, where.models)
        return [link for link in links if link.record_id == record_id]

    def _published_children(self, where: Environment, record: Record) -> Iterator[Record]:
        for child in where.records.values():
            if child.model is record.model and child.published is not None and child.parent_id == record.id:
                yield child
