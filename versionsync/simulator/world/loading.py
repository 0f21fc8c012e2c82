"""A record's whole past in one act: the fast way to a large world.

Writes the same facts as the acts would have written in their day, in their order; content may be shared bytes or a
function that makes them, so that a million versions fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from versionsync.simulator.errors import ApiError
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.event_log import (
    Fact,
    PublicationBegan,
    PublicationEnded,
    RecordDeleted,
    RecordMade,
    VersionMade,
)
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.people import Editor
from versionsync.simulator.world.records import Interval, LoadedVersion, Record, Version
from versionsync.simulator.world.state import WorldState

__all__ = ["Loading"]


class Loading(WorldState):
    """Bringing in a past that nobody acted out."""

    def load(
        self,
        model: Model,
        versions: Sequence[LoadedVersion],
        *,
        id: str | None = None,
        creator: Editor | None = None,
        created_at: datetime | None = None,
        deleted_at: datetime | None = None,
        environment: str | None = None,
    ) -> Record:
        """A record of *model* with all of *versions*, oldest first; the last is current, the live one is published.

        Nothing is validated but what the rest of the world relies on: an order in time, and one live version at a time.
        *creator* and *created_at* are the first version's when left out. *deleted_at*: when the record went; its *id*
        may be given again, to a past in which it returned.
        """
        where = self.environment(environment)
        if not versions:
            raise ApiError("INVALID_ATTRIBUTES", details={"reason": "a record has at least one version"})
        first, last = versions[0], versions[-1]
        born = created_at or first.created_at
        record = Record(id or self.ids.new(), model, creator or first.editor, born, last.created_at)
        if record.id in where.records:
            raise ApiError("INVALID_ENTITY_ID", details={"id": record.id, "reason": "taken"})
        returns = self._make_room(where, record.id)
        facts: list[Fact] = [RecordMade(born, where.id, record.id, model.id, record.creator.ref, born, returns)]
        live: list[tuple[Interval, Version]] = []
        for past in versions:
            version = Version(past.id or self.ids.new(), record, past.editor, past.created_at, past.content, past.live)
            facts.append(
                VersionMade(past.created_at, where.id, version.id, record.id, model.id, past.editor.ref, past.content)
            )
            record.versions.append(version)
            where.versions[version.id] = version
            live += [(interval, version) for interval in past.live]
        record.current = record.versions[-1]
        record.sequence = self.next_sequence()
        # A version goes dark before the next goes live, in the same instant or not.
        publications: list[Fact] = []
        for (began, ended), version in sorted(live, key=lambda one: one[0][0]):
            if record.published is not None:
                raise ApiError(
                    "INVALID_ATTRIBUTES", details={"reason": "two versions live at once", "record": record.id}
                )
            record.first_published_at = record.first_published_at or began
            publications.append(PublicationBegan(began, where.id, version.id))
            if ended is None:
                record.published, record.published_at = version, began
            else:
                publications.append(PublicationEnded(ended, where.id, version.id))
        for fact in sorted([*facts, *publications], key=lambda fact: fact.at) if publications else facts:
            self.event_log.write(fact)
        where.touch(max(fact.at for fact in (*facts, *publications)))
        if deleted_at is None:
            where.records[record.id] = record
        else:
            where.deleted[record.id] = record
            record.is_deleted = True
            self.event_log.write(RecordDeleted(deleted_at, where.id, record.id))
            where.touch(deleted_at)
        return record

    def _make_room(self, where: Environment, record_id: str) -> bool:
        """Take the versions of a deleted record out of the world; whether there was one under this id."""
        deleted = where.deleted.pop(record_id, None)
        for version in deleted.versions if deleted is not None else ():
            del where.versions[version.id]
        return deleted is not None
